from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from acutance.imaging.convert import to_batch, to_float, to_type, to_uint8, write_planes


def test_every_level_survives_the_round_trip():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)

    values = to_float(levels)

    assert values.dtype == np.float32
    assert values.min() == 0
    assert values.max() == 1
    np.testing.assert_array_equal(to_uint8(values), levels)


def test_values_are_the_exact_quotients():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_float(levels), (np.arange(256) / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("value", "level"),
    [(-0.5, 0), (-1e-9, 0), (1.0001, 255), (256 / 255, 255), (7.0, 255), (0.5 / 255, 0), (1.5 / 255, 2)],
)
def test_out_of_range_is_clipped_and_halves_round_to_even(value, level):
    assert to_uint8(np.array([value], dtype=np.float32))[0] == level


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (5, 7, 3), elements=st.floats(-2, 3, width=32)))
def test_rounding_is_that_of_a_plain_loop(values):
    # Python's round() also rounds half to even. The product is taken in float32, as the function does.
    wanted = [min(max(round(float(np.float32(255) * value)), 0), 255) for value in values.ravel()]
    np.testing.assert_array_equal(to_uint8(values).ravel(), wanted)


def test_inputs_are_left_alone():
    values = np.array([[[0.1, 2.0, -1.0]]], dtype=np.float32)
    before = values.copy()
    to_uint8(values)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), channels=st.sampled_from([1, 3]))
def test_to_a_batch_and_back(dtype, height, width, channels):
    image = np.random.default_rng(height * width).random((height, width, channels), dtype=np.float32)
    image = to_type(image, dtype)

    batch = to_batch(image)

    assert batch.shape == (1, channels, height, width)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    assert not np.shares_memory(batch, image)
    np.testing.assert_array_equal(batch[0], to_float(image).transpose(2, 0, 1))
    room = np.zeros((height + 1, width + 2, channels), dtype)
    write_planes(batch[0], room[1:, 2:])
    np.testing.assert_array_equal(room[1:, 2:], image)
    assert not room[0].any()
    assert not room[:, :2].any()


def test_16_bit_levels_survive_the_round_trip():
    levels = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(to_type(to_float(levels), np.uint16), levels)
