"""Grain is measured where the photo beneath it is flat."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.errors import InputError
from acutance.metrics.grain import grain_in_flat_places


def half_flat(height=160, width=320):
    """Flat at the left, full of texture at the right."""
    sharp = np.full((height, width, 3), 120, np.uint8)
    sharp[:, width // 2 :] = np.random.default_rng(0).integers(40, 200, (height, width // 2, 1))
    return sharp


def with_grain(sharp, deviation, *, seed=1):
    grain = np.random.default_rng(seed).normal(0, deviation, (*sharp.shape[:2], 1))
    return np.clip(np.rint(sharp + grain), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("deviation", [2.0, 8.0, 12.0])
def test_it_is_the_deviation_of_grey_grain(deviation):
    sharp = half_flat()
    assert grain_in_flat_places(with_grain(sharp, deviation), sharp) == pytest.approx(deviation, rel=0.05)
    assert grain_in_flat_places(sharp, sharp) == 0


def test_textures_and_changes_of_brightness_are_no_grain():
    sharp = half_flat()
    changed = sharp + np.uint8(10)
    changed[:, 160:] = with_grain(sharp, 40)[:, 160:]
    assert grain_in_flat_places(changed, sharp) == pytest.approx(0, abs=1e-6)


def test_black_and_white_are_left_out_unless_there_is_nothing_else():
    sharp = half_flat()
    sharp[:, :140] = 255
    grainy = with_grain(sharp, 8)
    assert grain_in_flat_places(grainy, sharp) == pytest.approx(8, rel=0.2)
    white = np.full((40, 40, 3), 255, np.uint8)
    assert 0 < grain_in_flat_places(with_grain(white, 8), white) < 8


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 16), (17, 33)])
def test_any_size_is_measured(size):
    sharp = np.full((*size, 3), 99, np.uint8)
    assert grain_in_flat_places(with_grain(sharp, 5), sharp) >= 0


def test_photos_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="cannot be compared"):
        grain_in_flat_places(half_flat(), half_flat(32))
