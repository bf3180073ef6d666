"""Drawn pictures: the same from the same number, sharp, and lying in a store like photos."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.data.drawings import SIDE_PX, drawing, with_drawings
from acutance.data.photo_store import PhotoStore, StoredPhoto


@pytest.mark.parametrize("number", range(5))
def test_a_drawing_is_the_same_each_time_and_unlike_others(number):
    one = drawing(number)
    assert one.shape == (SIDE_PX, SIDE_PX, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, drawing(number))
    assert not np.array_equal(one, drawing(number + 5))


@pytest.mark.parametrize("number", range(5))
def test_a_drawing_is_sharp_to_the_pixel_and_has_no_noise(number):
    steps = np.abs(np.diff(drawing(number).astype(int), axis=1)).max(axis=2)
    assert steps.max() > 60  # an edge within one pixel
    assert np.median(steps) <= 1  # mostly even ground


def test_drawings_lie_behind_the_photos_of_a_store():
    photo = np.arange(6 * 7 * 3, dtype=np.uint8)
    store = with_drawings(PhotoStore((StoredPhoto("a.png", 1, 6, 7, 0),), photo), 3)
    assert [entry.name for entry in store.photos] == ["a.png", "drawing-0", "drawing-1", "drawing-2"]
    assert np.array_equal(store.photo(0).ravel(), photo)
    for number in range(3):
        assert np.array_equal(store.photo(number + 1), drawing(number))
