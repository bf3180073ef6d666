"""Curved motion that differs over a picture: each part has its own path, and fades into its neighbours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.psfs import at_origin, offset_between, similarity
from acutance.deconvolution.shake import Shake, known_shake
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.geometry import Box, Size
from acutance.imaging.kernels import convolve_mirror, trajectory_psf
from acutance.inference.found_blur import FoundPaths
from acutance.inference.paths_by_place import _aligned, _parts, paths_by_place
from acutance.inference.undoing import without_blur

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
PATHS = (
    trajectory_psf([(0.0, 0.0), (4.0, 5.0), (1.0, 10.0), (3.0, 14.0)]),
    trajectory_psf([(0.0, 0.0), (5.0, 6.0), (1.0, 12.0), (4.0, 17.0)]),
)
SPEC = replace(FAKE_SPEC, name="motion", task="remove-motion", guides=3)


def engine() -> FakeEngine:
    """Pass on the middle one of the three deconvolutions."""
    return FakeEngine(lambda batch: batch[:, 6:9], spec=SPEC)


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    """Give a picture of 340×640 px: two parts of a photo, side by side."""
    photo = np.asarray(Image.open(PHOTO).convert("RGB"))[6:346, 6:506]
    return np.concatenate([photo[:, :320], photo[:, 180:]], axis=1)


@pytest.fixture(scope="module")
def seen(sharp: np.ndarray) -> np.ndarray:
    """Move each half of it along a path of its own."""
    left, right = (convolve_mirror(sharp.astype(np.float64), psf) for psf in PATHS)
    both = np.where(np.arange(640)[None, :, None] < 320, left, right)
    return np.clip(np.rint(both), 0, 255).astype(np.uint8)


def ignore(share: float, doing: str) -> None:
    """Tell nobody."""


def known(seen: np.ndarray) -> FoundPaths:
    """Return both paths as if they had been found."""
    grey = seen[..., 1].astype(np.float32) / 255
    parts = (Box(0, 0, 340, 320), Box(0, 320, 340, 640))
    shakes = [known_shake(grey[part.slices], psf) for part, psf in zip(parts, PATHS, strict=True)]
    return FoundPaths(words="", share=1.0, parts=tuple(zip(parts, shakes, strict=True)), size=Size(340, 640))


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a.astype(np.float64) - b) ** 2).mean())


def test_each_part_has_its_own_path(seen: np.ndarray) -> None:
    found = paths_by_place(seen[..., 1].astype(np.float32) / 255, threads=2, progress=ignore)
    assert found is not None
    assert found.words == "curved motion that differs over the picture: taken out of 100 % of it"
    for (part, shake), left, own, other in zip(found.parts, (0, 320), PATHS, PATHS[::-1], strict=True):
        assert part == Box(0, left, 340, left + 320)
        assert similarity(shake.psf, own) > max(0.75, similarity(shake.psf, other))


def test_a_picture_that_is_too_small_has_no_parts(seen: np.ndarray) -> None:
    assert paths_by_place(seen[:, :600, 1].astype(np.float32) / 255, progress=ignore) is None


@pytest.mark.parametrize(
    ("size", "count"), [((720, 1280), 8), ((340, 640), 2), ((321, 481), 1), ((6000, 8000), 12), ((300, 4000), 12)]
)
def test_parts_cover_a_picture_once_and_are_few(size: tuple[int, int], count: int) -> None:
    parts = _parts(Box(0, 0, *size))
    covered = np.zeros(size, np.int8)
    for part in parts.values():
        covered[part.slices] += 1
    assert (covered == 1).all()
    assert len(parts) == count


def test_parts_are_undone_each_by_its_own(sharp: np.ndarray, seen: np.ndarray) -> None:
    result = 255 * without_blur(seen, known(seen), engine(), threads=2, progress=ignore)
    for inside in (np.s_[20:-20, 20:260], np.s_[20:-20, 380:-20]):
        assert error(result[inside], sharp[inside]) < 0.4 * error(seen[inside], sharp[inside])
    own, left = (np.abs(np.diff(one.astype(np.float64), axis=1)).mean(axis=(0, 2)) for one in (sharp, result))
    assert left[318:322].max() < 1.2 * own[318:322].max()  # no edge where they meet but that of the picture


def test_where_no_path_convinced_the_picture_stays(seen: np.ndarray) -> None:
    found = known(seen)
    one = replace(found, parts=found.parts[:1])
    result = 255 * without_blur(seen, one, engine(), threads=2, progress=ignore)
    np.testing.assert_allclose(result[:, 370:], seen[:, 370:], atol=1e-3)
    assert error(result[:, :260], seen[:, :260]) > 50


def test_of_a_region_all_of_it_is_undone(seen: np.ndarray) -> None:
    """A part at the border of what was looked at does not fade there, as it would into a neighbour."""
    found = known(seen)
    larger = np.pad(seen, ((40, 40), (60, 60), (0, 0)), mode="reflect")
    moved = replace(found, top=40, left=60)
    result = 255 * without_blur(larger, moved, engine(), wanted=Box(32, 52, 388, 708), threads=2, progress=ignore)
    whole = 255 * without_blur(larger[40:-40, 60:-60], found, engine(), threads=2, progress=ignore)
    inner = np.s_[30:-30, 30:-30]
    assert error(result[40:-40, 60:-60][inner], whole[inner]) < 30
    assert error(result[40:60, 60:-60], larger[40:60, 60:-60]) > 30
    np.testing.assert_allclose(result[:32], larger[:32], atol=1e-3)


def test_neighbours_have_one_origin() -> None:
    """A kernel does not say where it lies: two of one motion, told apart by some px, would double edges."""
    grey = np.random.default_rng(0).random((80, 80), np.float32)
    first: Shake = known_shake(grey, PATHS[0])
    moved = at_origin(np.pad(PATHS[0], 4), (-2.0, 3.0))
    other = replace(first, psf=moved, origin=(9.0, 9.0))
    strong = replace(first, evidence=replace(first.evidence, gain=9.0), origin=(0.5, -0.5))
    aligned = _aligned({(0, 0): strong, (0, 1): other, (2, 2): other})
    assert aligned[0, 0].origin == (0.5, -0.5)
    assert aligned[0, 1].origin == pytest.approx((2.5, -3.5), abs=0.05)
    assert aligned[2, 2].origin == (9.0, 9.0)  # has no neighbour


def test_the_offset_of_two_kernels_is_told_to_a_part_of_a_px() -> None:
    grid = np.arange(-9, 10)
    spot = np.exp(-0.5 * ((grid[:, None] - 1.3) ** 2 + (grid[None, :] + 2.6) ** 2) / 4)
    middle = np.exp(-0.5 * (grid[2:-2, None] ** 2 + grid[None, 2:-2] ** 2) / 4)
    assert offset_between(middle / middle.sum(), spot / spot.sum()) == pytest.approx((1.3, -2.6), abs=0.05)
