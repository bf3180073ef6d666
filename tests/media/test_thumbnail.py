from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from acutance.media import Metadata, Photo, encode_photo, with_new_thumbnail
from acutance.media.exif import thumbnail_of, with_thumbnail


def exif_with(thumbnail: bytes, order: str = "<") -> bytes:
    exif = Image.Exif()
    exif.endian = order
    exif[271], exif[274] = "Maker of cameras", 6
    exif.get_ifd(34665)[37500] = bytes(range(1, 60))
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    # Pillow writes no second directory: it is put behind the block, and the first one points to it.
    byteorder = "little" if order == "<" else "big"
    number = lambda value, size: value.to_bytes(size, byteorder)  # noqa: E731
    count = int.from_bytes(block[8:10], byteorder)
    link = 10 + 12 * count
    place = len(block)
    entries = [(259, 3, 6 if order == "<" else 6 << 16), (513, 4, place + 2 + 36 + 4), (514, 4, len(thumbnail))]
    table = number(3, 2) + b"".join(number(t, 2) + number(k, 2) + number(1, 4) + number(v, 4) for t, k, v in entries)
    return block[:link] + number(place, 4) + block[link + 4 :] + table + bytes(4) + thumbnail


@pytest.fixture
def old(save) -> bytes:
    return save(Image.new("RGB", (32, 24)), "JPEG", quality=30)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("growth", [-50, 0, 300])
def test_another_thumbnail_moves_nothing_else(old, order, growth):
    exif = exif_with(old, order)
    new = (old + bytes(300))[: len(old) + growth]
    changed = with_thumbnail(exif, new)
    assert thumbnail_of(changed) == new
    assert changed[: exif.index(old) - 42] == exif[: exif.index(old) - 42]
    before, after = Image.Exif(), Image.Exif()
    before.load(exif)
    after.load(changed)
    assert dict(after) == dict(before)
    assert after.get_ifd(34665) == before.get_ifd(34665)


def test_it_shows_the_photo(old, pixels):
    photo = Photo(pixels=np.repeat(np.repeat(pixels, 9, 0), 9, 1), metadata=Metadata(exif=exif_with(old)))
    renewed = with_new_thumbnail(photo)
    small = Image.open(io.BytesIO(thumbnail_of(renewed.metadata.exif)))
    assert small.size == (32, 21)  # the photo's shape within the old size
    wanted = np.asarray(Image.fromarray(photo.pixels).resize(small.size, Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(small) - wanted).mean() < 6


def test_sixteen_bits_and_grey_are_shown_too(old, values16):
    for channels in (1, 3):
        photo = Photo(pixels=values16[:, :, :channels].copy(), metadata=Metadata(exif=exif_with(old)))
        thumbnail = thumbnail_of(with_new_thumbnail(photo).metadata.exif)
        assert Image.open(io.BytesIO(thumbnail)).size[0] in (31, 32)


def test_it_is_turned_with_the_photo(old, pixels):
    photo = Photo(pixels=pixels, metadata=Metadata(exif=exif_with(old)))
    avif = encode_photo(photo, format="JPEG2000")
    place = avif.index(b"JpgTiffExif->JP2") + 16
    thumbnail = thumbnail_of(avif[place:])
    width, height = Image.open(io.BytesIO(thumbnail)).size
    assert height > width


@pytest.mark.parametrize("exif", [None, b"", b"II*\0\x08\0\0\0\0\0\0\0\0\0", b"nonsense"])
def test_a_photo_without_one_is_left_alone(pixels, exif):
    photo = Photo(pixels=pixels, metadata=Metadata(exif=exif))
    assert with_new_thumbnail(photo) is photo


def test_a_damaged_one_is_left_alone(old, pixels):
    exif = exif_with(b"no JPEG at all")
    photo = Photo(pixels=pixels, metadata=Metadata(exif=exif))
    assert with_new_thumbnail(photo) is photo
    cut = replace(photo.metadata, exif=exif_with(old)[:-20])
    assert with_new_thumbnail(replace(photo, metadata=cut)).metadata == cut
