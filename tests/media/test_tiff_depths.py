"""TIFF files of other depths and colour spaces than 8 and 16 bits of RGB: read exactly, said, or refused by name."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from acutance.errors import UnsupportedImage
from acutance.media import encode_photo, lost_in, open_pictures, read_photo
from acutance.media.ifd import Tree, integer_entry, serialise
from acutance.media.pil import can_unpack_tiff

GREYS = np.add.outer(np.linspace(0, 0.5, 23), np.linspace(0, 0.5, 31))
COLOURS = np.stack([GREYS, GREYS**2, 1 - GREYS], axis=2)


def written(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="rgb" if values.ndim == 3 else "minisblack", **options)
    return buffer.getvalue()


def by_hand(data: bytes, shape: tuple[int, int, int], bits: int, **tags: int) -> bytes:
    """Make a file of one strip, of numbers in the form that the tags say."""
    height, width, samples = shape
    shorts = {258: (bits,) * samples, 262: (2 if samples == 3 else 1,), 277: (samples,)}
    shorts |= {int(tag[1:]): (value,) for tag, value in tags.items()}
    longs = {256: (width,), 257: (height,), 273: (8,), 278: (height,), 279: (len(data),)}
    entries = [integer_entry(tag, numbers, "<", bits=16) for tag, numbers in shorts.items()]
    entries += [integer_entry(tag, numbers, "<") for tag, numbers in longs.items()]
    data += b"\0" * (len(data) % 2)
    place = 8 + len(data)
    return b"II*\0" + place.to_bytes(4, "little") + data + serialise(Tree(tuple(entries), {}), "<", place)


def packed(levels: np.ndarray, bits: int) -> bytes:
    rows = levels.reshape(len(levels), -1)
    each = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.reshape(len(levels), -1).astype(np.uint8), axis=1).tobytes()


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("values", [GREYS[..., None], COLOURS])
def test_numbers_between_8_and_16_bits_come_in_16_with_all_their_tones(bits, compression, values):
    white = 2**bits - 1
    levels = np.rint(values * white).astype(np.int64)
    data = packed(levels, bits) if compression == 1 else zlib.compress(packed(levels, bits))

    photo = read_photo(by_hand(data, levels.shape, bits, _259=compression), max_bits=16)

    assert photo.pixels.dtype == np.uint16
    np.testing.assert_array_equal(np.rint(photo.pixels / 65535 * white), levels)
    assert (photo.pixels[levels == white] == 65535).all()
    assert lost_in(photo, "TIFF") == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_whole_numbers_of_32_bits_are_rounded_to_16_and_that_is_said(order, compression):
    levels = np.rint(COLOURS * (2**32 - 1)).astype(np.uint32)

    photo = read_photo(written(levels, compression=compression, byteorder=order), max_bits=16)

    np.testing.assert_array_equal(photo.pixels, np.rint(COLOURS * 65535))
    assert lost_in(photo, "TIFF") == ("the depth of 32 bits (written as 16)",)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_floating_point_numbers_are_read_and_that_is_said(kind, order):
    photo = read_photo(written(COLOURS.astype(kind), byteorder=order), max_bits=16)

    np.testing.assert_allclose(photo.pixels, COLOURS * 65535, atol=33 if kind == np.float16 else 1)
    assert "floating-point" in lost_in(photo, "TIFF")[0]
    assert read_photo(encode_photo(photo, format="TIFF"), max_bits=16).bits == 16


@pytest.mark.parametrize("samples", [1, 3])
def test_the_predictor_of_floating_point_numbers_is_undone(samples):
    values = COLOURS[..., :samples].astype(np.float32)
    height, width, _ = values.shape
    planes = np.frombuffer(values.astype(">f4").tobytes(), np.uint8).reshape(height, width * samples, 4)
    planes = planes.transpose(0, 2, 1).reshape(height, -1, samples).copy()
    planes[:, 1:] -= planes[:, :-1].copy()

    data = by_hand(zlib.compress(planes.tobytes()), values.shape, 32, _259=8, _317=3, _339=3)

    np.testing.assert_allclose(read_photo(data, max_bits=16).pixels, values * 65535, atol=1)


@pytest.mark.parametrize("value", [-0.01, 1.5, np.nan, np.inf])
def test_floating_point_numbers_beyond_black_and_white_are_refused(value):
    values = COLOURS.astype(np.float32)
    values[3, 4] = value
    with pytest.raises(UnsupportedImage, match=r"not within 0 … 1.*not read"):
        read_photo(written(values), max_bits=16)


def test_signed_numbers_are_refused_by_name():
    with pytest.raises(UnsupportedImage, match="signed"):
        read_photo(written((GREYS * 30_000).astype(np.int16)), max_bits=16)


def test_deep_pictures_are_not_reduced_to_8_bits():
    for values in (COLOURS.astype(np.float32), np.rint(COLOURS * 2**31).astype(np.uint32)):
        with pytest.raises(UnsupportedImage, match="16 bits per channel"):
            read_photo(written(values))


def test_in_strips_they_are_the_same():
    data = written(COLOURS.astype(np.float32), rowsperstrip=5)
    with open_pictures(data, max_bits=16) as pictures:
        source = pictures.strips()
        assert source is not None
        assert source.bits == 16
        strips = np.concatenate([strip.pixels for strip in source.read()])
    np.testing.assert_array_equal(strips, read_photo(data, max_bits=16).pixels)


def test_lab_of_8_bits_becomes_srgb():
    colours = np.rint(COLOURS * 255).astype(np.uint8)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.applyTransform(Image.fromarray(colours), ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")

    photo = read_photo(buffer.getvalue())

    difference = np.abs(photo.pixels.astype(int) - colours)
    assert np.mean(difference) < 2  # a level of a and b is several of blue
    assert lost_in(photo, "TIFF") == ("Lab (converted to sRGB)",)
    assert photo.metadata.icc_profile is not None


@pytest.mark.parametrize("photometric", [8, 9])
def test_lab_of_16_bits_becomes_srgb_of_16(photometric):
    # L, a, b of white, middle grey, and the red of sRGB, under D50.
    lab = np.array([[100, 0, 0], [53.585, 0, 0], [54.29, 80.80, 69.89]])
    scale = 65535 / 100 if photometric == 8 else 65280 / 100
    shift = 0 if photometric == 8 else 128
    levels = np.stack([lab[:, 0] * scale, (lab[:, 1] + shift) * 256, (lab[:, 2] + shift) * 256], axis=1)
    data = np.rint(levels).astype(np.int64).astype(np.uint16).tobytes()

    photo = read_photo(by_hand(data, (1, 3, 3), 16, _262=photometric), max_bits=16)

    wanted = [[255, 255, 255], [128, 128, 128], [255, 0, 0]]
    np.testing.assert_allclose(photo.pixels[0] / 257, wanted, atol=1)


def test_ycbcr_becomes_rgb(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("YCbCr").save(buffer, "TIFF")
    assert np.abs(read_photo(buffer.getvalue()).pixels.astype(int) - pixels).max() <= 3


@pytest.mark.skipif(not can_unpack_tiff(34925), reason="libtiff was built without LZMA")
def test_lzma_is_unpacked(pixels):
    np.testing.assert_array_equal(read_photo(written(pixels, compression="lzma")).pixels, pixels)
