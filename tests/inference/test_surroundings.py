"""A small region of a shaken photo: what is around it tells its path, where the region agrees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.psfs import similarity
from acutance.deconvolution.shake import Evidence
from acutance.geometry import Box
from acutance.imaging.kernels import convolve_mirror, trajectory_psf
from acutance.inference.found_blur import FoundBlur
from acutance.inference.sharpener import Sharpener
from acutance.inference.surroundings import explains, surroundings_of
from acutance.inference.told import Region
from acutance.inference.unblurring import blur_in
from acutance.media import Photo

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
PATH = trajectory_psf([(0.0, 0.0), (5.0, 6.0), (1.0, 12.0), (4.0, 17.0)])
TIGHT = Box(30, 195, 80, 285)
"""Too little for a curved path: by itself it says nothing, or that it moved straight, and less."""


@pytest.fixture(scope="module")
def shaken() -> np.ndarray:
    sharp = np.asarray(Image.open(PHOTO).convert("RGB"), np.float64)
    return np.clip(np.rint(convolve_mirror(sharp, PATH)[24:-24, 24:-24]), 0, 255).astype(np.uint8)


def ignore(share: float, doing: str) -> None:
    """Tell nobody."""


def test_what_is_around_a_tight_region_tells_its_path(shaken: np.ndarray) -> None:
    alone, _ = blur_in(np.ascontiguousarray(shaken[TIGHT.slices]), progress=ignore)
    told: list[float] = []
    found, words = blur_in(shaken, TIGHT, progress=lambda share, doing: told.append(share))
    assert isinstance(found, FoundBlur), words
    assert told == sorted(told)
    assert words.startswith("curved motion of about")
    assert words.endswith("px, as around the region: taken out")
    assert similarity(found.kernel.psf, PATH) > 0.75
    assert not isinstance(alone, FoundBlur) or similarity(alone.kernel.psf, PATH) < similarity(found.kernel.psf, PATH)


def test_auto_takes_it_out_of_the_region_alone(shaken: np.ndarray) -> None:
    region = Region(x=TIGHT.left, y=TIGHT.top, width=TIGHT.size.width, height=TIGHT.size.height)
    said: list[str] = []
    with Sharpener(region=region, threads=2) as auto:
        result = auto.sharpen_photo(Photo(pixels=shaken), found=said.append).pixels
    assert said[0].endswith("as around the region: taken out")
    inside = TIGHT.slices
    steps = [float((np.diff(one[inside].astype(np.float64), axis=1) ** 2).mean()) for one in (shaken, result)]
    assert steps[1] > 1.5 * steps[0]
    np.testing.assert_array_equal(result[150:], shaken[150:])


def test_a_region_that_stood_still_stays(shaken: np.ndarray) -> None:
    sharp = np.asarray(Image.open(PHOTO).convert("RGB"))[24:-24, 24:-24]
    seen = shaken.copy()
    place = Box(40, 150, 150, 300)
    seen[place.slices] = sharp[place.slices]
    assert blur_in(seen, place, progress=ignore) == (None, "sharp already: left as it is")


RIGHT = Evidence(
    agreement=1.0, spread_px=4.0, roundness=0.5, lens_likeness=0.7, cut=0.0, gain=1.3, excess=0.001, misfit=0.3
)


@pytest.mark.parametrize(
    ("change", "before", "noise", "is_its_own"),
    [
        ({}, 1.0, 0.3, True),
        ({}, 1.35, 0.3, False),  # what the region itself told makes it sparser
        ({"gain": 1.05}, 1.0, 0.3, False),
        ({"excess": 0.03}, 1.0, 0.3, False),
        ({"misfit": 1.4}, 1.0, 0.3, False),
        ({"misfit": 1.4}, 1.0, 2.0, True),  # noise fits no picture
    ],
)
def test_a_kernel_from_around_must_explain_the_region(
    change: dict[str, float], before: float, noise: float, is_its_own: bool
) -> None:
    assert explains(replace(RIGHT, **change), before=before, noise_levels=noise) == is_its_own


def test_what_is_around_is_as_far_on_all_sides_and_large_enough_to_tell() -> None:
    around = surroundings_of(Box(400, 500, 510, 650), Box(0, 0, 1000, 1200))
    assert around is not None
    assert around.top - 400 == 510 - around.bottom == around.left - 500 == 650 - around.right < 0
    assert 200_000 <= around.size.pixels < 203_000


@pytest.mark.parametrize("place", [Box(0, 0, 500, 500), Box(0, 0, 130, 180)])
def test_a_large_region_and_a_small_picture_have_nothing_more_around(place: Box) -> None:
    assert (
        surroundings_of(place, Box(0, 0, *(min(side, 2000) for side in (place.bottom + 20, place.right + 20)))) is None
    )
