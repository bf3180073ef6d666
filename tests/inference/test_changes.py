"""How much a result changed, where, and whether that was worth it."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.inference.changes import changes_between, verdict_on


@pytest.fixture
def before() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 180, (300, 330, 3)).astype(np.uint8)


def test_nothing_changed(before: np.ndarray) -> None:
    changes = changes_between(before, before)
    assert changes is not None
    assert (changes.rms_levels, changes.share, changes.where, changes.steps) == (0, 0, "nowhere", 1)
    assert str(changes) == "unchanged"


def test_a_change_is_measured_and_placed(before: np.ndarray) -> None:
    after = before.copy()
    after[:100, 220:] += 20
    changes = changes_between(before, after)
    assert changes is not None
    assert changes.rms_levels == pytest.approx(20 / 3, rel=0.01)
    assert changes.share == pytest.approx(1 / 9, rel=0.01)
    assert changes.where == "mostly in the upper right"
    assert "11 % of it changed, mostly in the upper right" in str(changes)


def test_the_parts_that_changed_most_are_told_in_reading_order(before: np.ndarray) -> None:
    after = before.copy()
    after[100:200, 110:220] += 20
    after[:100, 110:220] += 16
    changes = changes_between(before, after)
    assert changes is not None
    assert changes.where == "mostly at the top and in the middle"


def test_a_change_of_everything_is_all_over(before: np.ndarray) -> None:
    changes = changes_between(before, before + 10)
    assert changes is not None
    assert changes.where == "all over"
    assert not changes.is_practically_none


def test_steps_that_grew_are_told() -> None:
    edge = np.zeros((60, 60, 1), np.float32)
    edge[:, 30:] = 0.4
    crisper = edge.copy()
    crisper[:, 30:] = 0.6
    changes = changes_between(edge, crisper)
    assert changes is not None
    assert changes.steps == pytest.approx(1.5)
    assert "edges 1.5 times as steep" in str(changes)


def test_results_of_another_size_are_not_compared(before: np.ndarray) -> None:
    assert changes_between(before, before[::2, ::2]) is None
    assert verdict_on(before, before[::2, ::2]) is None


def test_a_verdict_on_nothing_gives_the_reason(before: np.ndarray) -> None:
    """White noise all over: there is nothing to sharpen, and that is said where no model has said it."""
    verdict = verdict_on(before, before)
    assert verdict is not None
    assert not verdict.is_worth_it
    assert verdict.words.startswith("unchanged: ")
    told = verdict_on(before, before, found=("sharp already: left as it is",))
    assert told is not None
    assert told.words == "unchanged"


def test_very_small_pictures() -> None:
    one = np.zeros((1, 1, 3), np.uint8)
    changes = changes_between(one, one + 9)
    assert changes is not None
    assert changes.rms_levels == pytest.approx(9)
