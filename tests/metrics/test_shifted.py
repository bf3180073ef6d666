"""PSNR at the best shift, against trying every shift."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from acutance.errors import InputError
from acutance.metrics.psnr import psnr
from acutance.metrics.shifted import REACH_PX, _error, _moved, psnr_at_best_shift


def photo(height=60, width=70, *, seed=0, sigma=2.0):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.uniform(0, 1, (height, width, 3)), (sigma, sigma, 0))
    return np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def wide_photo():
    """A photo and the same one cut out elsewhere: nothing is made up at the borders."""
    return photo(90, 100, sigma=1.0)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 5), (1, 0), (-4, -4)])
def test_a_whole_shift_is_found_and_undone(shift):
    whole, (down, right) = wide_photo(), shift
    reference = whole[10:80, 10:90]
    aside = whole[10 + down : 80 + down, 10 + right : 90 + right]  # its content lies further up and left
    found = psnr_at_best_shift(aside, reference)
    assert (found.down_px, found.right_px) == shift
    assert found.psnr_db == math.inf  # only what it covers is compared
    assert shift == (0, 0) or psnr(aside, reference) < 30


@pytest.mark.parametrize("quarters", [(1, 0), (-2, 3), (7, -6), (-17, 18), (20, -20)])
def test_quarters_of_a_pixel_are_found(quarters):
    reference = photo(sigma=3.0)
    shift = [quarter / 4 for quarter in quarters]
    aside = [ndimage.shift(reference[:, :, c].astype(float), [-one for one in shift], mode="mirror") for c in range(3)]
    found = psnr_at_best_shift(np.clip(np.rint(np.dstack(aside)), 0, 255).astype(np.uint8), reference)
    assert (found.down_px, found.right_px) == tuple(shift)


def test_it_is_the_best_of_all_shifts():
    """Every quarter of a pixel within reach, each moved by itself."""
    rng = np.random.default_rng(1)
    reference = photo(30, 34)
    blurred = ndimage.uniform_filter1d(reference.astype(float), 5, axis=1, origin=2) + rng.normal(0, 3, reference.shape)
    restored = np.clip(np.rint(ndimage.shift(blurred, (1.4, -0.6, 0), order=1)), 0, 255).astype(np.uint8)
    quarters = np.arange(-4 * REACH_PX, 4 * REACH_PX + 1) / 4
    errors = {
        shift: _error(_moved(restored.astype(np.float32), shift[0], 0), reference.astype(np.float32), shift)
        for shift in product(quarters, repeat=2)
    }
    best = min(errors, key=errors.get)
    found = psnr_at_best_shift(restored, reference)
    assert (found.down_px, found.right_px) == best
    assert found.psnr_db == pytest.approx(10 * math.log10(255**2 / errors[best]), abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40), (17, 11)])
def test_it_is_never_below_plain_psnr_whatever_the_size(size):
    rng = np.random.default_rng(0)
    restored, reference = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    assert psnr_at_best_shift(restored, reference).psnr_db >= psnr(restored, reference)
    assert psnr_at_best_shift(reference, reference).psnr_db == math.inf


def test_photos_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="cannot be compared"):
        psnr_at_best_shift(photo(), photo(61))
