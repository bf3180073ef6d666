"""Dark pictures of more than 8 bits are lit up for a network, and come out as dark as they were."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from acutance.imaging.exposure import lighting, lit


def photo(peak: float) -> np.ndarray:
    values = ndimage.gaussian_filter(np.random.default_rng(1).random((40, 50, 3)), (2, 2, 0))
    return peak * (values - values.min()) / (values.max() - values.min())


def to_16_bits(values: np.ndarray) -> np.ndarray:
    return np.round(65535 * values).astype(np.uint16)


@pytest.mark.parametrize("peak", [0.05, 0.3, 0.7])
def test_the_brightest_value_comes_to_lie_just_below_white(peak):
    for pixels, white in ((to_16_bits(photo(peak)), 65535), (photo(peak).astype(np.float32), 1)):
        assert lit(pixels, lighting(pixels)).max() / white == pytest.approx(0.95, abs=1e-4)


def test_what_is_bright_black_of_8_bits_or_has_few_lights_stays():
    stars = to_16_bits(photo(0.05))
    stars[20, 20] = 40_000
    for pixels in (
        to_16_bits(photo(0.9)),
        np.zeros((9, 9, 3), np.uint16),
        to_16_bits(photo(0.1)).astype(np.uint8),
        stars,
    ):
        assert lighting(pixels) == 1.0


def test_no_more_light_than_16_bits_carry():
    assert lighting(to_16_bits(photo(0.001))) == 64.0


def test_lit_and_dimmed_is_the_same_picture_again():
    pixels = to_16_bits(photo(0.3))
    factor = lighting(pixels)
    np.testing.assert_array_equal(lit(lit(pixels, factor), 1 / factor), pixels)


@pytest.mark.parametrize("pixel_type", [np.uint16, np.float32])
def test_what_comes_from_8_bits_stays_in_whatever_type(pixel_type):
    coarse = np.round(255 * photo(0.4))
    unit = 257 if pixel_type is np.uint16 else 1 / 255
    assert lighting((unit * coarse).astype(pixel_type)) == 1.0
