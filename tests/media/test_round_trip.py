"""Every kind of metadata from every format to every format: it comes back, or its loss is announced."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from acutance.media import FORMATS as TABLE
from acutance.media import Metadata, Photo, encode_photo, lost_in, read_photo

FORMATS = tuple(name for name in TABLE if name != "HEIF")  # an extra; see test_heif.py
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "JPEG2000")
GREY_AS_COLOUR = ("WEBP",)  # formats that have no grey
SIXTEEN_BITS_ALONE: tuple[str, ...] = ()  # formats that have nothing else: 8 bits come back as 16
Image.init()
OF_PILLOW = tuple(name for name in FORMATS if name in Image.OPEN)  # the second reader, where there is one

KINDS = {
    "xmp": b"<x:xmpmeta/>",
    "photoshop": b"8BIM\x04\x04\0\0\0\0\0\3\x1c\2\x78\0",
    "dpi": (300.0, 240.0),
    "comments": (b"taken at dawn",),
    "jpeg_segments": ((0xE7, b"drone's data"),),
    "png_chunks": ((b"tEXt", b"Title\0Dawn"),),
    "icc_profile": b"\0" * 16 + b"RGB " + bytes(200),
    "exif": b"II*\0\x08\0\0\0\1\0\x0f\x01\x02\0\4\0\0\0Mak\0\0\0\0\0",  # the maker
}

LOSSES = {
    "photoshop": "Photoshop's resources",
    "dpi": "the resolution",
    "comments": "comments",
    "jpeg_segments": "application data",
    "png_chunks": "PNG texts (Title)",
    "xmp": "XMP",
    "icc_profile": "the colour profile",
    "exif": "EXIF",
}


def read(data: bytes) -> Photo:
    """Read a photo with 8 bits per channel, whatever its format has."""
    return read_photo(data, max_bits=16).in_8_bits()


def same(kind: str, before: object, after: object) -> bool:
    if kind == "dpi":
        return after is not None and np.allclose(after, before, atol=0.02)
    return after == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("bits", [8, 16])
def test_each_kind_is_carried_or_its_loss_is_said(pixels, kind, target, bits):
    few_colours = pixels // 64 * 64 if bits == 8 else (pixels // 64 * 64).astype(np.uint16) * 257
    photo = Photo(pixels=few_colours, metadata=replace(Metadata(), **{kind: KINDS[kind]}))
    if bits == 16 and TABLE[target].max_bits == 8:
        assert "tones finer than 8 bits per channel" in lost_in(photo, target)
        photo = photo.in_8_bits()

    result = read_photo(encode_photo(photo, format=target), max_bits=16)
    after = getattr(result.metadata, kind)

    assert result.bits == (16 if target in SIXTEEN_BITS_ALONE else photo.bits)

    losses = lost_in(photo, target)
    if same(kind, KINDS[kind], after):
        assert losses == ()
    else:
        assert not after
        assert len(losses) == 1
        assert losses[0].startswith(LOSSES[kind])


@pytest.mark.parametrize("source", WITH_EXIF)
@pytest.mark.parametrize("target", WITH_EXIF)
def test_what_all_formats_know_goes_from_each_to_each(photo, source, target, maker_note):
    first = read_photo(encode_photo(photo, format=source))

    second = read_photo(encode_photo(first, format=target))

    assert second.metadata.source_format == target
    assert second.metadata.xmp == photo.metadata.xmp
    assert second.metadata.icc_profile == photo.metadata.icc_profile
    if "TIFF" not in (source, target):
        assert second.metadata.exif == photo.metadata.exif
    exif = Image.Exif()
    exif.load(second.metadata.exif)
    assert exif[271] == "Maker of cameras"
    assert exif.get_ifd(34665)[37500] == maker_note
    assert float(exif.get_ifd(34665)[33434]) == pytest.approx(1 / 125)
    assert exif.get_ifd(34853) == {1: "N", 2: (48.0, 8.0, 15.0)}
    if not {"WEBP", "AVIF"} & {source, target}:
        assert second.metadata.dpi == pytest.approx((300, 240), abs=0.02)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_every_photo_is_seen_the_same_way_up(pixels, make_exif, source, target, orientation):
    photo = Photo(pixels=pixels, metadata=Metadata(exif=make_exif(orientation=orientation)))

    first = read(encode_photo(photo, format=source))
    second = read(encode_photo(first, format=target))

    wanted = photo.upright().pixels.astype(int)
    allowed = 5 if "GIF" in (source, target) else 0
    assert np.abs(first.upright().pixels - wanted).mean() < 3 + allowed
    assert np.abs(second.upright().pixels - wanted).mean() < 4 + allowed
    if source in ("JPEG", "PNG", "WEBP", "JPEG2000") and target == source:
        assert second.metadata.orientation == orientation or source in ("PNG", "JPEG2000")
        assert second.metadata.orientation == first.metadata.orientation
    if target in ("PNG", "AVIF", "JPEG2000") and source != target:
        assert second.metadata.orientation == 1  # many programs would not turn it


@pytest.mark.parametrize("source", ["PNG", "TIFF", "WEBP", "AVIF", "JPEG2000", "BMP"])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_carried_or_laid_on_white(pixels, alpha, source, target, channels):
    photo = Photo(pixels=np.ascontiguousarray(pixels[:, :, :channels]), alpha=alpha)

    first = read(encode_photo(photo, format=source))
    second = read(encode_photo(first, format=target))

    if not TABLE[target].has_alpha:
        opacity = first.alpha[:, :, np.newaxis] / 255
        wanted = first.pixels * opacity + 255 * (1 - opacity)
        assert second.alpha is None
        assert lost_in(first, target) == ("transparency (laid on white)",)
        assert np.abs(second.pixels - wanted).mean() < 3
    elif target == "GIF":
        np.testing.assert_array_equal(second.alpha, np.where(first.alpha < 128, 0, 255))
        assert lost_in(first, target)[0].startswith("half transparency")
    else:
        np.testing.assert_allclose(second.alpha.astype(int), alpha, atol=4 if "AVIF" in (source, target) else 0)
        assert lost_in(first, target) == ()


@pytest.mark.parametrize("target", FORMATS)
def test_grey_stays_grey_where_it_can(pixels, target):
    photo = Photo(pixels=np.ascontiguousarray(pixels[:, :, :1]))
    encoded = encode_photo(photo, format=target)
    assert lost_in(photo, target) == ()
    assert np.abs(read(encoded).pixels.astype(int) - photo.pixels).max() <= 6
    if target not in OF_PILLOW:
        return
    if target != "AVIF" or Image.__version__ >= "13":  # Pillow 12 opens a grey AVIF as RGB
        assert Image.open(io.BytesIO(encoded)).mode == ("RGB" if target in GREY_AS_COLOUR else "L")


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 17, 3), (17, 1, 3)])
def test_the_smallest_pictures_are_written(target, shape):
    photo = Photo(pixels=np.full(shape, 100, np.uint8))
    assert read(encode_photo(photo, format=target)).size == shape[:2]
