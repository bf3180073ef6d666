"""The bootstrap against what is known of means: how wide, how often right, and the same twice."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.evaluation.bootstrap import Interval, paired_interval


def test_it_is_as_wide_as_theory_says_for_many_photos():
    random = np.random.default_rng(0)
    found = paired_interval([random.normal(0.5, 1.0, 400)])
    assert found.mean == pytest.approx(0.5, abs=0.2)
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_what_seeds_differ_by_is_part_of_it():
    """Photos agree; three seeds lie 1 apart: their standard error is 1/√3, whatever the number of photos."""
    found = paired_interval([[seed + 0.0] * 50 for seed in (-1, 0, 1)])
    assert found.mean == 0.0
    spread = (found.high - found.low) / (2 * 1.96)
    assert spread == pytest.approx(3**-0.5, rel=0.2)


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_it_holds_the_truth_about_as_often_as_it_says(num_seeds):
    """Of three seeds a little less often: nobody knows their spread from three."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        of_seed, of_photo = random.normal(0, 0.3, (num_seeds, 1)), random.normal(0, 1, (1, 30))
        found = paired_interval(of_seed + of_photo + random.normal(0, 0.2, (num_seeds, 30)))
        held += found.low <= 0.0 <= found.high
    assert held >= 60 * 0.85


def test_it_is_a_function_of_its_input():
    table = np.random.default_rng(2).normal(size=(3, 10))
    assert paired_interval(table) == paired_interval(table)
    assert paired_interval([[0.25]]) == Interval(0.25, 0.25, 0.25)
    assert Interval(0.333, 0.1, 0.5).words(2) == "+0.33 (+0.10 … +0.50)"
