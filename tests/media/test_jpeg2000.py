from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, lost_in, read_photo
from acutance.media.photo import Jpeg2000Coding


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def with_box(jp2: bytes, added: bytes) -> bytes:
    """Put a box before the pixels."""
    place = jp2.index(b"jp2c") - 4
    return jp2[:place] + added + jp2[place:]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_lossless_stays_lossless(save, pixels, alpha, mode):
    image = Image.fromarray(np.dstack([pixels, alpha]), "RGBA").convert(mode)
    photo = read_photo(save(image, "JPEG2000"))
    assert photo.metadata.coding == Jpeg2000Coding(is_lossless=True)
    result = encode_photo(photo, format="JPEG2000")
    shown = Image.open(io.BytesIO(result))
    assert shown.mode == mode
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(image))


def test_lossy_stays_lossy_and_near(save, pixels):
    large = np.tile(pixels, (6, 5, 1))
    photo = read_photo(save(large, "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[38]))
    assert photo.metadata.coding == Jpeg2000Coding(is_lossless=False)
    result = encode_photo(photo, format="JPEG2000")
    again = read_photo(result)
    assert again.metadata.coding == photo.metadata.coding
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 2
    assert len(result) < len(encode_photo(Photo(pixels=photo.pixels), format="JPEG2000"))


def test_other_photos_become_lossless(pixels):
    np.testing.assert_array_equal(read_photo(encode_photo(Photo(pixels=pixels), format="JPEG2000")).pixels, pixels)


def test_a_bare_codestream_becomes_a_jp2_file(save, pixels):
    photo = read_photo(save(pixels, "JPEG2000", no_jp2=True))
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.metadata.coding == Jpeg2000Coding(is_lossless=True)
    assert encode_photo(photo, format="JPEG2000")[4:8] == b"jP  "


@pytest.mark.parametrize("dpi", [(300.0, 240.0), (72.0, 72.0), (0.5, 9600.0), (254.0, 1e7)])
def test_metadata_stand_where_others_look_for_them(pixels, make_exif, icc_profile, dpi):
    metadata = Metadata(
        exif=make_exif(), icc_profile=icc_profile, xmp=b"<x/>", photoshop=b"8BIM\4\4\0\0\0\0\0\0", dpi=dpi
    )
    result = encode_photo(Photo(pixels=pixels, metadata=metadata), format="JPEG2000")
    again = read_photo(result).metadata
    assert (again.exif, again.icc_profile, again.xmp, again.photoshop) == (
        metadata.exif,
        icc_profile,
        b"<x/>",
        metadata.photoshop,
    )
    assert again.dpi == pytest.approx(dpi, rel=1e-3)
    shown = Image.open(io.BytesIO(result))
    assert shown.info["dpi"] == pytest.approx(dpi, rel=1e-3)
    np.testing.assert_array_equal(np.asarray(shown), pixels)
    assert box(b"uuid", b"JpgTiffExif->JP2" + metadata.exif) in result


def test_the_orientation_of_its_own_kind_stays(pixels, make_exif):
    jp2 = encode_photo(Photo(pixels=pixels, metadata=Metadata(exif=make_exif())), format="JPEG2000")
    turned = jp2.replace(make_exif(), make_exif(orientation=6))
    photo = read_photo(turned)
    assert photo.metadata.orientation == 6
    again = read_photo(encode_photo(photo, format="JPEG2000"))
    assert again.metadata.orientation == 6
    np.testing.assert_array_equal(again.pixels, pixels)


@pytest.mark.parametrize("added", [box(b"xml ", b"<gml/>"), box(b"uuid", bytes(20))])
def test_other_boxes_are_carried_or_their_loss_is_said(save, pixels, added):
    photo = read_photo(with_box(save(pixels, "JPEG2000"), added))
    assert lost_in(photo, "JPEG2000") == ()
    assert added in encode_photo(photo, format="JPEG2000")
    assert lost_in(photo, "PNG") == ("further boxes of the JPEG 2000 file",)


def test_boxes_that_hold_for_the_unchanged_picture_only_are_left_out_and_said(save, pixels):
    photo = read_photo(with_box(save(pixels, "JPEG2000"), box(b"jumb", bytes(20))))
    assert lost_in(photo, "JPEG2000") == ("further boxes of the JPEG 2000 file",)


def test_a_box_of_64_bits_and_one_to_the_end_are_read(save, pixels):
    jp2 = save(pixels, "JPEG2000")
    place = jp2.index(b"jp2c") - 4
    content = jp2[place + 8 :]
    for head in (struct.pack(">I4sQ", 1, b"jp2c", len(content) + 16), struct.pack(">I4s", 0, b"jp2c")):
        np.testing.assert_array_equal(read_photo(jp2[:place] + head + content).pixels, pixels)


def test_more_than_8_bits_are_refused(save, values16):
    jp2 = save(Image.fromarray(values16[:, :, 0].copy()), "JPEG2000")
    for max_bits in (8, 16):
        with pytest.raises(UnsupportedImage, match="16 bits per channel"):
            read_photo(jp2, max_bits=max_bits)


def test_cmyk_is_refused_with_a_way_out(save, pixels, alpha):
    jp2 = save(np.dstack([pixels, alpha]), "JPEG2000")
    cmyk = jp2.replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0\0\0\0\x0c")
    with pytest.raises(UnsupportedImage, match=r"CMYK.*convert it to RGB"):
        read_photo(cmyk)


def test_a_box_too_short_for_its_name_is_damage(save, pixels):
    with pytest.raises(UnsupportedImage, match="ends too early"):
        read_photo(with_box(save(pixels, "JPEG2000"), box(b"uuid", bytes(4))))


def test_a_file_without_a_picture_is_damage(save, pixels):
    jp2 = save(pixels, "JPEG2000")
    with pytest.raises(UnsupportedImage, match="no picture"):
        read_photo(jp2[: jp2.index(b"jp2c") - 4])
