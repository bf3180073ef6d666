from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acutance.imaging.pad import reflect_to_multiple


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


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 8), st.sampled_from([(), (1,), (3,)]))
def test_padding_is_a_mirror(height, width, multiple, channels):
    image = np.random.default_rng(height * 10 + width).integers(0, 256, (height, width, *channels), np.uint8)

    padded = reflect_to_multiple(image, multiple)

    assert padded.dtype == np.uint8
    assert padded.shape[0] % multiple == 0
    assert padded.shape[1] % multiple == 0
    assert padded.shape[0] - height < multiple
    assert padded.shape[1] - width < multiple
    for y in range(padded.shape[0]):
        for x in range(padded.shape[1]):
            np.testing.assert_array_equal(padded[y, x], image[naive_index(y, height), naive_index(x, width)])


def test_it_is_numpys_reflection_where_one_reflection_is_enough():
    image = np.random.default_rng(1).random((13, 18, 3), dtype=np.float32)
    np.testing.assert_array_equal(
        reflect_to_multiple(image, 8), np.pad(image, ((0, 3), (0, 6), (0, 0)), mode="reflect")
    )


@pytest.mark.parametrize("multiple", [1, 2, 4])
def test_a_fitting_image_is_not_copied(multiple):
    image = np.zeros((8, 4, 3), dtype=np.float32)
    assert reflect_to_multiple(image, multiple) is image
