"""Random parameters: within their bounds, evenly, and seeded."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.draws import check_range, happens, uniform
from acutance.errors import ConfigError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spacing", ["linear", "log"])
def test_draws_fill_their_bounds_evenly(spacing):
    drawn = uniform(8000, (0.3, 4.0), seeded(), spacing=spacing)
    assert drawn.min() >= 0.3 - 1e-6
    assert drawn.max() <= 4.0 + 1e-6
    low, high = (0.3, 4.0) if spacing == "linear" else (math.log(0.3), math.log(4.0))
    quarters = torch.histc(drawn if spacing == "linear" else drawn.log(), 4, low, high) / 8000
    torch.testing.assert_close(quarters, torch.full((4,), 0.25), atol=0.02, rtol=0)


def test_equal_bounds_give_that_number():
    assert uniform(3, (1.5, 1.5), seeded()).tolist() == [1.5] * 3
    torch.testing.assert_close(uniform(3, (1.5, 1.5), seeded(), spacing="log"), torch.full((3,), 1.5))


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_coins_fall_as_often_as_asked(probability):
    share = float(happens(4000, probability, seeded()).float().mean())
    assert share == pytest.approx(probability, abs=4 * math.sqrt(probability * (1 - probability) / 4000))


@pytest.mark.parametrize(
    ("bounds", "spacing", "message"),
    [
        ((2.0, 1.0), "linear", r"noise = \[2.0, 1.0\]: must rise within 0.0 … 5.0"),
        ((-1.0, 1.0), "linear", "must rise"),
        ((1.0, 6.0), "linear", "must rise"),
        ((math.nan, 1.0), "linear", "must rise"),
        ((0.0, 1.0), "log", "must begin above 0"),
    ],
)
def test_impossible_ranges_are_refused_by_name(bounds, spacing, message):
    with pytest.raises(ConfigError, match=message):
        check_range("noise", bounds, low=0.0, high=5.0, spacing=spacing)


@pytest.mark.parametrize("bounds", [(0.0, 5.0), (1.0, 1.0), (0.0, 0.0)])
def test_possible_ranges_pass(bounds):
    check_range("noise", bounds, low=0.0, high=5.0)
