from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, encode_pictures, lost_in, open_pictures, read_photo
from acutance.media.photo import WebpCoding
from acutance.media.webp import inspect_webp


def test_lossless_stays_lossless_even_under_transparency(save, pixels, alpha):
    image = np.dstack([pixels, np.where(alpha < 128, 0, alpha).astype(np.uint8)])
    source = save(image, "WEBP", lossless=True, exact=True)
    photo = read_photo(source)

    again = read_photo(encode_photo(photo, format="WEBP"))

    assert photo.metadata.coding == again.metadata.coding == WebpCoding(is_lossless=True)
    np.testing.assert_array_equal(np.dstack([photo.pixels, photo.alpha]), image)
    np.testing.assert_array_equal(np.dstack([again.pixels, again.alpha]), image)


def test_lossy_stays_lossy_and_near(save, pixels):
    photo = read_photo(save(pixels, "WEBP", quality=80))
    again = read_photo(encode_photo(photo, format="WEBP"))
    assert again.metadata.coding == WebpCoding(is_lossless=False)
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 3


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"II*\0\x08\0\0\0\0\0\0\0\0\0"}])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_the_size_is_read_from_every_kind_of_header(save, pixels, alpha, options, has_alpha):
    image = np.dstack([pixels, alpha]) if has_alpha else pixels
    container = inspect_webp(io.BytesIO(save(image, "WEBP", **options)), "it")
    assert container.size == (20, 31)


def with_chunk(webp: bytes, kind: bytes, data: bytes) -> bytes:
    added = kind + len(data).to_bytes(4, "little") + data
    return webp[:4] + (len(webp) - 8 + len(added)).to_bytes(4, "little") + webp[8:] + added


def test_unknown_chunks_are_left_out_and_said(save, pixels):
    photo = read_photo(with_chunk(save(pixels, "WEBP"), b"ab\x01 ", b"data"))
    assert lost_in(photo, "WEBP") == ("the chunk ab\x01 of the WebP file",)


def test_xmp_under_a_wrong_name_is_read(save, pixels):
    photo = read_photo(with_chunk(save(pixels, "WEBP"), b"XMP\0", b"<x/>"))
    assert read_photo(encode_photo(photo, format="WEBP")).metadata.xmp == b"<x/>"
    assert lost_in(photo, "WEBP") == ()


def test_animations_are_refused(save, pixels):
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    with pytest.raises(UnsupportedImage, match="animation"):
        read_photo(save(frames[0], "WEBP", save_all=True, append_images=frames[1:]))


def test_grey_becomes_equal_colours_without_its_grey_profile(pixels):
    grey_profile = b"\0" * 16 + b"GRAY" + b"\0" * 100
    photo = Photo(
        pixels=np.ascontiguousarray(pixels[:, :, :1]),
        metadata=Metadata(icc_profile=grey_profile, coding=WebpCoding(is_lossless=True)),
    )
    again = read_photo(encode_photo(photo, format="WEBP"))
    np.testing.assert_array_equal(again.pixels, photo.pixels.repeat(3, axis=2))
    assert again.metadata.icc_profile is None
    assert lost_in(photo, "WEBP") == ("the colour profile (it is for grey pictures)",)
    assert lost_in(photo, "PNG") == ()


def test_the_resolution_is_not_lost_where_exif_holds_it(pixels, make_exif):
    assert lost_in(Photo(pixels=pixels, metadata=Metadata(dpi=(72, 72))), "WEBP") == ("the resolution (dpi)",)
    assert lost_in(Photo(pixels=pixels, metadata=Metadata(dpi=(72, 72), exif=make_exif())), "WEBP") == ()


def test_the_colour_behind_an_animation_is_kept(save, pixels):
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    webp = save(frames[0], "WEBP", save_all=True, append_images=frames[1:], background=(10, 20, 30, 255))
    with open_pictures(webp) as pictures:
        parts = encode_pictures(pictures.photos(), "WEBP", count=2, animation=pictures.animation)
        assert b"ANIM\6\0\0\0" + bytes((30, 20, 10, 255)) in b"".join(parts)
