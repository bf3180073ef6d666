"""16-bit PNG files, judged by a decoder that follows the specification pixel by pixel and shares no code."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Photo, encode_photo, lost_in, read_photo

MODES = {"L": (0, 1), "LA": (4, 2), "RGB": (2, 3), "RGBA": (6, 4)}
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))


def paeth(a: int, b: int, c: int) -> int:
    distances = [abs(b - c), abs(a - c), abs(a + b - 2 * c)]
    return (a, b, c)[distances.index(min(distances))]


def predictions(row: bytes, above: bytes, step: int, kind: int) -> list[int]:
    """What a filter predicts of a row whose bytes are known."""
    found = []
    for i in range(len(row)):
        a, b, c = (row[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
        found.append((0, a, b, (a + b) // 2, paeth(a, b, c))[kind])
    return found


def filtered(values: np.ndarray, kinds: list[int]) -> bytes:
    """Filter an array `h w n` of uint16, row by row with the given kinds in turn."""
    step = 2 * values.shape[2]
    above, out = bytes(step * values.shape[1]), b""
    for number, row_values in enumerate(values):
        kind = kinds[number % len(kinds)]
        row = row_values.astype(">u2").tobytes()
        out += bytes([kind]) + bytes(
            (x - p) % 256 for x, p in zip(row, predictions(row, above, step, kind), strict=True)
        )
        above = row
    return out


def png_of(values: np.ndarray, *chunks: bytes, kinds: tuple[int, ...] = (0, 1, 2, 3, 4), interlaced: bool = False):
    """Write a 16-bit PNG by hand."""
    height, width, channels = values.shape
    colour_type = {count: kind for kind, count in MODES.values()}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, interlaced)
    parts = [values[t::dy, left::dx] for t, left, dy, dx in PASSES] if interlaced else [values]
    data = zlib.compress(b"".join(filtered(part, list(kinds)) for part in parts if part.size))
    middle = len(data) // 2  # in two chunks: readers must join them
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *chunks,
            chunk(b"IDAT", data[:middle]),
            chunk(b"IDAT", data[middle:]),
            chunk(b"IEND", b""),
        ]
    )


def values_of(png: bytes) -> tuple[np.ndarray, set[int]]:
    """Decode a 16-bit PNG by hand; also return which filters it uses."""
    position, data = 8, b""
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        payload = png[position + 8 : position + 8 + length]
        assert png[position + 8 + length :][:4] == struct.pack(">I", zlib.crc32(kind + payload))
        if kind == b"IHDR":
            width, height, depth, colour_type, *rest = struct.unpack(">IIBBBBB", payload)
        data += payload if kind == b"IDAT" else b""
        position += 12 + length
    assert (depth, rest) == (16, [0, 0, 0])
    channels = dict(MODES.values())[colour_type]
    raw, stride, step = zlib.decompress(data), 2 * channels * width, 2 * channels
    assert len(raw) == height * (stride + 1)
    above, rows, kinds = bytes(stride), b"", set()
    for start in range(0, len(raw), stride + 1):
        kind, packed = raw[start], raw[start + 1 : start + 1 + stride]
        row = bytearray(stride)
        for i, x in enumerate(packed):
            a, b, c = (row[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
            row[i] = (x + (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) % 256
        kinds.add(kind)
        above = bytes(row)
        rows += above
    return np.frombuffer(rows, ">u2").reshape(height, width, channels).astype(np.uint16), kinds


def joined(photo: Photo) -> np.ndarray:
    return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])


def photo_of(values: np.ndarray) -> Photo:
    has_alpha = values.shape[2] in (2, 4)
    colours = values.shape[2] - has_alpha
    return Photo(
        pixels=np.ascontiguousarray(values[:, :, :colours]), alpha=values[:, :, colours].copy() if has_alpha else None
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interlaced", [False, True])
def test_every_value_is_read(values16, mode, interlaced):
    values = np.ascontiguousarray(values16[:, :, : MODES[mode][1]])
    photo = read_photo(png_of(values, interlaced=interlaced), max_bits=16)
    assert photo.pixels.dtype == np.uint16
    assert (photo.alpha is not None) == mode.endswith("A")
    np.testing.assert_array_equal(joined(photo), values)


@pytest.mark.parametrize("kind", range(5))
def test_each_filter_is_undone(values16, kind):
    np.testing.assert_array_equal(joined(read_photo(png_of(values16, kinds=(kind,)), max_bits=16)), values16)


@pytest.mark.parametrize("mode", MODES)
def test_every_value_is_written(values16, mode):
    values = np.ascontiguousarray(values16[:, :, : MODES[mode][1]])
    written, _ = values_of(encode_photo(photo_of(values), format="PNG"))
    np.testing.assert_array_equal(written, values)


def test_filters_are_chosen_row_by_row():
    y, x = np.mgrid[:40, :50].astype(np.uint32)
    rows = [1000 * x, 500 * y + 0 * x, 700 * (x + y), 37 * x * y, np.random.default_rng(0).integers(0, 65536, x.shape)]
    values = np.concatenate([row % 65536 for row in rows]).astype(np.uint16)[:, :, np.newaxis]
    png = encode_photo(Photo(pixels=values), format="PNG")
    again, kinds = values_of(png)
    np.testing.assert_array_equal(again, values)
    assert len(kinds) >= 4
    assert len(png) < values.nbytes * 0.5


def test_strips_join_without_a_seam():
    values = np.random.default_rng(3).integers(0, 65536, (300, 700, 4), np.uint16)
    photo = read_photo(encode_photo(photo_of(values), format="PNG"), max_bits=16)
    np.testing.assert_array_equal(joined(photo), values)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_is_compared_in_all_16_bits(channels):
    values = np.full((2, 3, channels), 0x1234, np.uint16)
    values[0, 1] = 0x1235  # Pillow, with 8 bits, could not tell them apart
    key = chunk(b"tRNS", struct.pack(">H", 0x1234) * channels)
    photo = read_photo(png_of(values, key), max_bits=16)
    np.testing.assert_array_equal(photo.alpha, [[0, 65535, 0], [0, 0, 0]])
    np.testing.assert_array_equal(photo.pixels, values)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_the_smallest_pictures(shape, interlaced):
    values = np.random.default_rng(1).integers(0, 65536, (*shape, 3), np.uint16)
    assert (joined(read_photo(png_of(values, interlaced=interlaced), max_bits=16)) == values).all()
    assert (values_of(encode_photo(Photo(pixels=values), format="PNG"))[0] == values).all()


def test_metadata_and_texts_stay(photo, values16):
    text = chunk(b"tEXt", b"Title\0caf\xe9")
    source = png_of(np.ascontiguousarray(values16[:, :, :3]), text)
    first = read_photo(source, max_bits=16)
    assert text in encode_photo(first, format="PNG")
    whole = Photo(pixels=first.pixels, metadata=photo.metadata)
    again = read_photo(encode_photo(whole, format="PNG"), max_bits=16).metadata
    assert (again.exif, again.icc_profile, again.xmp) == (
        photo.metadata.exif,
        photo.metadata.icc_profile,
        photo.metadata.xmp,
    )
    assert again.dpi == pytest.approx((300, 240), abs=0.02)


def test_the_result_is_a_sound_file_for_others(photo, values16):
    png = encode_photo(Photo(pixels=values16[:, :, :3].copy(), metadata=photo.metadata), format="PNG")
    Image.open(io.BytesIO(png)).verify()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), values16[:, :, :3] >> 8)


def test_who_takes_8_bits_is_not_given_16(values16):
    with pytest.raises(UnsupportedImage, match="16 bits per channel"):
        read_photo(png_of(values16))


def test_in_8_bits_each_value_is_the_nearest():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    photo = Photo(pixels=values, alpha=values[:, :, 0])
    wanted = np.rint(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(photo.in_8_bits().pixels, wanted)
    np.testing.assert_array_equal(photo.in_8_bits().alpha, wanted[:, :, 0])
    assert lost_in(photo, "WEBP") == ("tones finer than 8 bits per channel",)
    assert lost_in(photo, "PNG") == lost_in(photo, "TIFF") == ()
    assert lost_in(photo.in_8_bits(), "WEBP") == ()


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_cut_file_is_refused(values16, share):
    png = png_of(values16)
    with pytest.raises(UnsupportedImage, match="cut off or damaged"):
        read_photo(png[: int(len(png) * share)], max_bits=16)


@pytest.mark.parametrize("rows", [b"", b"\0", b"\7" * 3000])
def test_pixels_that_are_none_are_refused(rows):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 31, 20, 16, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    with pytest.raises(UnsupportedImage, match="cut off or damaged"):
        read_photo(png, max_bits=16)
    without = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IEND", b"")
    with pytest.raises(UnsupportedImage, match="cut off or damaged"):
        read_photo(without, max_bits=16)


def test_a_palette_of_16_bits_is_damage(values16):
    png = png_of(np.ascontiguousarray(values16[:, :, :1]))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 31, 20, 16, 3, 0, 0, 0))
    with pytest.raises(UnsupportedImage, match="a kind of pixels that there is not"):
        read_photo(png[:8] + header + png[33:], max_bits=16)
