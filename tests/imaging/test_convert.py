from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from acutance.imaging.convert import to_float, to_hwc, to_nchw, to_uint8


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


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
def test_nchw_and_back(height, width, channels):
    image = np.arange(height * width * channels, dtype=np.float32).reshape(height, width, channels)

    batch = to_nchw(image)

    assert batch.shape == (1, channels, height, width)
    assert batch.flags.c_contiguous
    assert batch[0, channels - 1, height - 1, 0] == image[height - 1, 0, channels - 1]
    np.testing.assert_array_equal(to_hwc(batch), image)


def test_hwc_is_a_view_and_converts_like_a_copy():
    batch = np.random.default_rng(0).random((1, 3, 6, 5), dtype=np.float32)
    assert np.shares_memory(to_hwc(batch), batch)
    np.testing.assert_array_equal(to_uint8(to_hwc(batch)), to_uint8(to_hwc(batch).copy()))
