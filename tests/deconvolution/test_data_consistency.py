"""The data-consistency step: detail that the blurred picture holds comes back, and nothing that it does not hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from acutance.deconvolution.data_consistency import LARGEST_REST, consistent
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf

KERNELS = {"motion": line_psf(8, 0.4), "defocus": disk_psf(3.0), "gaussian": gaussian_psf(1.6)}


@pytest.fixture(scope="module")
def sharp(photo):
    return np.moveaxis(photo(120, 136).astype(np.float32) / 255, 2, 0).copy()


def blurred(planes, psf, *, noise_levels=0.0):
    seen = convolve_mirror(np.moveaxis(planes, 0, 2).astype(np.float64), psf)
    noise = np.random.default_rng(3).normal(0, noise_levels / 255, seen.shape)
    rounded = np.rint(255 * np.clip(seen + noise, 0, 1)) / 255
    return np.moveaxis(rounded, 2, 0).astype(np.float32)


def off(planes, truth):
    return float(np.sqrt(((planes - truth)[..., 20:-20, 20:-20] ** 2).mean()))


@pytest.fixture
def lacking(sharp):
    """What a network gives that smooths fine detail away."""
    return blurred(sharp, gaussian_psf(0.7))


@pytest.mark.parametrize("kind", KERNELS)
def test_detail_that_was_smoothed_away_comes_back(sharp, lacking, kind):
    made = consistent(lacking, blurred(sharp, KERNELS[kind]), KERNELS[kind])
    assert made.shape == sharp.shape
    assert made.dtype == np.float32
    assert off(made, sharp) < 0.93 * off(lacking, sharp)


@pytest.mark.parametrize("kind", KERNELS)
def test_noise_is_not_taken_for_detail(sharp, kind):
    seen = blurred(sharp, KERNELS[kind], noise_levels=6.0)
    assert off(consistent(sharp, seen, KERNELS[kind]), sharp) < 0.5 / 255


def test_a_wrong_kernel_does_little_harm(sharp):
    seen = blurred(sharp, line_psf(8, 0.4))
    made = consistent(sharp, seen, line_psf(11, 0.9))
    assert off(made, sharp) < 12 / 255
    assert np.abs(made - sharp).max() < 20 * LARGEST_REST


def test_what_explains_the_picture_stays(sharp):
    psf = KERNELS["motion"]
    assert off(consistent(sharp, blurred(sharp, psf), psf), sharp) < 0.3 / 255


def test_beyond_the_border_nothing_is_known(sharp, lacking):
    """Of motion to the right: pixels near the left and right border come from beyond it."""
    psf = np.zeros((17, 17))
    psf[8, :14] = 1 / 14  # 8 px to the left, 5 to the right
    seen = blurred(sharp, psf)
    changed = seen.copy()
    changed[..., :5], changed[..., -8:] = 0, 1
    assert np.array_equal(consistent(lacking, changed, psf), consistent(lacking, seen, psf))
    changed[..., 5:6] = 0
    assert not np.array_equal(consistent(lacking, changed, psf), consistent(lacking, seen, psf))


def test_the_origin_moves_the_kernel(sharp, lacking):
    psf = np.pad(line_psf(9, 0.0), 3)
    moved = np.roll(psf, 2, axis=1)
    seen = blurred(sharp, psf)
    made = consistent(lacking, seen, moved, origin=(0.0, 2.0))
    np.testing.assert_allclose(made, consistent(lacking, seen, psf), atol=1e-5)


def test_a_picture_smaller_than_the_kernel_stays(sharp):
    small = sharp[:, :9, :9].copy()
    assert np.array_equal(consistent(small, small * 0.5, line_psf(25, 0.0)), small)


def test_channels_side_by_side_give_the_same_bits(sharp, lacking):
    psf = KERNELS["defocus"]
    seen = blurred(sharp, psf)
    with ThreadPoolExecutor(2) as pool:
        assert np.array_equal(consistent(lacking, seen, psf, pool=pool), consistent(lacking, seen, psf))
