from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, lost_in, open_pictures, read_photo


def round_trip(photo: Photo) -> Photo:
    return read_photo(encode_photo(photo, format="GIF"))


@pytest.fixture
def few(pixels) -> np.ndarray:
    return pixels // 50 * 50


def colours_of(photo: Photo) -> np.ndarray:
    return np.broadcast_to(photo.pixels, (*photo.size, 3))


@pytest.mark.parametrize("count", [1, 2, 3, 200, 256])
@pytest.mark.parametrize("seed", [0, 1])
def test_up_to_256_colours_are_exact(count, seed):
    rng = np.random.default_rng(seed)
    palette = rng.choice(2**24, count, replace=False)
    numbers = np.concatenate([np.arange(count), rng.integers(0, count, 600 - count)])
    values = palette[rng.permutation(numbers)].reshape(20, 30)
    photo = Photo(pixels=np.stack([values >> 16, values >> 8 & 255, values & 255], axis=2).astype(np.uint8))
    np.testing.assert_array_equal(colours_of(round_trip(photo)), photo.pixels)
    assert lost_in(photo, "GIF") == ()


def test_more_colours_are_reduced_and_that_is_said(pixels):
    photo = Photo(pixels=pixels)
    assert lost_in(photo, "GIF") == ("colours beyond 256",)
    again = colours_of(round_trip(photo))
    assert np.abs(again.astype(int) - pixels).mean() < 8


def test_transparency_is_all_or_nothing(few, alpha):
    photo = Photo(pixels=few, alpha=alpha)
    again = round_trip(photo)
    np.testing.assert_array_equal(again.alpha, np.where(alpha < 128, 0, 255))
    np.testing.assert_array_equal(again.pixels[alpha >= 128], few[alpha >= 128])
    assert lost_in(photo, "GIF") == ("half transparency (all or nothing is written)",)
    assert lost_in(again, "GIF") == ()


def test_many_colours_with_transparency_have_255(pixels, alpha):
    hard = np.where(alpha < 128, 0, 255).astype(np.uint8)
    photo = Photo(pixels=pixels, alpha=hard)
    again = round_trip(photo)
    np.testing.assert_array_equal(again.alpha, hard)
    assert np.abs(again.pixels[hard > 0].astype(int) - pixels[hard > 0]).mean() < 8
    assert lost_in(photo, "GIF") == ("colours beyond 256",)


def test_nothing_visible(pixels):
    photo = Photo(pixels=pixels, alpha=np.zeros((20, 31), np.uint8))
    assert round_trip(photo).alpha.max() == 0


def test_all_greys_are_exact():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    again = round_trip(Photo(pixels=levels))
    np.testing.assert_array_equal(again.pixels, levels)


@pytest.mark.parametrize("lowest", [0, 10])
def test_grey_with_transparency(lowest):
    levels = np.maximum(np.arange(256, dtype=np.uint8), lowest).reshape(16, 16, 1)
    alpha = np.full((16, 16), 255, np.uint8)
    alpha[9:] = 0
    again = round_trip(Photo(pixels=levels, alpha=alpha))
    np.testing.assert_array_equal(again.alpha, alpha)
    np.testing.assert_array_equal(again.pixels[:9], levels[:9])
    alpha = np.full((16, 16), 255, np.uint8)
    alpha[0, 0] = 0  # every other level is seen: one of them makes way
    again = round_trip(Photo(pixels=levels, alpha=alpha))
    np.testing.assert_array_equal(again.alpha, alpha)
    assert np.abs(again.pixels.astype(int) - levels)[alpha > 0].max() <= 1


@pytest.mark.parametrize("transparency", [None, 3])
@pytest.mark.parametrize("mode", ["P", "L"])
def test_a_gif_comes_back_exactly_hidden_colours_too(save, pixels, transparency, mode):
    image = Image.fromarray(pixels[:, :, 0] // 2 * 2) if mode == "L" else Image.fromarray(pixels).quantize(200)
    options = {} if transparency is None else {"transparency": transparency}
    first = read_photo(save(image, "GIF", **options))
    again = round_trip(first)
    np.testing.assert_array_equal(colours_of(again), colours_of(first))
    np.testing.assert_array_equal(again.alpha, first.alpha)
    assert lost_in(first, "GIF") == ()


def test_comments_and_xmp_are_carried(few):
    metadata = Metadata(comments=(b"hello", b"c" * 600), xmp=b"<x:xmpmeta>" + b"x" * 700 + b"</x:xmpmeta>")
    gif = encode_photo(Photo(pixels=few, metadata=metadata), format="GIF")
    again = read_photo(gif).metadata
    assert again.comments == (b"hello", b"c" * 600)
    assert again.xmp == metadata.xmp
    shown = Image.open(io.BytesIO(gif))
    assert shown.n_frames == 1  # the blocks are passed over by those who do not know them
    np.testing.assert_array_equal(np.asarray(shown.convert("RGB")), few)


def test_animations_are_refused(save, pixels):
    frames = [Image.fromarray(pixels).quantize(), Image.fromarray(255 - pixels).quantize()]
    with pytest.raises(UnsupportedImage, match="animation"):
        read_photo(save(frames[0], "GIF", save_all=True, append_images=frames[1:]))


def test_other_metadata_are_lost_and_that_is_said(few, photo):
    assert lost_in(Photo(pixels=few, metadata=photo.metadata), "GIF") == ("EXIF", "the resolution (dpi)")


def moving(count: int) -> bytes:
    frames = [Image.fromarray(np.full((5, 7), level, np.uint8)) for level in range(0, 40 * count, 40)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=50)
    return buffer.getvalue()


@pytest.mark.parametrize("end", [b"", b"\x21\xf9", b"\x21\xf9\4\0", b"G", b"\0\0\x38\x39"])
def test_whole_pictures_before_a_broken_end_are_read_and_that_is_said(end):
    with open_pictures(moving(3)[:-1] + end) as pictures:
        assert [int(photo.pixels[0, 0, 0]) for photo in pictures.photos()] == [0, 40, 80]
        words = "what followed picture 3 (the file is cut off or damaged behind it)"
        assert pictures.metadata.left_out == (words,)


def test_half_a_picture_is_damage():
    with pytest.raises(UnsupportedImage, match="it ends too early"), open_pictures(moving(3)[:-4]):
        pass


def test_one_picture_before_something_else_is_read_and_that_is_said(few):
    gif = encode_photo(Photo(pixels=few), format="GIF")
    assert lost_in(read_photo(gif[:-1]), "GIF") == ()
    photo = read_photo(gif[:-1] + b"GIF89a")
    np.testing.assert_array_equal(photo.pixels, few)
    assert "what followed picture 1" in lost_in(photo, "GIF")[0]


@pytest.mark.parametrize(
    ("aspect", "lost"), [(0, ()), (49, ()), (81, ("the shape of the pixels (1.5 times as wide as high)",))]
)
def test_pixels_that_are_not_square_are_told(few, aspect, lost):
    gif = bytearray(encode_photo(Photo(pixels=few), format="GIF"))
    gif[12] = aspect
    assert lost_in(read_photo(bytes(gif)), "GIF") == lost
