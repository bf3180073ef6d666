from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acutance.errors import ConfigError
from acutance.geometry import (
    Box,
    Size,
    ceil_to_multiple,
    in_pixels,
    overlapping_starts,
    plan_tiles,
    quarter,
    with_halo,
)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Size, int, int, int]:
    multiple = draw(st.sampled_from([1, 2, 4]))
    height, width = (multiple * draw(st.integers(1, 60)) for _ in range(2))
    return Size(height, width), draw(st.integers(1, 90)), draw(st.integers(0, 40)), multiple


@settings(max_examples=50, deadline=None)
@given(plans())
def test_targets_cover_the_image_exactly_once_and_sources_hold_the_halo(plan: tuple[Size, int, int, int]) -> None:
    size, tile_px, halo_px, multiple = plan
    covered = np.zeros(size, int)
    tiles = list(plan_tiles(size, tile_px=tile_px, halo_px=halo_px, multiple=multiple))
    assert len({tile.source.size for tile in tiles}) == 1
    for tile in tiles:
        covered[tile.target.slices] += 1
        source, target = tile.source, tile.target
        assert all(edge % multiple == 0 for edge in source)
        assert source.top <= max(target.top - halo_px, 0)
        assert source.left <= max(target.left - halo_px, 0)
        assert source.bottom >= min(target.bottom + halo_px, size.height)
        assert source.right >= min(target.right + halo_px, size.width)
        assert max(source.size) <= ceil_to_multiple(tile_px, multiple) + 2 * ceil_to_multiple(halo_px, multiple)
        assert min(target.size) > 0
    assert (covered == 1).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4]))
def test_quarters_cover_a_box_and_are_smaller(height: int, width: int, multiple: int) -> None:
    box = Box(8, 16, 8 + height * multiple, 16 + width * multiple)
    covered = np.zeros((box.bottom, box.right), int)
    parts = quarter(box, multiple=multiple)
    for part in parts:
        covered[part.slices] += 1
        assert part.top % multiple == 0
        assert part.left % multiple == 0
    assert (covered[box.slices] == 1).all()
    assert covered.sum() == box.size.pixels
    if max(box.size) > multiple:
        assert max(max(part.size) for part in parts) < max(box.size)


def test_halo_is_cut_at_the_border() -> None:
    tile = with_halo(Box(0, 10, 8, 20), within=Box(0, 0, 12, 20), halo_px=3)
    assert tile.source == Box(0, 7, 11, 20)


@pytest.mark.parametrize(
    ("size", "tile_px", "halo_px", "multiple"),
    [(Size(0, 4), 4, 0, 1), (Size(5, 4), 4, 0, 2), (Size(4, 4), 0, 0, 1), (Size(4, 4), 4, -1, 1)],
)
def test_impossible_plans_are_refused(size: Size, tile_px: int, halo_px: int, multiple: int) -> None:
    with pytest.raises(ConfigError):
        list(plan_tiles(size, tile_px=tile_px, halo_px=halo_px, multiple=multiple))


def test_tiles_are_as_few_as_can_be_and_cost_no_more_than_their_halos() -> None:
    tiles = list(plan_tiles(Size(3000, 4000), tile_px=1024, halo_px=26, multiple=2))
    assert len(tiles) == 12
    height, width = 1036, 1039 + 1  # 3104 / 3 and 4156 / 4, rounded up to even sides
    assert {tile.source.size for tile in tiles} == {Size(height, width)}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 px"),
        (99_999, "99999 px"),
        (100_000, "0.1 megapixels"),
        (250_000_000, "250 megapixels"),
        (12_340_000, "12.3 megapixels"),
        (1_000_000, "1 megapixel"),
        (10**12, "1000000 megapixels"),
    ],
)
def test_numbers_of_pixels_in_words(number, words):
    assert in_pixels(number) == words


@given(st.sampled_from([1, 3, 4, 8]), st.integers(1, 40), st.integers(0, 400), st.integers(0, 319))
def test_parts_overlap_by_what_is_asked_and_none_comes_twice(
    multiple: int, parts: int, more: int, overlap: int
) -> None:
    tile = multiple * parts
    length, overlap = tile + multiple * more, overlap % tile
    starts = overlapping_starts(length, tile=tile, overlap=overlap, multiple=multiple)
    assert (starts[0], starts[-1]) == (0, length - tile)
    assert all(start % multiple == 0 for start in starts)
    steps = [after - before for before, after in pairwise(starts)]
    assert all(0 < step <= max(tile - overlap, multiple) for step in steps)
