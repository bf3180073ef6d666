"""Shares and their intervals, held against published values and a naive edit distance."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from acutance.evaluation.recognition.rates import edit_distance, mean_share, percent, wilson, wrong_share


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [  # Newcombe 1998, table I, method 3 (score without continuity correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0000),
    ],
)
def test_wilson_gives_published_intervals(hits, count, low, high):
    found = wilson(hits, count)
    assert found.mean == hits / count
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def naive_distance(one, other):
    @cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(
            distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        )

    return distance(len(one), len(other))


def test_edit_distance_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(200):
        one, other = ("".join(rng.choice(list("abc"), rng.integers(0, 8))) for _ in range(2))
        assert edit_distance(one, other) == naive_distance(one, other)


def test_wrong_share_is_of_the_truth_and_at_most_one():
    assert wrong_share("AB12CDE", "AB12CDE") == 0
    assert wrong_share("AB12CDF", "AB12CDE") == pytest.approx(1 / 7)
    assert wrong_share("", "AB12CDE") == 1
    assert wrong_share("quite something else", "AB") == 1


def test_mean_share_lies_within_its_interval():
    found = mean_share([0.0, 0.5, 0.25, 0.25] * 10)
    assert found.mean == pytest.approx(0.25)
    assert found.low < 0.25 < found.high < 0.35
    assert percent(found, 1).startswith("25.0 % (")
    assert percent(wilson(0, 200)) == "0 % (0 … 2)"
