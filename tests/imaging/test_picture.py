from __future__ import annotations

import numpy as np
import pytest

from acutance.imaging.picture import Picture, fill_transparent


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_visible_pixels_stay_and_hidden_ones_take_their_colour(dtype):
    white = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    pixels = np.zeros((21, 34, 3), dtype)
    pixels[:, :10] = (white * 0.25, white * 0.5, white * 0.75)
    alpha = np.zeros((21, 34), dtype)
    alpha[:, :10] = white
    filled = fill_transparent(pixels, alpha)
    np.testing.assert_allclose(
        filled.astype(float), np.broadcast_to(pixels[0, 0].astype(float), pixels.shape), atol=white * 1e-2
    )
    np.testing.assert_array_equal(filled[:, :10], pixels[:, :10])
    assert filled.dtype == dtype
    assert pixels[0, 33].max() == 0, "the input is left alone"


def test_the_nearer_colour_wins():
    pixels = np.zeros((8, 64, 3), np.uint8)
    pixels[:, 0] = 200
    pixels[:, 63] = 20
    alpha = np.zeros((8, 64), np.uint8)
    alpha[:, [0, 63]] = 255
    filled = fill_transparent(pixels, alpha)
    assert filled[4, 2, 0] > 150
    assert filled[4, 61, 0] < 70


def test_nothing_to_do_copies_nothing():
    pixels = np.zeros((4, 4, 3), np.uint8)
    assert fill_transparent(pixels, np.full((4, 4), 255, np.uint8)) is pixels
    assert fill_transparent(pixels, np.zeros((4, 4), np.uint8)) is pixels


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 5), (17, 1)])
def test_small_and_odd_sizes(size):
    alpha = np.zeros(size, np.uint8)
    alpha[0, 0] = 1
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[0, 0] = 77
    np.testing.assert_array_equal(fill_transparent(pixels, alpha), 77)


def test_what_is_done_to_a_picture_is_done_to_its_transparency():
    pixels, alpha = np.arange(60).reshape(4, 5, 3), np.arange(20).reshape(4, 5)
    cut = Picture(pixels, alpha).part(slice(1, 3), slice(2, 4))
    np.testing.assert_array_equal(cut.pixels, pixels[1:3, 2:4])
    np.testing.assert_array_equal(cut.alpha, alpha[1:3, 2:4])
    assert np.shares_memory(cut.pixels, pixels)
    turned = Picture(pixels).each(np.fliplr)
    np.testing.assert_array_equal(turned.pixels, pixels[:, ::-1])
    assert turned.alpha is None


@pytest.mark.parametrize("height", [63, 64, 65, 192, 193])
def test_rows_are_filled_alike_wherever_they_lie(height):
    """Rows are worked on in parts: where every row is the same, so is every row of the result."""
    row = np.random.default_rng(5).integers(1, 255, (1, 90, 3), np.uint8)
    alpha = np.where(np.arange(90) % 30 < 20, 0, 255).astype(np.uint8)[np.newaxis]
    filled = fill_transparent(np.repeat(row, height, axis=0), np.repeat(alpha, height, axis=0))
    assert np.abs(filled.astype(int) - filled[:1]).max() <= 1
    np.testing.assert_array_equal(filled[0, 20:30], row[0, 20:30])
    assert (filled[0, :20] != row[0, :20]).any(axis=1).all()
