"""A photo with bars or a frame around it is looked at, and freed of its blur, within them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import acutance
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ConfigError
from acutance.geometry import Box
from acutance.imaging.kernels import convolve_mirror, disk_psf, line_psf
from acutance.imaging.picture import Picture
from acutance.inference.framed import photo_and_region, restored_in_frame
from acutance.inference.inspecting import look_at
from acutance.inference.picture_settings import PictureSettings
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import Region, ToldBlur
from acutance.media import Photo
from acutance.metrics.psnr import psnr
from acutance.trust.questioning import Pair, questioned

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
SPEC = replace(FAKE_SPEC, name="motion", task="remove-motion", guides=3, size_multiple=4, halo_px=8)
LINE, DISK = line_psf(12.0, 0.5), disk_psf(4.0)
BARS, FRAME = (30, 0, 30, 0), (26, 34, 26, 34)


def framed(photo: np.ndarray, border: tuple[int, int, int, int], colour: int) -> np.ndarray:
    top, left, bottom, right = border
    return np.pad(photo, ((top, bottom), (left, right), (0, 0)), constant_values=colour)


def inside(pixels: np.ndarray, border: tuple[int, int, int, int]) -> np.ndarray:
    top, left, bottom, right = border
    return pixels[top : len(pixels) - bottom, left : pixels.shape[1] - right]


def blurred(sharp: np.ndarray, psf: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(convolve_mirror(sharp.astype(np.float64), psf)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[20:340, 80:400]


@pytest.fixture(scope="module")
def auto() -> Iterator[Sharpener]:
    with Sharpener(threads=1) as sharpener:
        yield sharpener


@pytest.mark.parametrize(
    ("psf", "border", "words"),
    [
        (LINE, (BARS, 0), "straight motion of about 12 px along 29°: taken out"),
        (LINE, (FRAME, 255), "straight motion of about 12 px along 29°: taken out"),
        (DISK, (FRAME, 0), "out of focus by about 4.0 px: taken out"),
    ],
    ids=["bars", "passe-partout", "disk"],
)
def test_blur_is_undone_within_the_border(
    auto: Sharpener, sharp: np.ndarray, psf: np.ndarray, border: tuple[tuple[int, int, int, int], int], words: str
) -> None:
    """Ripples of the border's edge spoilt the photo and the border; the disk was refused, since it was not all over."""
    widths, colour = border
    seen, found = framed(blurred(sharp, psf), widths, colour), []
    result = auto.sharpen_photo(Photo(pixels=seen), found=found.append).pixels
    assert found == [words]
    assert psnr(inside(result, widths), sharp) > psnr(inside(seen, widths), sharp) + 6
    around = np.ones(seen.shape[:2], bool)
    inside(around, widths)[:] = False
    assert np.array_equal(result[around], seen[around])


def test_look_is_that_of_the_photo(sharp: np.ndarray) -> None:
    seen = framed(blurred(sharp, DISK), FRAME, 255)
    photo, picture = look_at(inside(seen, FRAME)[2:-2, 2:-2]), look_at(seen)
    assert picture.softness == photo.softness
    assert picture.clipped_white == photo.clipped_white < 0.2
    assert tuple(picture.size) == seen.shape[:2]
    assert [place.box for place in picture.places] == [place.box.shifted(-28, -36) for place in photo.places]
    assert acutance.inspect(seen).width == seen.shape[1]


def test_wide_blur_is_undone_within_the_border(auto: Sharpener) -> None:
    sharp = np.asarray(Image.open(PHOTO).convert("RGB").resize((530, 530)))
    seen, found = framed(blurred(sharp, line_psf(48.0, 0.4)), BARS, 0), []
    result = auto.sharpen_photo(Photo(pixels=seen), found=found.append).pixels
    assert found[0].endswith("at 1/2 of its size")
    assert psnr(inside(result, BARS), sharp) > psnr(inside(seen, BARS), sharp) + 3
    assert not result[:30].any()
    assert not result[-30:].any()


def test_what_is_told_is_undone_within_the_border(sharp: np.ndarray) -> None:
    seen = framed(blurred(sharp, LINE), FRAME, 0)
    told = ToldBlur.motion(12, degrees=np.degrees(0.5))
    with Sharpener(engine=FakeEngine(lambda batch: batch[:, 6:9], spec=SPEC), told=told) as sharpener:
        result = sharpener(seen)
    assert not result[:26].any()
    assert psnr(inside(result, FRAME), sharp) > psnr(inside(seen, FRAME), sharp) + 3


def test_region_lies_in_the_photo() -> None:
    pixels = framed(np.tile(np.arange(60, 200, dtype=np.uint8)[:, None, None], (1, 100, 3)), (20, 0, 20, 0), 0)
    picture, photo = Picture(pixels), Box(22, 0, 158, 100)
    assert photo_and_region(picture, None) == (photo, None)
    assert photo_and_region(picture, Region(x=5, y=30, width=40, height=50)) == (
        photo,
        Region(x=5, y=8, width=40, height=50),
    )
    half_in = Region(x=5, y=0, width=40, height=50)
    assert photo_and_region(picture, half_in) == (photo, Region(x=5, y=0, width=40, height=28))
    beside = Region(x=5, y=0, width=40, height=25)
    assert photo_and_region(picture, beside) == (Box(0, 0, 180, 100), beside)
    with pytest.raises(ConfigError, match="look its place up again"):
        photo_and_region(picture, Region(x=500, y=0, width=40, height=25))


def test_border_and_its_opacity_stay_as_they_are() -> None:
    alpha = np.zeros((100, 110), np.uint8)
    alpha[20:90, 10:100] = 255
    picture = Picture(np.full((100, 110, 3), 90, np.uint8), alpha)
    sizes = []

    def inverted(photo: Picture, settings: PictureSettings) -> Picture:
        sizes.append(photo.pixels.shape[:2])
        assert settings.region is None
        return photo.each(lambda array: 255 - array)

    result = restored_in_frame(picture, PictureSettings(), inverted)
    assert sizes == [(66, 86)]
    assert result.alpha is not None
    assert (result.pixels == np.where(result.alpha != alpha, 165, 90)[..., None]).all()
    assert (result.alpha != alpha).sum() == 66 * 86
    assert (picture.pixels == 90).all()


def test_evidence_is_asked_of_the_photo(auto: Sharpener, sharp: np.ndarray) -> None:
    """The edge of the border, blurred again, is not what was seen."""
    seen = framed(blurred(sharp, LINE), FRAME, 255)
    pair = Pair(before=seen, after=auto.sharpen_photo(Photo(pixels=seen)).pixels)
    spec = replace(auto.spec, name="motion", task="remove-motion")
    answers = questioned(pair, spec, strength=1.0, fidelity=1.0, wants_map=False, wants_consistency=True)
    assert answers.consistency is not None
    assert answers.consistency.is_exact
    assert answers.consistency.contradicted < 0.05
    assert answers.consistency.picture.shape == seen.shape[:2]
    assert not answers.consistency.picture[:26].any()
