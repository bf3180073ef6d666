"""How far out of focus a photo is, told by the rings of its spectrum."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.estimation.rings import disk_radius
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf, trajectory_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("L"), np.float64)


def seen(sharp: np.ndarray, psf: np.ndarray, *, noise: float = 0.0) -> np.ndarray:
    blurred = convolve_mirror(sharp[..., None], psf)[..., 0] + np.random.default_rng(1).normal(0, noise, sharp.shape)
    return (np.clip(np.rint(blurred), 0, 255) / 255).astype(np.float32)


@pytest.mark.parametrize("radius", [2.0, 2.6, 3.5, 5.0, 8.0, 11.0, 15.0])
def test_the_radius_is_told_to_some_hundredths_of_a_pixel(sharp, radius):
    assert disk_radius(seen(sharp, disk_psf(radius))) == pytest.approx(radius, abs=0.05 if radius < 6 else 0.1)


@pytest.mark.parametrize("radius", [6.0, 10.0])
def test_a_jpeg_tells_it_too(sharp, radius):
    stored = io.BytesIO()
    Image.fromarray(np.uint8(255 * seen(sharp, disk_psf(radius)) + 0.5)).save(stored, "JPEG", quality=75)
    assert disk_radius(np.asarray(Image.open(stored), np.float32) / 255) == pytest.approx(radius, abs=0.15)


@pytest.mark.parametrize("radius", [3.0, 4.5])
def test_noise_and_a_soft_lens_hardly_change_it(sharp, radius):
    assert disk_radius(seen(sharp, disk_psf(radius), noise=2.0)) == pytest.approx(radius, abs=0.1)
    softened = convolve_mirror(np.pad(disk_psf(radius), 4)[..., None], gaussian_psf(0.7))[..., 0]
    assert disk_radius(seen(sharp, softened)) == pytest.approx(radius, abs=0.1)


@pytest.mark.parametrize(
    "psf",
    [
        np.ones((1, 1)),
        gaussian_psf(0.9),
        gaussian_psf(1.3),
        gaussian_psf(2.5),
        gaussian_psf(6.0),
        line_psf(5.0, 0.5),
        line_psf(9.0, 0.0),
        trajectory_psf([(0.0, 0.0), (4.0, 5.0), (1.0, 10.0)]),
    ],
    ids=["sharp", "0.9", "1.3", "2.5", "6.0", "line 5", "line 9", "path"],
)
def test_what_else_blurred_it_has_no_rings(sharp, psf):
    assert disk_radius(seen(sharp, psf)) is None
    assert disk_radius(seen(sharp, psf, noise=3.0)) is None


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("by", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.NEAREST])
def test_what_was_enlarged_has_none(sharp, factor, by):
    small = Image.fromarray(sharp.astype(np.uint8)).resize((512 // factor, 512 // factor), Image.Resampling.LANCZOS)
    assert disk_radius(np.asarray(small.resize((512, 512), by), np.float32) / 255) is None


def test_what_is_too_small_or_flat_tells_nothing():
    assert disk_radius(np.zeros((20, 200), np.float32)) is None
    assert disk_radius(np.full((90, 90), 0.5, np.float32)) is None
