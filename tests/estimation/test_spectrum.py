"""Straight motion told by the bands of a spectrum: of letters, of a photo, and of what did not move."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from acutance.estimation.spectral_motions import apart_px, spectral_motions, told_exactly
from acutance.estimation.spectrum import BandedSpectrum, SpectralMotion
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
MOTIONS = [(8.0, 20.0), (11.0, 178.0), (13.0, 95.0), (16.0, 135.0)]


def lettering() -> np.ndarray:
    image = Image.new("L", (190, 84), 190)
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 18, 170, 64), fill=240, outline=20)
    draw.text((28, 26), "KX52 RTM", font=ImageFont.load_default(30), fill=25)
    ground = np.random.default_rng(0).normal(0, 6, (84, 190))
    return np.asarray(image, np.float64) + convolve_mirror(ground[..., None], gaussian_psf(1.0))[..., 0] * 3


def photo() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("L"), np.float64)[40:240, 120:320]


def whole_photo() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("L"), np.float64)


def seen(picture: np.ndarray, psf: np.ndarray, *, noise: float = 2.0) -> np.ndarray:
    blurred = convolve_mirror(picture[..., None], psf)[..., 0]
    blurred += np.random.default_rng(1).normal(0, noise, blurred.shape)
    return (np.clip(np.rint(blurred), 0, 255) / 255).astype(np.float32)


def true(length_px: float, degrees: float) -> SpectralMotion:
    return SpectralMotion(length_px=length_px, angle=math.radians(degrees), score=1.0)


@pytest.mark.parametrize(("length_px", "degrees"), MOTIONS)
@pytest.mark.parametrize("picture", [lettering, photo])
def test_motion_is_told_to_a_part_of_a_pixel(picture, length_px, degrees):
    (first, *_) = spectral_motions(seen(picture(), line_psf(length_px, math.radians(degrees))))
    assert apart_px(first, true(length_px, degrees)) < 0.6
    assert first.score > 0.4


@pytest.mark.parametrize(("length_px", "degrees"), [(30.0, 20.0), (44.0, 135.0), (60.0, 95.0)])
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_long_motion_is_told_as_well(length_px, degrees, noise):
    """Up to 26 px were looked for: it was told for half of its length, or for nothing."""
    (first, *_) = spectral_motions(seen(whole_photo(), line_psf(length_px, math.radians(degrees)), noise=noise))
    assert first.score > 0.5
    assert apart_px(first, true(length_px, degrees)) < 0.6


def fence() -> np.ndarray:
    """Return slats that lean a little: edges in nearly one direction."""
    image = Image.new("L", (512, 512), 120)
    draw = ImageDraw.Draw(image)
    drawn = np.random.default_rng(2)
    for left in range(-40, 520, 24):
        lean, shade = drawn.normal(0, 3), int(drawn.integers(150, 250))
        draw.polygon([(left, 0), (left + 12, 0), (left + 12 + lean, 512), (left + lean, 512)], fill=shade)
    return np.asarray(image, np.float64) + drawn.normal(0, 4, (512, 512))


def test_slats_are_not_taken_for_motion_along_them():
    spectrum = BandedSpectrum(seen(fence(), gaussian_psf(1.0), noise=1.0))
    lengths = np.arange(30, 66, 2)
    best = max(lengths, key=lambda length: spectrum.score(float(length), math.pi / 2))
    assert spectrum.score(float(best), math.pi / 2) > 0.3
    assert best == lengths[-1]
    assert all(one.score < 0.4 for one in spectral_motions(seen(fence(), gaussian_psf(1.0), noise=1.0)))


@pytest.mark.parametrize("sigma", [4.0, 6.0, 9.0])
def test_one_band_before_the_noise_is_not_enough(sigma):
    assert all(one.score < 0.4 for one in spectral_motions(seen(whole_photo(), gaussian_psf(sigma), noise=0.0)))


@pytest.mark.parametrize(("length_px", "degrees"), [(3.5, 70.0), (4.0, 20.0), *MOTIONS])
def test_the_kernels_own_spectrum_tells_motion_exactly(length_px, degrees):
    """By the bands of an ideal line the ends were told 0.05 to 0.15 px off."""
    picture = seen(whole_photo(), line_psf(length_px, math.radians(degrees)), noise=0.0)
    (first, *_) = spectral_motions(picture)
    assert first.score > 0.6
    assert apart_px(told_exactly(picture, first), true(length_px, degrees)) < 0.05


def wide_one_way(across_px: float, along_px: float, angle: float) -> np.ndarray:
    """Return a Gaussian whose σ differ, `25 25`."""
    y, x = np.mgrid[-12:13, -12:13]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    kernel = np.exp(-((along / along_px) ** 2 + (across / across_px) ** 2) / 2)
    return kernel / kernel.sum()


@pytest.mark.parametrize(
    "psf",
    [wide_one_way(0.8, 2.5, 0.5), wide_one_way(0.6, 1.6, 1.2), np.full((3, 3), 1 / 9), np.full((5, 5), 1 / 25)],
    ids=["Gaussian", "wide Gaussian", "3x3", "5x5"],
)
def test_what_has_other_causes_is_no_motion(psf):
    """They were told for motion of 3 to 7 px, with scores of 0.5 to 0.8."""
    assert all(one.score < 0.4 for one in spectral_motions(seen(whole_photo(), psf, noise=0.0)))


@pytest.mark.parametrize("length_px", [9.0, 13.0, 16.0])
def test_a_plate_in_grain_is_not_taken_for_a_gaussian(length_px):
    """Where noise fills the bands, a Gaussian explains them as well."""
    blurred = convolve_mirror(lettering()[..., None], line_psf(length_px, 0.0))
    grain = convolve_mirror(np.random.default_rng(1).normal(0, 15, blurred.shape), gaussian_psf(0.8))
    plate = np.clip(np.rint(blurred + grain), 0, 255)[..., 0] / 255
    (first, *_) = spectral_motions(plate.astype(np.float32))
    assert apart_px(first, true(length_px, 0.0)) < 0.5


@pytest.mark.parametrize("factor", [3, 4])
def test_an_enlarged_photo_did_not_move(factor):
    image = Image.open(PHOTO).convert("L")
    small = image.resize((512 // factor, 512 // factor), Image.Resampling.LANCZOS)
    enlarged = small.resize(image.size, Image.Resampling.BILINEAR)
    assert all(one.score < 0.4 for one in spectral_motions(np.asarray(enlarged, np.float32) / 255))


@pytest.mark.parametrize("psf", [np.ones((1, 1)), gaussian_psf(2.0), disk_psf(3.0)])
def test_a_photo_that_did_not_move_has_no_clear_bands(psf):
    assert all(one.score < 0.4 for one in spectral_motions(seen(photo(), psf), most=1))


def test_candidates_are_apart_and_in_order():
    found = spectral_motions(seen(lettering(), line_psf(11.0, 0.3)), most=4)
    assert 1 <= len(found) <= 4
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_motion_and_its_opposite_are_one():
    assert apart_px(true(10, 1), true(10, 181)) == pytest.approx(0)
    assert apart_px(true(10, 0), true(12, 0)) == pytest.approx(1)
    assert apart_px(true(10, 179), true(10, 1)) == pytest.approx(10 * math.sin(math.radians(1)))


def test_what_is_too_small_or_flat_tells_nothing():
    assert spectral_motions(np.zeros((20, 200), np.float32)) == ()
    flat = spectral_motions(np.full((60, 60), 0.5, np.float32))
    assert all(abs(one.score) < 0.4 for one in flat)
    assert math.isfinite(BandedSpectrum(np.full((30, 30), 0.5, np.float32)).score(9.0, 0.0))
