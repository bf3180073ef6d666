"""Blind: the kernel of a shaken photo is found, and nothing is believed where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.psfs import similarity
from acutance.deconvolution.shake import Shake, find_shake, textured_box
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, trajectory_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
PATH = trajectory_psf([(0.0, 0.0), (4.0, 5.0), (1.0, 10.0), (3.0, 14.0)])


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("L"), np.float32)[100:340, 100:380] / 255


def seen_through(psf: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    wide = convolve_mirror(sharp[..., None], psf)[..., 0]
    return (np.rint(np.clip(wide[24:-24, 24:-24], 0, 1) * 255) / 255).astype(np.float32)


@pytest.fixture(scope="module")
def shake(sharp) -> Shake:
    found = find_shake(seen_through(PATH, sharp), threads=2)
    assert found is not None
    return found


def test_the_kernel_is_found(shake):
    assert similarity(shake.psf, PATH) > 0.8
    assert shake.psf.sum() == pytest.approx(1)
    assert shake.psf.min() >= 0
    assert 10 < shake.length_px < 25


def test_the_photo_is_sharper_for_it(shake, sharp):
    seen = seen_through(PATH, sharp)
    truth = sharp[24:-24, 24:-24]
    inner = np.s_[20:-20, 20:-20]
    result = shake.undone(seen)
    # Where the result lies is a convention, to a pixel or so: the best of a few shifts counts.
    errors = [
        float(((np.roll(result, (dy, dx), (0, 1)) - truth)[inner] ** 2).mean())
        for dy in range(-3, 4)
        for dx in range(-3, 4)
    ]
    before = [
        float(((np.roll(seen, (dy, dx), (0, 1)) - truth)[inner] ** 2).mean())
        for dy in range(-3, 4)
        for dx in range(-3, 4)
    ]
    assert min(errors) < 0.5 * min(before)


def test_what_moved_by_itself_is_not_trusted(shake, sharp):
    seen = seen_through(PATH, sharp)
    assert shake.trust(seen).mean() > 0.8
    other = seen.copy()
    other[80:150, 80:150] = seen_through(np.ones((1, 1)), sharp)[80:150, 80:150]
    trust = shake.trust(other)
    assert trust.dtype == np.float32
    assert trust[100:130, 100:130].mean() < 0.75 * trust[:60, :60].mean()


@pytest.mark.parametrize("psf", [np.ones((1, 1)), gaussian_psf(2.0)], ids=["sharp", "lens"])
def test_nothing_is_found_where_there_is_no_shake(psf, sharp):
    assert find_shake(seen_through(psf, sharp), threads=2) is None


@pytest.mark.parametrize(
    "grey",
    [np.full((200, 200), 0.4, np.float32), np.random.default_rng(0).random((63, 300), dtype=np.float32)],
    ids=["even", "small"],
)
def test_nothing_is_looked_for_in_pictures_that_tell_nothing(grey):
    assert find_shake(grey) is None


def test_progress_is_told_and_may_break_off(sharp):
    told = []

    def tell(share: float) -> None:
        told.append(share)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_shake(seen_through(PATH, sharp)[:100, :100], progress=tell)
    assert len(told) == 1
    assert 0 < told[0] < 1


def test_the_window_holds_the_texture():
    grey = np.full((1000, 1200), 0.5, np.float32)
    grey[600:, 800:] = np.random.default_rng(0).random((400, 400), dtype=np.float32)
    box = textured_box(grey, 120_000)
    assert box.size.pixels <= 120_000
    assert box.top >= 500
    assert box.left >= 600
    assert textured_box(grey[:50, :50]).size == (50, 50)
