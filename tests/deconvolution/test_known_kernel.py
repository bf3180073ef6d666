from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.known_kernel import KnownKernelOptions, deconvolved, noise_sigma
from acutance.deconvolution.planes import differences, differences_adjoint, plane_of, spectrum_of
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, trajectory_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


def grey(height: int = 120, width: int = 160, *, top: int = 180, left: int = 160) -> np.ndarray:
    """Return a part of a photo, in [0, 1]."""
    pixels = np.asarray(Image.open(PHOTO).convert("L"), np.float32) / 255
    return pixels[top : top + height, left : left + width].copy()


def blurred(psf: np.ndarray, **part: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a sharp part of a photo, and what a camera would record of it: the border comes from outside the part."""
    margin = 40
    sharp = grey(120 + 2 * margin, 160 + 2 * margin, top=140, left=120)
    wide = convolve_mirror(sharp[..., None], psf)[..., 0]
    inner = np.s_[margin:-margin, margin:-margin]
    return sharp[inner], (np.rint(wide[inner] * 255) / 255).astype(np.float32)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(((a - b) ** 2).mean()))


PATH = trajectory_psf([(0.0, 0.0), (3.0, 6.0), (-2.0, 11.0), (0.5, 12.0)])


@pytest.mark.parametrize("psf", [PATH, gaussian_psf(1.5)], ids=["path", "gaussian"])
def test_a_known_blur_is_undone_up_to_the_border(psf):
    sharp, seen = blurred(psf)
    result = deconvolved(seen, psf)
    assert result.shape == seen.shape
    assert result.dtype == np.float32
    assert psnr(result, sharp) > psnr(seen, sharp) + 4
    border = np.ones(sharp.shape, bool)
    border[6:-6, 6:-6] = False
    assert psnr(result[border], sharp[border]) > psnr(seen[border], sharp[border])


def test_several_channels_are_done_like_each_of_them():
    _, seen = blurred(PATH)
    channels = np.stack([seen, 0.5 * seen[::-1]])
    together = deconvolved(channels, PATH)
    assert together.shape == channels.shape
    for channel, result in zip(channels, together, strict=True):
        np.testing.assert_array_equal(result, deconvolved(channel, PATH))


def test_the_origin_says_where_the_result_lies():
    _, seen = blurred(PATH)
    here, there = deconvolved(seen, PATH), deconvolved(seen, PATH, origin=(0.0, 3.0))
    inner = np.s_[30:-30, 30:-30]
    np.testing.assert_allclose(np.roll(here, 3, 1)[inner], there[inner], atol=0.01)
    half = deconvolved(seen, PATH, origin=(0.0, 0.5))[inner]
    mean = 0.5 * (here + np.roll(here, 1, 1))[inner]
    assert np.abs(half - mean).mean() < 0.3 * np.abs(here - np.roll(here, 1, 1))[inner].mean()


@pytest.mark.parametrize("threads", [1, 3])
def test_noise_does_not_come_out_in_colours(threads):
    rng = np.random.default_rng(0)
    seen = (0.5 + rng.normal(0, 3 / 255, (3, 80, 90))).astype(np.float32)
    options = KnownKernelOptions(fidelity=6000.0)
    together = deconvolved(seen, PATH, options, threads=threads)
    alone = np.stack([deconvolved(channel, PATH, options) for channel in seen])

    def colour(planes: np.ndarray) -> float:
        return float((planes - planes.mean(axis=0)).std())

    assert colour(together) < 0.7 * colour(alone)
    np.testing.assert_allclose(together.mean(), 0.5, atol=0.01)


def test_clipped_colours_do_not_ring():
    sharp = np.full((3, 80, 80), 0.2, np.float32)
    sharp[0, 38:42, 38:42] = 8.0  # a red lamp
    seen = np.stack([np.clip(convolve_mirror(one[..., None], PATH)[..., 0], 0, 1) for one in sharp]).astype(np.float32)
    aware = deconvolved(seen, PATH)
    unaware = deconvolved(seen, PATH, KnownKernelOptions(clipped=2.0))
    assert aware.min() > 0.6 * unaware.min()


def test_the_fft_and_its_inverse():
    plane = np.random.default_rng(0).random((30, 25), dtype=np.float32)
    spectrum = spectrum_of(plane)
    assert spectrum.dtype == np.complex64
    np.testing.assert_allclose(spectrum, np.fft.rfft2(plane.astype(np.float64)), atol=1e-3)
    np.testing.assert_allclose(plane_of(spectrum, (30, 25)), plane, atol=1e-6)


def test_differences_and_their_adjoint():
    rng = np.random.default_rng(1)
    plane, right, down = (rng.random((9, 7), dtype=np.float32) for _ in range(3))
    dx, dy = differences(plane)
    np.testing.assert_array_equal(dx, np.roll(plane, -1, 1) - plane)
    np.testing.assert_array_equal(dy, np.roll(plane, -1, 0) - plane)
    assert (dx * right + dy * down).sum() == pytest.approx((plane * differences_adjoint(right, down)).sum(), abs=1e-4)


def test_no_blur_changes_next_to_nothing():
    sharp = grey()
    assert np.abs(deconvolved(sharp, np.ones((1, 1))) - sharp).max() < 0.02


def test_a_tile_with_a_halo_is_the_whole():
    _, seen = blurred(PATH)
    options = KnownKernelOptions(fidelity=6000.0)
    whole = deconvolved(seen, PATH, options)
    halo = 4 * PATH.shape[1]
    tile = deconvolved(seen[:, : 80 + halo], PATH, options)[:, :80]
    assert np.sqrt(((tile - whole[:, :80]) ** 2).mean()) < 1 / 255


def test_what_is_clipped_does_not_ring():
    sharp = np.full((80, 80), 0.2, np.float32)
    sharp[38:42, 38:42] = 8.0  # a lamp
    seen = np.clip(convolve_mirror(sharp[..., None], PATH)[..., 0], 0, 1).astype(np.float32)
    aware = deconvolved(seen, PATH)
    unaware = deconvolved(seen, PATH, KnownKernelOptions(clipped=2.0))
    assert aware.min() > 0.5 * unaware.min()  # both below 0: a dark ring


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 3), (40, 7)])
def test_small_pictures_keep_their_shape(shape):
    seen = np.random.default_rng(0).random(shape, dtype=np.float32)
    result = deconvolved(seen, PATH)
    assert result.shape == shape
    assert np.isfinite(result).all()


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_noise_is_estimated(sigma):
    noise = np.random.default_rng(1).normal(0, sigma / 255, (200, 200)).astype(np.float32)
    assert noise_sigma(0.5 + noise) * 255 == pytest.approx(sigma, rel=0.15)


def test_noise_is_at_least_that_of_rounding():
    assert noise_sigma(np.zeros((64, 64), np.float32)) == pytest.approx(0.29 / 255)
    assert noise_sigma(np.zeros((3, 3), np.float32)) == pytest.approx(0.29 / 255)
