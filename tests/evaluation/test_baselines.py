"""The classical restorers against naive programs, and that they do what they are for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from acutance.data.protocol import ROWS, degrade, find_row, true_psf
from acutance.evaluation.baselines import BASELINES, reblur_polynomial, unsharp_mask, wiener
from acutance.evaluation.restorers import Trial
from acutance.imaging.kernels import disk_psf, gaussian_psf
from acutance.metrics.psnr import psnr

PSFS = (np.ones((1, 5)) / 5,)
WITHOUT_KERNEL = ("none", "motion-scene", "ramps", "grain-only")


def photo(height=60, width=50, *, seed=0):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.uniform(-600, 855, (height, width, 3)), (1.5, 1.5, 0))
    return np.clip(smooth, 0, 255).astype(np.uint8)


def rounded(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blurred(values, sigma, radius):
    return ndimage.gaussian_filter(values, (sigma, sigma, 0), mode="mirror", radius=(radius, radius, 0))


def restore(name, row_name, degraded):
    row = find_row(row_name)
    baseline = next(one for one in BASELINES if one.name == name)
    return baseline.restore(degraded, Trial(row=row, index=0, psf=true_psf(row, 0, psfs=PSFS)))


def test_unsharp_mask_is_its_formula():
    y = photo().astype(float)
    expected = rounded(y + 0.7 * (y - blurred(y, 2.0, 8)))
    np.testing.assert_array_equal(unsharp_mask(photo(), sigma_px=2.0, amount=0.7), expected)


def test_polynomial_is_its_formula():
    y = photo().astype(float)
    once = blurred(y, 1.6, 7)
    expected = rounded(3 * y - 3 * once + blurred(once, 1.6, 7))
    np.testing.assert_array_equal(reblur_polynomial(photo(), gaussian_psf(1.6)), expected)


@pytest.mark.parametrize("size", [(7, 6), (2, 5), (1, 4), (1, 1), (3, 2)])
def test_wiener_solves_its_equation_on_the_mirrored_photo(size):
    """Against dense linear algebra: x = (MᵀM + K)⁻¹ Mᵀ y, M the blur, on the period of the mirrored photo."""
    psf, k = gaussian_psf(1.0), 1e-2
    y = np.random.default_rng(1).integers(60, 190, (*size, 1), dtype=np.uint8)
    period = np.pad(y[:, :, 0].astype(float), [(0, max(n - 2, 0)) for n in size], mode="reflect")
    unit = np.eye(period.size).reshape(-1, *period.shape)
    matrix = np.stack([ndimage.convolve(one, psf, mode="wrap").ravel() for one in unit], axis=1)
    solved = np.linalg.solve(matrix.T @ matrix + k * np.eye(len(matrix)), matrix.T @ period.ravel())
    expected = rounded(solved.reshape(period.shape)[: size[0], : size[1]])
    restored = wiener(np.repeat(y, 3, axis=2), psf, noise_to_signal=k)
    np.testing.assert_array_equal(restored, np.repeat(expected[:, :, None], 3, axis=2))


def test_wiener_finds_the_photo_again_when_nothing_was_rounded_away():
    reference = photo()
    psf = disk_psf(1.2)
    degraded = degrade(reference, find_row("gauss-1.0"), index=0)
    restored = wiener(degraded, gaussian_psf(1.0), noise_to_signal=1e-3)
    assert psnr(restored, reference) > psnr(degraded, reference) + 4
    assert psnr(wiener(degraded, psf), reference) < psnr(restored, reference)  # the wrong kernel is worse


def test_wiener_turns_an_unsymmetric_kernel_the_right_way():
    reference = photo()
    psf = np.array([[0.7, 0.2, 0.1]])
    blurred_photo = rounded(ndimage.convolve(reference.astype(float), psf[:, :, None], mode="mirror"))
    assert psnr(wiener(blurred_photo, psf), reference) > psnr(wiener(blurred_photo, psf[:, ::-1]), reference) + 6


@pytest.mark.parametrize("row", ["gauss-1.6", "gauss-3.0", "defocus-2", "camera-shake"])
def test_each_filter_helps_and_wiener_helps_most(row):
    reference = photo()
    degraded = degrade(reference, find_row(row), index=0, psfs=PSFS)
    score = {one.name: psnr(restore(one.name, row, degraded), reference) for one in BASELINES}
    assert score["input"] < score["unsharp"] < score["Wiener, true kernel"]
    assert score["input"] < score["polynomial, true kernel"] < score["Wiener, true kernel"]


@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_baselines_give_the_size_of_the_reference_and_keep_their_input(row):
    degraded = photo(14, 11)
    degraded.flags.writeable = False
    factor = find_row(row).reduction
    for baseline in BASELINES:
        restored = restore(baseline.name, row, degraded)
        if (row in WITHOUT_KERNEL or factor > 1) and baseline.name != "input":
            assert restored is None
        else:
            assert restored.shape == (14 * factor, 11 * factor, 3)
            assert restored.dtype == np.uint8


def test_the_input_of_a_row_that_reduces_is_enlarged_as_image_editors_do():
    degraded = photo(14, 11)
    expected = Image.fromarray(degraded).resize((22, 28), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(restore("input", "x2-gauss-1.0", degraded), np.asarray(expected))


def test_unsharp_takes_the_rows_sigma_or_the_kernels_spread():
    degraded = photo()
    np.testing.assert_array_equal(restore("unsharp", "gauss-1.6", degraded), unsharp_mask(degraded, sigma_px=1.6))
    of_the_disk = restore("unsharp", "defocus-4", degraded).astype(int)
    near = unsharp_mask(degraded, sigma_px=2.0).astype(int)  # a disk spreads light as far as σ = r/2
    assert np.abs(of_the_disk - near).max() <= 2
