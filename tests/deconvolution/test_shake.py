"""Blind: the kernel of a shaken photo is found, and nothing is believed where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution import shake as shake_module
from acutance.deconvolution.known_kernel import KnownKernelOptions, deconvolved
from acutance.deconvolution.planes import sparseness
from acutance.deconvolution.psfs import path_midpoint, similarity
from acutance.deconvolution.shake import Evidence, Shake, find_shake, weighed
from acutance.deconvolution.texture import textured_box
from acutance.deconvolution.unknown_kernel import estimated_kernel
from acutance.geometry import Box
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, trajectory_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
CAREFUL = KnownKernelOptions(fidelity=6000.0)
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
    result = deconvolved(seen, shake.psf, CAREFUL, origin=shake.origin)
    # It lies where the camera was at half time, to a pixel or so: the best of a few shifts counts.
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


def test_phases_are_named_and_any_of_them_may_break_off(sharp):
    told = []

    def tell(share: float, doing: str) -> None:
        told.append((share, doing))
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        find_shake(seen_through(PATH, sharp)[:120, :140], progress=tell)
    shares, phases = zip(*told, strict=True)
    assert list(shares) == sorted(shares)
    assert 0 <= shares[0] < shares[-1] < 1
    assert phases[0] == "a first look for camera shake"
    assert len(set(phases)) == 3


def test_a_sharp_photo_costs_one_look_at_a_small_part(sharp, monkeypatch):
    looked_at = []

    def counted(grey, options):
        looked_at.append(grey.size)
        return estimated_kernel(grey, options)

    monkeypatch.setattr(shake_module, "estimated_kernel", counted)
    assert find_shake(np.tile(sharp, (2, 2))) is None
    assert len(looked_at) == 1
    assert looked_at[0] <= 60_000


def test_a_result_that_is_not_what_was_seen_is_told_by_its_misfit(sharp):
    seen = seen_through(PATH, sharp)
    right, wrong = weighed(seen, PATH), weighed(seen, PATH[::-1].T.copy())
    assert right.misfit < 0.5
    assert right.is_convincing
    assert wrong.misfit > 1.2
    assert not wrong.is_convincing


BANDS = Evidence(
    # Of a photo of a camera that turned: black and white bands, though the kernels agree well enough.
    agreement=0.74,
    spread_px=4.0,
    roundness=0.23,
    lens_likeness=0.6,
    cut=0.0,
    gain=1.22,
    excess=0.0088,
    misfit=1.1,
)
PLATE = replace(BANDS, agreement=0.9, roundness=0.33, lens_likeness=0.866, excess=0.0006, misfit=0.5)


def test_what_speaks_against_a_kernel():
    assert not BANDS.is_convincing
    assert PLATE.is_convincing  # a short path is much like a Gaussian, but not as round
    assert not replace(PLATE, roundness=0.7).is_convincing
    assert not replace(PLATE, cut=0.1).is_convincing
    assert replace(PLATE, spread_px=0.8).is_hopeless


def test_the_result_lies_where_the_camera_was_at_half_time(sharp):
    path = [(float(y), 0.0) for y in range(10)] + [(9.0, float(4 * x)) for x in range(1, 5)]
    psf = trajectory_psf(path)
    seen = seen_through(psf, sharp)
    truth = sharp[24:-24, 24:-24]
    known = Shake(psf=psf, evidence=PLATE, usual_residual=0.01, origin=path_midpoint(psf))
    assert known.origin == pytest.approx((2.0, -8.0), abs=0.6)
    inner = np.s_[20:-20, 20:-20]
    moved = np.roll(truth, (2, -8), (0, 1))
    assert ((deconvolved(seen, psf, CAREFUL, origin=known.origin) - moved)[inner] ** 2).mean() < 0.2 * (
        (seen - truth)[inner] ** 2
    ).mean()


def test_the_window_holds_the_texture():
    grey = np.full((1000, 1200), 0.5, np.float32)
    grey[600:, 800:] = np.random.default_rng(0).random((400, 400), dtype=np.float32)
    box = textured_box(grey, 120_000)
    assert box.size.pixels <= 120_000
    assert box.top >= 500
    assert box.left >= 600
    large = np.zeros((1600, 2400), np.float32)  # of which every other row and column is looked at
    large[420:, 1900:] = np.random.default_rng(0).random((1180, 500))
    box = textured_box(large, 240_000)
    assert (box.left, box.size, box.top >= 600) == (1800, (400, 600), True)
    assert textured_box(np.zeros((1101, 1801), np.float32), 1_982_900) == Box(0, 0, 1100, 1800)
    assert textured_box(grey[:50, :50]).size == (50, 50)
    assert textured_box(np.zeros((64, 100_000), np.float32), 40_000).size == (64, 625)  # not 5 px high


def test_one_colour_is_not_sparse():
    assert sparseness(np.full((20, 20), 0.3, np.float32)) == 1
