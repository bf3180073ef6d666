"""Where a picture is looked at."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.estimation.windows import PLACE_PX, parts_of, places_of
from acutance.geometry import Box


def test_a_small_picture_is_looked_at_as_a_whole() -> None:
    assert places_of(np.zeros((300, 500), np.float32)) == (Box(0, 0, 300, 500),)


def test_of_a_large_one_the_textured_places_are_taken() -> None:
    picture = np.full((1500, 2400), 100, np.uint8)
    picture[600:900, 1000:1400] = np.random.default_rng(0).integers(0, 255, (300, 400))
    places = places_of(picture)
    assert 3 <= len(places) <= 6
    assert all(box.size == (PLACE_PX, PLACE_PX) and box == box.within(Box(0, 0, 1500, 2400)) for box in places)
    texture = Box(600, 1000, 900, 1400)
    assert any(min(box.within(texture).size) > 150 for box in places)


@pytest.mark.parametrize("start", [(0, 0), (3, 7)])
@pytest.mark.parametrize("shape", [(400, 300), (1203, 1599), (2050, 530)])
def test_places_begin_with_a_block_of_jpeg(shape: tuple[int, int], start: tuple[int, int]) -> None:
    places = places_of(np.random.default_rng(0).random(shape), start=start)
    assert {(box.top % 8, box.left % 8) for box in places} == {start}


def test_long_and_narrow_ones_have_places_inside() -> None:
    for shape in ((80, 3000), (2000, 150), (513, 513)):
        noise = np.random.default_rng(0).random(shape)
        for box in places_of(noise):
            assert box == box.within(Box(0, 0, *shape))
            assert min(box.size) > 0


def test_parts_cover_all_windows_once() -> None:
    for rows, columns in ((1, 1), (2, 5), (12, 7)):
        covered = np.zeros((rows, columns), int)
        for part in parts_of(rows, columns):
            covered[part] += 1
        assert (covered == 1).all()
