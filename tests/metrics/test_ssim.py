"""SSIM against scikit-image, MS-SSIM against a naive program."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from acutance.errors import InputError
from acutance.metrics.ssim import MS_SSIM_WEIGHTS, ms_ssim, ssim


def pair(height, width, *, noise=20.0, seed=0):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.uniform(-900, 1155, (height, width, 3)), (3, 3, 0))
    reference = np.clip(smooth, 0, 255).astype(np.uint8)
    restored = np.clip(ndimage.gaussian_filter(reference.astype(float), (1.5, 1.5, 0)), 0, 255)
    return np.clip(restored + rng.normal(0, noise, restored.shape), 0, 255).astype(np.uint8), reference


def oracle(restored, reference):
    return structural_similarity(
        restored,
        reference,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
    )


@pytest.mark.parametrize("size", [(11, 11), (12, 40), (64, 47), (97, 130)])
@pytest.mark.parametrize("noise", [0.0, 3.0, 40.0])
def test_ssim_is_scikit_images(size, noise):
    restored, reference = pair(*size, noise=noise)
    assert ssim(restored, reference) == pytest.approx(oracle(restored, reference), abs=1e-9)


def test_ssim_of_flat_saturated_and_opposite_photos():
    white = np.full((20, 20, 3), 255, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for restored, reference in [(white, white), (white, 0 * white), (noise, 255 - noise)]:
        assert ssim(restored, reference) == pytest.approx(oracle(restored, reference), abs=1e-9)
    assert ssim(noise, noise) == pytest.approx(1, abs=1e-12)


def naive_ms_ssim(restored, reference):
    """Wang et al. 2003, straight from the formulae, one channel after the other."""

    def mean(values):
        return ndimage.gaussian_filter(values, 1.5, radius=5)[5:-5, 5:-5]

    results = []
    for c in range(3):
        x, y = restored[:, :, c].astype(float), reference[:, :, c].astype(float)
        result = 1.0
        for scale, weight in enumerate(MS_SSIM_WEIGHTS):
            mx, my = mean(x), mean(y)
            cs = (2 * (mean(x * y) - mx * my) + 58.5225) / (mean(x * x) - mx**2 + mean(y * y) - my**2 + 58.5225)
            luminance = (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025)
            result *= (cs * luminance if scale == 4 else cs).mean() ** weight
            x, y = ((v[0 : v.shape[0] // 2 * 2 : 2] + v[1::2]) / 2 for v in (x, y))  # rows, then columns below
            x, y = ((v[:, 0 : v.shape[1] // 2 * 2 : 2] + v[:, 1::2]) / 2 for v in (x, y))
        results.append(result)
    return np.mean(results)


@pytest.mark.parametrize("size", [(176, 176), (181, 207)])
def test_ms_ssim_is_the_naive_program(size):
    restored, reference = pair(*size)
    assert ms_ssim(restored, reference) == pytest.approx(naive_ms_ssim(restored, reference), abs=1e-9)


def test_ms_ssim_of_equal_and_opposite_photos():
    noise = np.random.default_rng(0).integers(0, 256, (176, 176, 3), dtype=np.uint8)
    assert ms_ssim(noise, noise) == pytest.approx(1, abs=1e-12)
    assert ms_ssim(noise, 255 - noise) == 0  # negative structure counts as none


def test_small_photos_are_refused():
    small = np.zeros((10, 200, 3), np.uint8)
    with pytest.raises(InputError, match=r"200×10 px.* 11 px"):
        ssim(small, small)
    with pytest.raises(InputError, match=r"200×175 px.* 176 px"):
        ms_ssim(np.zeros((175, 200, 3), np.uint8), np.zeros((175, 200, 3), np.uint8))
