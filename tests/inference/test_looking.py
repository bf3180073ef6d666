"""The shipped estimator at work, on a photo that was blurred by the exact kernels."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import acutance
import acutance.estimation
from acutance.engines.processor import usable_cpus
from acutance.errors import ConfigError
from acutance.estimation.classes import CLASSES
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf
from acutance.inference import looking
from acutance.inference.looking import STRIDE_PX, WINDOW_PX, blur_field

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


def seen_through(psf: np.ndarray, *, size: tuple[int, int] = (300, 320)) -> np.ndarray:
    """Blur a part of the photo's brightness, free of borders, and round it."""
    sharp = np.asarray(Image.open(PHOTO).convert("L"), np.float64)[20 : size[0] + 60, 40 : size[1] + 80]
    blurred = convolve_mirror(sharp[..., None], psf)[20:-20, 20:-20, 0]
    return (np.clip(np.rint(blurred), 0, 255) / 255).astype(np.float32)


def test_the_estimator_comes_with_the_package():
    assert (Path(acutance.estimation.__file__).parent / "estimator.onnx").stat().st_size > 1_000_000


def test_windows_are_those_that_it_was_trained_on():
    network = pytest.importorskip("acutance.networks.estimator", reason="needs the extra `train`")
    assert (network.WINDOW_PX, network.STRIDE_PX) == (WINDOW_PX, STRIDE_PX)


@pytest.mark.parametrize("degrees", [0, 30, 75, 90, 135])
def test_straight_motion_is_told(degrees):
    told = blur_field(seen_through(line_psf(10.0, math.radians(degrees))), threads=1).whole
    assert told.kind == "line"
    assert told.strength_px == pytest.approx(10.0, rel=0.15)
    assert abs((math.degrees(told.angle) - degrees + 90) % 180 - 90) < 6


def test_a_disk_and_a_gaussian_are_told_apart():
    told = blur_field(seen_through(disk_psf(3.0)), threads=1).whole
    assert told.kind == "defocus"
    assert told.strength_px == pytest.approx(3.0, rel=0.15)
    told = blur_field(seen_through(gaussian_psf(2.0)), threads=1).whole
    assert told.kind == "gaussian"
    assert told.strength_px == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("cut", [(3, 5), (6, 1)])
def test_windows_begin_with_a_block_of_jpeg_wherever_a_picture_was_cut(cut):
    stored = io.BytesIO()
    Image.fromarray(np.uint8(np.rint(255 * seen_through(disk_psf(2.5))))).save(stored, "JPEG", quality=70)
    photo = np.asarray(Image.open(stored), np.float32) / 255
    rows, columns = cut
    seen = blur_field(photo[rows:, columns:], threads=1)
    assert np.array_equal(seen.log_shares, blur_field(photo[8:, 8:], start=(0, 0), threads=1).log_shares)
    assert seen.whole.kind == "defocus"


def test_a_sharp_photo_is_told_for_one():
    assert blur_field(seen_through(gaussian_psf(0.0)), threads=1).whole.is_sharp


def test_noise_is_told():
    seen = seen_through(gaussian_psf(1.5))
    noisy = seen + np.random.default_rng(0).normal(0, 4 / 255, seen.shape).astype(np.float32)
    assert blur_field(noisy, threads=1).noise == pytest.approx(4.0, rel=0.3)
    assert blur_field(seen, threads=1).noise < 0.5


def test_exposure_does_not_matter():
    seen = seen_through(line_psf(8.0, 0.5))
    bright, dark = (blur_field(factor * seen, threads=1).whole for factor in (np.float32(1), np.float32(0.3)))
    assert (dark.kind, dark.strength_px) == (bright.kind, pytest.approx(bright.strength_px, rel=0.02))


def test_each_window_has_the_answer_of_the_window_alone(monkeypatch):
    seen = seen_through(line_psf(8.0, 0.5), size=(WINDOW_PX + STRIDE_PX + 9, WINDOW_PX + 3 * STRIDE_PX))
    field = blur_field(seen, threads=1)
    assert field.log_shares.shape == (CLASSES, 2, 4)
    for row, column in ((0, 0), (1, 3)):
        top, left = row * STRIDE_PX, column * STRIDE_PX
        alone = blur_field(seen[top : top + WINDOW_PX, left : left + WINDOW_PX], threads=1)
        np.testing.assert_allclose(
            np.exp(field.log_shares[:, row, column]), np.exp(alone.log_shares[:, 0, 0]), atol=1e-3
        )
    monkeypatch.setattr(looking, "_AT_ONCE", 1)
    apart = blur_field(seen, threads=1)
    np.testing.assert_allclose(np.exp(apart.log_shares), np.exp(field.log_shares), atol=1e-3)
    np.testing.assert_allclose(apart.noise_levels, field.noise_levels, atol=1e-2)


@pytest.mark.parametrize("size", [(1, 1), (40, 200), (WINDOW_PX, WINDOW_PX)])
def test_small_pictures_are_continued(size):
    field = blur_field(np.random.default_rng(0).random(size, np.float32), threads=1)
    assert field.noise_levels.shape == (1, (max(size[1], WINDOW_PX) - WINDOW_PX) // STRIDE_PX + 1)
    assert np.isfinite(field.log_shares).all()


def test_it_takes_no_more_threads_than_there_are_cpus(monkeypatch):
    """Hundreds on a few CPUs hinder each other: a look that takes half a second took fifteen."""
    asked: list[int] = []
    session = looking._session
    monkeypatch.setattr(looking, "_session", lambda threads: asked.append(threads) or session(1))
    blur_field(np.zeros((WINDOW_PX, WINDOW_PX), np.float32), threads=100_000)
    assert asked == [usable_cpus()]
    with pytest.raises(ConfigError, match="threads = -1"):
        acutance.inspect(
            np.zeros((300, 300, 3), np.uint8) + np.arange(300, dtype=np.uint8)[:, None] // 4 * 3, threads=-1
        )
