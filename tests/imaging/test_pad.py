from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acutance.geometry import Box, Size
from acutance.imaging.pad import MARGIN_PX, mirrored, mirrored_part, with_margin


def naive_index(position: int, length: int) -> int:
    """Walk to `position` along the axis, turning round at both ends."""
    index, step = 0, 1
    for _ in range(position):
        if length == 1:
            return 0
        if not 0 <= index + step < length:
            step = -step
        index += step
    return index


@given(st.integers(1, 9), st.integers(1, 17))
def test_an_axis_turns_round_at_both_ends(length, stop):
    assert mirrored(length, 0, stop).tolist() == [naive_index(position, length) for position in range(stop)]


@pytest.mark.parametrize("width", [1, 2, 3, 7])
@pytest.mark.parametrize("height", [1, 2, 5])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_parts_of_the_mirrored_image_are_numpys_reflection(height, width, channels):
    image = np.random.default_rng(height * 10 + width).integers(0, 256, (height, width, *channels), np.uint8)
    around = 20
    # NumPy reflects back and forth, too, but leaves a single pixel to its other mode.
    rows = np.pad(image, [(around, around), *[(0, 0)] * (image.ndim - 1)], mode="edge" if height == 1 else "reflect")
    mirror = np.pad(
        rows, [(0, 0), (around, around), *[(0, 0)] * len(channels)], mode="edge" if width == 1 else "reflect"
    )
    starts = [-around, -3, 0, 1, height, height + 4]
    for top in starts:
        for left in starts:
            for part in (Size(1, 1), Size(2, 3), Size(height, width), Size(11, 9)):
                box = Box(top, left, top + part.height, left + part.width)
                found = mirrored_part(image, box)
                assert found.dtype == image.dtype
                np.testing.assert_array_equal(found, mirror[box.shifted(-around, -around).slices])


def test_a_part_within_the_image_is_not_copied():
    image = np.zeros((8, 6, 3), np.uint8)
    assert np.shares_memory(mirrored_part(image, Box(2, 0, 8, 6)), image)
    assert mirrored_part(image, Box(0, 0, 8, 6)).shape == image.shape


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from([1, 2, 3, 4, 8, 40]),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_the_margin_keeps_cells_in_their_place(height, width, multiple, start):
    box = with_margin(Size(height, width), multiple, start=start)
    assert all((side - place) % multiple == 0 for side, place in zip(box, start * 2, strict=True))
    for before, beyond in ((-box.top, box.bottom - height), (-box.left, box.right - width)):
        assert MARGIN_PX <= before < MARGIN_PX + multiple
        assert MARGIN_PX <= beyond < MARGIN_PX + 2 * multiple
