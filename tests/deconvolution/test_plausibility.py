"""Where a result rings it is not believed, where it is right it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.plausibility import WINDOW_PX, believed, mean_around, mean_step
from acutance.deconvolution.wiener import wiener_guides
from acutance.imaging.kernels import convolve_mirror, line_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


def blurred(plane: np.ndarray, psf: np.ndarray) -> np.ndarray:
    return convolve_mirror(plane[..., None], psf)[..., 0].astype(np.float32)


@pytest.fixture(scope="module")
def bars() -> np.ndarray:
    """Give two edges far apart, with flat places beside them."""
    plane = np.full((120, 160), 0.3, np.float32)
    plane[:, 60:100] = 0.8
    return plane


def test_nothing_done_is_believed(bars):
    np.testing.assert_array_equal(believed(bars, bars, 1.0), 1.0)


def test_a_right_result_is_believed():
    sharp = np.asarray(Image.open(PHOTO).convert("L"), np.float32)[80:280, 100:300] / 255
    psf = line_psf(8.0, 0.4)
    seen = blurred(sharp, psf)
    share = believed(seen, sharp, mean_step(sharp) / mean_step(seen))
    assert share.shape == sharp.shape
    assert share.dtype == np.float32
    assert share.mean() > 0.95


def test_an_edge_by_itself_may_be_as_steep_as_it_likes(bars):
    """The total variation of an edge is its height, sharp or not."""
    np.testing.assert_allclose(believed(blurred(bars, line_psf(12.0, 0.0)), bars, 1.0), 1.0, atol=0.03)


def test_a_wrong_kernel_is_not_believed_where_it_rings(bars):
    """Sharp bars, undone as if they had been moved across, but for their upper part: ripples beside them."""
    ringing = wiener_guides(bars, line_psf(16.0, 0.0))[0]
    ringing[:50] = bars[:50]
    share = believed(bars, ringing, 1.5)
    assert share[60, 75:85].max() < 0.2
    assert share[60, 30:45].max() < 0.2
    np.testing.assert_array_equal(share[: 50 - WINDOW_PX], 1.0)


@pytest.mark.parametrize("side", [1, 5, WINDOW_PX])
def test_means_at_the_border_are_of_what_lies_inside(side):
    plane = np.random.default_rng(0).random((31, 40))
    made = mean_around(plane, side)
    for y, x in ((0, 0), (30, 39), (15, 20), (2, 38), (30, 0)):
        reach = side // 2
        part = plane[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        assert made[y, x] == pytest.approx(part.mean())


def test_a_picture_smaller_than_a_place_has_one_growth():
    seen = np.zeros((6, 9), np.float32)
    seen[:, 4:] = 0.5
    step = 0.5 * 6 / 54  # in the mean; to which half a level is added
    growth = 3.25 * step / (step + 0.5 / 255) / 2
    np.testing.assert_allclose(believed(seen, 3.25 * seen, 2.0), (2.0 - growth) / 0.6, rtol=1e-5)
    np.testing.assert_allclose(believed(seen, 5 * seen, 2.0), 0.0)
