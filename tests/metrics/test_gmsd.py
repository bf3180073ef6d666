"""GMSD against a transcription of the authors' MATLAB program."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import convolve2d

from acutance.errors import InputError
from acutance.metrics.gmsd import gmsd


def matlab_gmsd(restored, reference):
    across = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]]) / 3
    mean = np.full((2, 2), 1 / 4)
    magnitudes = []
    for pixels in (restored, reference):
        luminance = np.rint(pixels.astype(float) @ [0.299, 0.587, 0.114])
        # MATLAB's conv2(…, "same") with an even kernel keeps the part from the second row and column on.
        small = convolve2d(luminance, mean, mode="full")[1:, 1:][::2, ::2]
        gx, gy = convolve2d(small, across, mode="same"), convolve2d(small, across.T, mode="same")
        magnitudes.append(np.sqrt(gx**2 + gy**2))
    a, b = magnitudes
    return np.std((2 * a * b + 170) / (a**2 + b**2 + 170), ddof=1)


@pytest.mark.parametrize("size", [(3, 3), (16, 16), (17, 22), (40, 31)])
def test_gmsd_is_the_authors_program(size):
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    restored = ndimage.gaussian_filter(reference.astype(float), (1, 1, 0)).astype(np.uint8)
    assert gmsd(restored, reference) == pytest.approx(matlab_gmsd(restored, reference), abs=1e-12)
    assert gmsd(restored, reference) > 0


def test_equal_photos_have_none_and_more_blur_has_more():
    rng = np.random.default_rng(2)
    reference = ndimage.gaussian_filter(rng.uniform(-500, 755, (64, 64, 3)), (2, 2, 0)).clip(0, 255).astype(np.uint8)
    little, much = (ndimage.gaussian_filter(reference.astype(float), (s, s, 0)).astype(np.uint8) for s in (1.0, 3.0))
    assert gmsd(reference, reference) == 0
    assert gmsd(little, reference) < gmsd(much, reference)


def test_small_photos_are_refused():
    with pytest.raises(InputError, match="at least 3 px"):
        gmsd(np.zeros((2, 9, 3), np.uint8), np.zeros((2, 9, 3), np.uint8))
