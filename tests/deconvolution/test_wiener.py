"""The closed form that a network is told by: crisp to smooth, nearer to the truth, right up to the border."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.wiener import PENALTIES, wiener_guides
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
CUT = 24


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("L"), np.float32)[80:280, 100:310] / 255


def seen_through(psf: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    wide = convolve_mirror(sharp[..., None], psf)[CUT:-CUT, CUT:-CUT, 0]
    return (np.rint(np.clip(wide, 0, 1) * 255) / 255).astype(np.float32)


def error(plane: np.ndarray, truth: np.ndarray) -> float:
    return float(((plane - truth) ** 2).mean())


@pytest.mark.parametrize(
    "psf", [line_psf(10.0, 0.6), disk_psf(3.0), gaussian_psf(1.5)], ids=["line", "disk", "gaussian"]
)
def test_guides_are_nearer_to_the_truth(psf, sharp):
    seen, truth = seen_through(psf, sharp), sharp[CUT:-CUT, CUT:-CUT]
    guides = wiener_guides(seen, psf)
    assert guides.shape == (len(PENALTIES), *seen.shape)
    assert guides.dtype == np.float32
    inner = np.s_[20:-20, 20:-20]
    assert error(guides[1][inner], truth[inner]) < 0.5 * error(seen[inner], truth[inner])
    assert error(guides[2], truth) < 0.8 * error(seen, truth)
    rough = [float((np.diff(guide, axis=1) ** 2).mean()) for guide in guides]
    assert rough[0] > rough[1] > rough[2]


def test_on_a_period_it_is_the_formula():
    """A picture that is smooth as a period needs nothing beyond its border, so all there is are two FFTs."""
    y, x = np.mgrid[0:60, 0:60] * 2 * np.pi / 60
    truth = 0.5 + 0.2 * np.sin(3 * x) * np.cos(2 * y)
    psf = gaussian_psf(1.5)
    transfer = np.exp(-0.5 * 1.5**2 * ((3 * 2 * np.pi / 60) ** 2 + (2 * 2 * np.pi / 60) ** 2))
    seen = (0.5 + transfer * (truth - 0.5)).astype(np.float32)
    roughness = 4 - 2 * np.cos(3 * 2 * np.pi / 60) - 2 * np.cos(2 * 2 * np.pi / 60)
    inner = np.s_[20:40, 20:40]
    for guide, penalty in zip(wiener_guides(seen, psf), PENALTIES, strict=True):
        expected = 0.5 + transfer * (seen - 0.5) / (transfer**2 + penalty * roughness)
        np.testing.assert_allclose(guide[inner], expected[inner], atol=0.01)


def test_the_border_does_not_ring(sharp):
    psf = line_psf(10.0, 0.6)
    seen, truth = seen_through(psf, sharp), sharp[CUT:-CUT, CUT:-CUT]
    off = (wiener_guides(seen, psf)[1] - truth) ** 2
    frame = np.ones(off.shape, bool)
    frame[8:-8, 8:-8] = False
    assert off[frame].mean() < 2.5 * ((seen - truth) ** 2)[frame].mean()


def test_an_origin_moves_the_result(sharp):
    psf = line_psf(8.0, 0.0)
    seen = seen_through(psf, sharp)
    at_middle, moved = wiener_guides(seen, psf)[1], wiener_guides(seen, psf, origin=(0.0, 2.0))[1]
    inner = np.s_[30:-30, 30:-30]
    np.testing.assert_allclose(moved[inner], np.roll(at_middle, 2, 1)[inner], atol=0.03)


def test_a_point_leaves_the_picture(sharp):
    seen = sharp[:64, :50]
    np.testing.assert_allclose(wiener_guides(seen, np.ones((1, 1)))[0], seen, atol=0.01)


@pytest.mark.parametrize("size", [(3, 3), (8, 40), (5, 6)])
def test_small_planes_come_back_finite(size):
    seen = np.random.default_rng(0).random(size, np.float32)
    assert np.isfinite(wiener_guides(seen, line_psf(9.0, 0.3))).all()
