from __future__ import annotations

import numpy as np
import pytest

from acutance.videos.flicker import FlickerMeter, ResidualSmoother
from acutance.videos.remarks import remarks_on_flicker

SIZE = (24, 32)


def still(dtype: type = np.uint8) -> np.ndarray:
    return np.full((*SIZE, 3), 100 if dtype is np.uint8 else 100 * 257, dtype)


def details(seed: int, scale: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 10 * scale, SIZE).astype(np.float32) for _ in range(3)]


def test_a_result_as_steady_as_its_input_does_not_flicker():
    meter = FlickerMeter()
    for level in (90, 91, 90):
        meter.add(np.full((*SIZE, 3), level, np.uint8), details(0))
    assert meter.flicker == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1.0), (np.uint16, 257.0)])
def test_details_that_come_and_go_are_measured_in_levels_of_255(dtype, scale):
    meter = FlickerMeter()
    for sign in (1, -1, 1):
        meter.add(still(dtype), [np.full(SIZE, 5 * sign * scale, np.float32)] * 3)
    assert meter.flicker == pytest.approx(10, abs=1e-3)


def test_what_moves_is_no_flicker():
    """Half of the picture moves, and its details with it; the other half flickers a little."""
    meter = FlickerMeter()
    for moment in range(4):
        before = still()
        before[:, :16] = 40 if moment % 2 else 160
        change = np.zeros(SIZE, np.float32)
        change[:, :16] = 30 * (-1) ** moment
        change[:, 18:] = (-1) ** moment
        meter.add(before, [change] * 3)
    assert meter.flicker == pytest.approx(2, abs=1e-3)


def test_where_all_moves_nothing_can_be_said():
    meter = FlickerMeter()
    for level in (40, 160, 40):
        meter.add(np.full((*SIZE, 3), level, np.uint8), details(0))
    assert meter.flicker is None


def test_flicker_that_can_be_seen_is_said_with_what_calms_it():
    assert list(remarks_on_flicker(0.4, smoothing=0)) == list(remarks_on_flicker(None, smoothing=0)) == []
    (words,) = remarks_on_flicker(1.26, smoothing=0)
    assert "1.3 levels of 255" in words
    assert "a smoothing of 0.5 (--smoothing, smoothing) calms it" in words
    assert list(remarks_on_flicker(3, smoothing=0.5)) == []


def test_one_frame_cannot_flicker():
    meter = FlickerMeter()
    meter.add(still(), [])
    assert meter.flicker is None


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1.0), (np.uint16, 257.0)])
def test_smoothing_calms_what_is_invented_anew_in_every_frame(dtype, scale):
    rough, calm, smoother = FlickerMeter(), FlickerMeter(), ResidualSmoother(0.8)
    for moment in range(8):
        invented = details(moment, scale)
        rough.add(still(dtype), invented)
        calm.add(still(dtype), smoother.smooth(still(dtype), [change.copy() for change in invented]))
    assert calm.flicker < 0.35 * rough.flicker


def test_smoothing_keeps_what_is_the_same_in_every_frame():
    smoother = ResidualSmoother(0.9)
    for _ in range(4):
        smoothed = smoother.smooth(still(), details(0))
    np.testing.assert_allclose(smoothed, details(0), atol=1e-4)


def test_nothing_is_carried_over_where_something_moves():
    smoother = ResidualSmoother(0.9)
    moved = still()
    moved[:, 16:] = 200
    smoother.smooth(still(), details(0))
    smoothed = smoother.smooth(moved, details(1))
    for now, own, last in zip(smoothed, details(1), details(0), strict=True):
        np.testing.assert_array_equal(now[:, 18:], own[:, 18:])
        np.testing.assert_allclose(now[:, :14], 0.1 * own[:, :14] + 0.9 * last[:, :14], atol=1e-4)


def test_without_smoothing_nothing_is_changed():
    change = details(0)
    assert ResidualSmoother(0).smooth(still(), change) is change
