"""A picture at a fraction of its size, and changes brought back from there."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.imaging.picture import Picture
from acutance.imaging.reduction import reduced, with_changes


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("pixel_type", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(1, 1), (200, 7), (131, 260)])
def test_what_is_not_changed_comes_back_bit_for_bit(photo, size, pixel_type, factor):
    pixels = photo(*size).astype(pixel_type)
    pixels = pixels / np.float32(255) if pixel_type is np.float32 else pixels * np.iinfo(pixel_type).max // 255
    pixels = pixels.astype(pixel_type)
    picture = Picture(pixels, pixels[..., 0])
    small = reduced(picture, factor)
    assert small.pixels.shape == (-(-size[0] // factor), -(-size[1] // factor), 3)
    assert small.pixels.dtype == small.alpha.dtype == np.float32
    back = with_changes(picture, small, small, factor)
    assert back.pixels.dtype == pixel_type
    assert np.array_equal(back.pixels, pixels)
    assert np.array_equal(back.alpha, pixels[..., 0])
    assert back.pixels is not pixels


def test_each_pixel_is_the_mean_of_a_cell_and_the_last_one_goes_on():
    grey = np.array([[0, 255, 51], [255, 255, 51], [102, 102, 204]], np.uint8)[..., None]
    expected = [[0.75, 0.2], [0.4, 0.8]]
    np.testing.assert_allclose(reduced(Picture(grey), 2).pixels[..., 0], expected, atol=1e-6)


def test_changes_are_enlarged_smoothly_and_what_is_finer_stays(photo):
    pixels = photo(300, 200) // 2 + 40
    picture = Picture(pixels)
    small = reduced(picture, 2)
    wave = 0.1 * np.sin(np.arange(small.pixels.shape[0]) / 9)[:, None, None].astype(np.float32)
    changed = with_changes(picture, small, Picture(small.pixels + wave), 2).pixels.astype(float) - pixels
    # The middle of a pixel of the small picture lies between two of the large one.
    expected = 25.5 * np.sin((np.arange(300) / 2 - 0.25) / 9)
    np.testing.assert_allclose(changed[4:-4], np.broadcast_to(expected[4:-4, None, None], (292, 200, 3)), atol=0.8)


def test_what_changed_in_a_part_is_as_in_the_whole_and_the_rest_stays(photo):
    picture = Picture(photo(200, 260))
    everywhere = np.random.default_rng(0).uniform(0.02, 0.1, (100, 130, 3)).astype(np.float32)
    small, within = reduced(picture, 2), np.zeros((100, 130, 1), bool)
    within[40:70, 20:90] = True
    whole, part = (
        with_changes(picture, small, Picture(small.pixels + change), 2).pixels
        for change in (everywhere, np.where(within, everywhere, 0).astype(np.float32))
    )
    assert np.array_equal(part[84:136, 44:176], whole[84:136, 44:176])
    rest = np.ones((200, 260), bool)
    rest[76:144, 36:184] = False
    assert np.array_equal(part[rest], picture.pixels[rest])
    assert not np.array_equal(part[76:84], picture.pixels[76:84]), "interpolated beyond the part"


def test_a_picture_without_alpha_has_none_after(photo):
    picture = Picture(photo(9, 8))
    small = reduced(picture, 2)
    assert small.alpha is None
    assert with_changes(picture, small, small, 2).alpha is None
