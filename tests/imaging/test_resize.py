"""Resizing: Pillow's numbers without rounding, and what any bicubic filter must do."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from acutance.geometry import Size
from acutance.imaging.resize import enlarge_bicubic, resize_bicubic


@pytest.mark.parametrize("size", [Size(9, 8), Size(18, 17), Size(5, 30), Size(1, 1), Size(36, 34)])
def test_floats_are_pillows_without_rounding(photo, size):
    picture = photo(18, 17).astype(float)
    resized = resize_bicubic(picture, size)
    assert (resized.shape, resized.dtype) == ((*size, 3), np.float64)
    whole = np.asarray(Image.fromarray(photo(18, 17)).resize((size.width, size.height), Image.Resampling.BICUBIC))
    # Pillow rounds whole numbers after each of its two passes: that is as near as they come.
    np.testing.assert_allclose(np.clip(resized, 0, 255), whole, atol=1.5)
    np.testing.assert_allclose(resize_bicubic(picture - 300, size), resized - 300, atol=1e-3)  # nothing is clipped


def test_overshoots_are_kept():
    edge = np.repeat([[0.0, 0.0, 0.0, 255.0, 255.0, 255.0]], 6, axis=0)[:, :, None]
    enlarged = resize_bicubic(edge, Size(12, 12))
    assert enlarged.min() < -5
    assert enlarged.max() > 260


@pytest.mark.parametrize("side", [16, 64])
def test_a_ramp_stays_where_it_is(side):
    """Away from the border, where the filter is cut."""
    ramp = (np.arange(32) + 0.5)[None, :, None].repeat(8, axis=0)
    resized = resize_bicubic(ramp, Size(8, side))[0, :, 0]
    expected = (np.arange(side) + 0.5) * 32 / side
    quarter = slice(side // 4, -side // 4)
    np.testing.assert_allclose(resized[quarter], expected[quarter], rtol=1e-6)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_enlarging_is_pillows(photo, factor):
    picture = photo(7, 11)
    enlarged = enlarge_bicubic(picture, factor)
    expected = Image.fromarray(picture).resize((11 * factor, 7 * factor), Image.Resampling.BICUBIC)
    assert enlarged.dtype == np.uint8
    assert enlarged.flags.writeable
    np.testing.assert_array_equal(enlarged, np.asarray(expected))
