"""Grain is no more after than before, and what is beside it stays as the network gave it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from acutance.inference.grain import calmed
from acutance.inference.sharpener import Sharpener
from acutance.metrics.grain import grain_in_flat_places
from acutance.metrics.psnr import psnr

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
GRAIN_PX = 0.7
FLAT, DETAIL = np.s_[20:140, 20:80], np.s_[20:140, 110:170]


def grain_of(shape: tuple[int, int], levels: float) -> np.ndarray:
    drawn = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(shape), GRAIN_PX)
    return levels / drawn.std() * drawn[..., np.newaxis]


def to_pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def seen() -> np.ndarray:
    """Half of it flat, and darker downwards; half of it blurred detail; grain all over, more of it where it is dark."""
    detail = ndimage.gaussian_filter(np.random.default_rng(4).standard_normal((160, 90)), 2.0)
    ground = np.linspace(160, 90, 160)[:, np.newaxis] + np.zeros((160, 180))
    ground[:, 90:] += 40 / detail.std() * detail
    grain = grain_of((160, 180), 6.0) * np.linspace(0.8, 1.2, 160)[:, np.newaxis, np.newaxis]
    return to_pixels(ground[..., np.newaxis] + grain + np.zeros(3))


def twice_as_steep(pixels: np.ndarray) -> np.ndarray:
    """What a network does that takes grain for detail."""
    values = pixels.astype(float)
    return to_pixels(values + 1.0 * (values - ndimage.gaussian_filter(values, (3, 3, 0))))


def fine(pixels: np.ndarray) -> float:
    return float((pixels - ndimage.uniform_filter(pixels.astype(float), (13, 13, 0))).std())


def test_less_grain_is_left_of_a_flat_place(seen):
    restored = twice_as_steep(seen)
    result = calmed(seen, restored, levels=6.0, strength=1.0)
    assert fine(restored[FLAT]) > 1.5 * fine(seen[FLAT])
    assert fine(result[FLAT]) < 0.75 * fine(seen[FLAT])


def test_detail_stays_as_the_network_gave_it(seen):
    restored = twice_as_steep(seen)
    result = calmed(seen, restored, levels=6.0, strength=1.0)
    assert fine(result[DETAIL]) > 0.97 * fine(restored[DETAIL])


def test_what_is_smooth_already_stays(seen):
    restored = to_pixels(ndimage.gaussian_filter(seen.astype(float), (3, 3, 0)))
    np.testing.assert_array_equal(calmed(seen, restored, levels=6.0, strength=1.0), restored)


@pytest.mark.parametrize("pixel_type", [np.uint16, np.float32])
def test_every_type_of_pixel_is_calmed_alike(seen, pixel_type):
    white = {np.uint16: 257, np.float32: np.float32(1 / 255)}[pixel_type]
    ours, theirs = (one.astype(pixel_type) * pixel_type(white) for one in (seen, twice_as_steep(seen)))
    result = calmed(ours, theirs, levels=6.0, strength=1.0)
    expected = calmed(seen, twice_as_steep(seen), levels=6.0, strength=1.0)
    assert result.dtype == pixel_type
    assert np.abs(result / white - expected.astype(float)).max() <= 0.51


def test_strength_goes_from_what_was_seen(seen):
    restored = twice_as_steep(seen)
    np.testing.assert_array_equal(calmed(seen, restored, levels=6.0, strength=0.0), seen)
    half = calmed(seen, restored, levels=6.0, strength=0.5).astype(float)
    whole = calmed(seen, restored, levels=6.0, strength=1.0).astype(float)
    assert np.abs(half - (seen + whole) / 2).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 40, 1), (40, 3, 3)])
def test_small_and_flat_pictures_are_taken(shape):
    flat = np.full(shape, 90, np.uint8)
    np.testing.assert_array_equal(calmed(flat, flat, levels=3.0, strength=1.0), flat)


def test_auto_leaves_less_grain_in_a_photo_and_comes_nearer_to_the_truth():
    with Image.open(PHOTO) as opened:
        sharp = np.asarray(opened.convert("RGB"))[:200, :240]
    blurred = ndimage.gaussian_filter(sharp.astype(float), (1.6, 1.6, 0))
    seen = to_pixels(blurred + grain_of((200, 240), 12.0))
    with Sharpener(threads=1) as sharpener:
        result = sharpener(seen)
    assert grain_in_flat_places(result, sharp) < 0.75 * grain_in_flat_places(seen, sharp)
    assert psnr(result, sharp) > psnr(seen, sharp) + 1.5
