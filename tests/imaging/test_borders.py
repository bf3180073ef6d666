"""Bars and frames around a photo are found; edges in a photo, blurred or not, are none."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from acutance.geometry import Box
from acutance.imaging.borders import LEAST_PX, photo_in
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf
from acutance.imaging.picture import Picture

Maker = Callable[..., np.ndarray]


def framed(photo: np.ndarray, border: tuple[int, int, int, int], colour: int = 0) -> np.ndarray:
    """Put a border of so many px at the top, on the left, at the bottom and on the right around a photo."""
    top, left, bottom, right = border
    return np.pad(photo, ((top, bottom), (left, right), (0, 0)), constant_values=colour)


def as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def photo_box(size: tuple[int, ...], border: tuple[int, int, int, int]) -> Box:
    """Return where the photo lies; next to a border 2 px count as mixed with it."""
    top, left, bottom, right = (px + 2 if px else 0 for px in border)
    height, width = size[0] + border[0] + border[2], size[1] + border[1] + border[3]
    return Box(top, left, height - bottom, width - right)


@pytest.mark.parametrize("border", [(30, 0, 30, 0), (0, 9, 0, 0), (12, 20, 33, 7)], ids=["bars", "left", "frame"])
@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("psf", [None, line_psf(12.0, 0.5), disk_psf(4.0)], ids=["sharp", "line", "disk"])
def test_border_of_one_colour_is_found(
    photo: Maker, border: tuple[int, int, int, int], colour: int, psf: np.ndarray | None
) -> None:
    seen = photo(120, 150)
    seen = seen if psf is None else np.rint(convolve_mirror(seen, psf)).astype(np.uint8)
    assert photo_in(Picture(framed(seen, border, colour))) == photo_box(seen.shape, border)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_it_is_the_same_in_all_types_and_in_grey(photo: Maker, kind: type) -> None:
    pixels = framed(photo(90, 100), (10, 0, 20, 0))
    white = 1 if kind is np.float32 else np.iinfo(kind).max
    as_kind = (pixels.astype(np.float64) / 255 * white).astype(kind)
    expected = photo_box((90, 100), (10, 0, 20, 0))
    assert photo_in(Picture(as_kind)) == photo_in(Picture(as_kind[..., 1:2])) == expected


@pytest.mark.parametrize("top", [32, 37], ids=["between blocks", "within a block"])
def test_border_of_a_jpeg_is_found(photo: Maker, top: int) -> None:
    box = photo_in(Picture(as_jpeg(framed(photo(120, 150), (top, 0, 30, 0)), 80)))
    assert box.top == pytest.approx(top + 2, abs=1)
    assert box.bottom == pytest.approx(top + 120 - 2, abs=1)


def test_frame_in_a_frame_is_found(photo: Maker) -> None:
    pixels = framed(framed(photo(90, 100), (8, 8, 8, 8), 0), (20, 20, 20, 20), 250)
    assert photo_in(Picture(pixels)) == Box(30, 30, 116, 126)


def test_transparent_border_is_found_whatever_its_colour(photo: Maker) -> None:
    pixels = photo(100, 110)
    alpha = np.zeros((100, 110), np.uint8)
    alpha[20:90, 10:100] = 255
    assert photo_in(Picture(pixels, alpha)) == Box(22, 12, 88, 98)


def test_transparency_that_was_blurred_is_no_border(photo: Maker) -> None:
    """Colours begin at once, where a pixel shows hardly anything."""
    alpha = np.zeros((100, 110), np.uint8)
    alpha[:, 30:80] = 255
    alpha = np.rint(convolve_mirror(alpha[..., None], line_psf(9.0, 0.0))[..., 0]).astype(np.uint8)
    assert photo_in(Picture(photo(100, 110), alpha)) == Box(0, 0, 100, 110)


@pytest.mark.parametrize("psf", [gaussian_psf(1.6), disk_psf(3.0), line_psf(6.0, np.pi / 2), line_psf(6.0, 0.8)])
def test_what_is_blurred_with_its_photo_is_no_border(photo: Maker, psf: np.ndarray) -> None:
    """A bright sky that is clipped, a wall: its edge rises as slowly as all else."""
    pixels = framed(photo(120, 150), (30, 0, 0, 0), 255)
    seen = np.clip(np.rint(convolve_mirror(pixels, psf)), 0, 255).astype(np.uint8)
    assert photo_in(Picture(seen)) == Box(0, 0, 150, 150)


@pytest.mark.parametrize("border", [(0, 0, 0, 4), (3, 3, 3, 3)])
def test_thin_border_that_was_blurred_with_its_photo_is_none(photo: Maker, border: tuple[int, int, int, int]) -> None:
    """A scan has a thin one, and a bright line beside it; blurred, its edge rises within a few pixels."""
    pixels = framed(framed(photo(120, 150), (0, 0, 0, 1), 255), border, 100)
    seen = np.clip(np.rint(convolve_mirror(pixels, line_psf(4.0, 0.25))), 0, 255).astype(np.uint8)
    assert photo_in(Picture(seen)) == Box(0, 0, *pixels.shape[:2])


def test_what_is_no_photo_stays_whole(photo: Maker) -> None:
    for pixels in (
        photo(100, 120),
        np.full((100, 120, 3), 80, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        framed(photo(LEAST_PX, LEAST_PX), (20, 20, 20, 20)),
    ):
        assert photo_in(Picture(pixels)) == Box(0, 0, *pixels.shape[:2])
    page = np.full((100, 120, 3), 255, np.uint8)
    page[30:70:3, 30:60] = 0  # lines of text do not reach from one side to the other
    assert photo_in(Picture(page)) == Box(0, 0, 100, 120)


def test_it_turns_with_the_picture(photo: Maker) -> None:
    pixels = framed(photo(90, 100), (10, 20, 0, 7))
    top, left, bottom, right = photo_in(Picture(pixels))
    assert photo_in(Picture(pixels.transpose(1, 0, 2))) == Box(left, top, right, bottom)
    assert photo_in(Picture(pixels[::-1])) == Box(len(pixels) - bottom, left, len(pixels) - top, right)
