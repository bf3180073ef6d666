"""16-bit TIFF files, judged by tifffile, which shares no code with libtiff, and by hand where it cannot pack."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, lost_in, read_photo
from acutance.media.ifd import Tree, integer_entry, serialise
from acutance.media.photo import TiffCoding

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
PACKED = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")


def written(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, **options)
    return buffer.getvalue()


def page_of(tiff: bytes) -> tifffile.TiffPage:
    return tifffile.TiffFile(io.BytesIO(tiff)).pages[0]


def photo_of(values: np.ndarray, coding: TiffCoding | None = None) -> Photo:
    colours = 3 if values.shape[2] > 2 else 1
    return Photo(
        pixels=np.ascontiguousarray(values[:, :, :colours]),
        alpha=values[:, :, colours].copy() if values.shape[2] > colours else None,
        metadata=Metadata(coding=coding),
    )


def joined(photo: Photo) -> np.ndarray:
    return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])


def lzw(data: bytes) -> bytes:
    """LZW as simple as can be: the table is cleared before codes need a tenth bit."""
    codes = []
    for start in range(0, len(data), 250):
        codes += [256, *data[start : start + 250]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def lzw_tiff(values: np.ndarray, *, order: str = "<", rows: int = 7, has_predictor: bool = False) -> bytes:
    """A 16-bit TIFF by hand, in strips of LZW."""
    height, width, samples = values.shape
    if has_predictor:
        values = np.concatenate([values[:, :1], np.diff(values, axis=1)], axis=1)
    strips = [lzw(values[top : top + rows].astype(order + "u2").tobytes()) for top in range(0, height, rows)]
    offsets = np.cumsum([8, *map(len, strips)]).tolist()
    place = offsets.pop()
    tags = {256: [width], 257: [height], 258: [16] * samples, 259: [5], 262: [2 if samples > 2 else 1]}
    tags |= {273: offsets, 277: [samples], 278: [rows], 279: [len(strip) for strip in strips]}
    tags |= {317: [2]} if has_predictor else {}
    entries = tuple(integer_entry(tag, numbers, order) for tag, numbers in tags.items())
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", place)
    return head + b"".join(strips) + serialise(Tree(entries, {}), order, place)


def with_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """Change a 16-bit value that stands in the first directory of a little-endian file."""
    changed = bytearray(tiff)
    (offset,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, offset)
    for record in range(offset + 2, offset + 2 + 12 * count, 12):
        if struct.unpack_from("<H", tiff, record) == (tag,):
            struct.pack_into("<H", changed, record + 8, value)
            return bytes(changed)
    raise KeyError(tag)


@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 3},
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zlib", "rowsperstrip": 6, "predictor": True},
        {"compression": "zlib", "tile": (32, 16), "predictor": True},
    ],
)
def test_what_another_library_writes_is_read(values16, mode, order, options):
    count = CHANNELS[mode]
    values = np.ascontiguousarray(values16[:, :, :count])
    tiff = written(
        values.squeeze(),
        byteorder=order,
        photometric="rgb" if count > 2 else "minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"] * mode.endswith("A"),
        **options,
    )
    photo = read_photo(tiff, max_bits=16)
    assert photo.pixels.dtype == np.uint16
    assert (photo.alpha is not None) == mode.endswith("A")
    np.testing.assert_array_equal(joined(photo), values)
    assert lost_in(photo, "TIFF") == ()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("has_predictor", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 20, 2**31])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lzw_is_read(values16, order, has_predictor, rows, channels):
    values = np.ascontiguousarray(values16[:, :, :channels])
    tiff = lzw_tiff(values, order=order, rows=rows, has_predictor=has_predictor)
    photo = read_photo(tiff, max_bits=16)
    np.testing.assert_array_equal(joined(photo), values)
    assert photo.metadata.coding == TiffCoding(compression="tiff_lzw", has_predictor=has_predictor)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "rowsperstrip": 3}, {"tile": (16, 32)}])
@pytest.mark.parametrize("channels", [3, 4])
def test_separate_planes_are_read(values16, options, channels):
    planes = np.ascontiguousarray(values16[:, :, :channels].transpose(2, 0, 1))
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    tiff = written(planes, photometric="rgb", planarconfig="separate", **extra, **options)
    np.testing.assert_array_equal(joined(read_photo(tiff, max_bits=16)), values16[:, :, :channels])


def test_bigtiff_and_inverted_grey_are_read(values16):
    grey = np.ascontiguousarray(values16[:, :, 0])
    np.testing.assert_array_equal(read_photo(written(grey, bigtiff=True), max_bits=16).pixels[:, :, 0], grey)
    inverted = written(65535 - grey, photometric="miniswhite")
    np.testing.assert_array_equal(read_photo(inverted, max_bits=16).pixels[:, :, 0], grey)


def test_premultiplied_colours_are_divided(values16):
    colours = values16[:, :, :3].astype(np.uint64)
    alpha = values16[:, :, 3].astype(np.uint64)
    packed = np.dstack([(colours * alpha[:, :, None] + 32767) // 65535, alpha]).astype(np.uint16)
    photo = read_photo(written(packed, photometric="rgb", extrasamples=["assocalpha"]), max_bits=16)
    np.testing.assert_array_equal(photo.alpha, alpha)
    is_clear = alpha > 20_000
    assert np.abs(photo.pixels.astype(int) - values16[:, :, :3])[is_clear].max() <= 2
    assert (photo.pixels[alpha == 0] == 0).all()


def test_channels_without_a_meaning_are_left_out_and_said(values16):
    tiff = written(values16, photometric="rgb", extrasamples=["unspecified"])
    photo = read_photo(tiff, max_bits=16)
    assert photo.alpha is None
    np.testing.assert_array_equal(photo.pixels, values16[:, :, :3])
    assert lost_in(photo, "TIFF") == ("channels that are neither colour nor transparency",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_oriented_one_is_read_upright(values16, make_exif, orientation):
    photo = Photo(
        pixels=values16[:, :, :3].copy(),
        alpha=values16[:, :, 3].copy(),
        metadata=Metadata(exif=make_exif(orientation=orientation)),
    )
    again = read_photo(encode_photo(photo, format="TIFF"), max_bits=16)
    assert again.metadata.orientation == 1
    np.testing.assert_array_equal(again.pixels, photo.upright().pixels)
    np.testing.assert_array_equal(again.alpha, photo.upright().alpha)


@pytest.mark.parametrize(
    "coding", [TiffCoding(compression=name, has_predictor=flag) for name in PACKED for flag in (False, True)], ids=str
)
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_compression_is_kept_and_pixels_exact(values16, make_exif, coding, mode, order):
    compression, has_predictor = coding.compression, coding.has_predictor
    values = np.ascontiguousarray(values16[:, :, : CHANNELS[mode]])
    photo = photo_of(values, coding)
    tiff = encode_photo(
        Photo(
            pixels=photo.pixels,
            alpha=photo.alpha,
            metadata=Metadata(exif=make_exif(order=order), coding=photo.metadata.coding),
        ),
        format="TIFF",
    )

    again = read_photo(tiff, max_bits=16)

    np.testing.assert_array_equal(joined(again), values)
    is_predicted = has_predictor and compression in ("tiff_lzw", "tiff_adobe_deflate")
    assert again.metadata.coding == TiffCoding(compression=compression, has_predictor=is_predicted)
    page = page_of(tiff)
    assert page.parent.byteorder == order
    assert page.bitspersample == 16
    if compression != "tiff_lzw":  # which tifffile does not know by itself
        np.testing.assert_array_equal(page.asarray().reshape(values.shape), values)
    if mode != "LA":  # which Pillow does not open
        shown = np.asarray(Image.open(io.BytesIO(tiff)))
        np.testing.assert_array_equal(shown.reshape(values.shape), values if mode == "L" else values >> 8)


def test_large_ones_in_many_strips(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (700, 900, 3), np.uint16)
    for compression in PACKED:
        tiff = encode_photo(photo_of(values, TiffCoding(compression=compression)), format="TIFF")
        np.testing.assert_array_equal(joined(read_photo(tiff, max_bits=16)), values)
    path = tmp_path / "a.tif"
    path.write_bytes(written(values, photometric="rgb", compression="zlib", tile=(64, 64)))
    np.testing.assert_array_equal(joined(read_photo(path, max_bits=16)), values)


def test_metadata_stay(photo, values16):
    first = Photo(pixels=values16[:, :, :3].copy(), metadata=photo.metadata)
    again = read_photo(encode_photo(first, format="TIFF"), max_bits=16).metadata
    assert (again.icc_profile, again.xmp, again.dpi) == (
        photo.metadata.icc_profile,
        photo.metadata.xmp,
        photo.metadata.dpi,
    )
    exif = Image.Exif()
    exif.load(again.exif)
    assert exif[271] == "Maker of cameras"


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 17, 4), (17, 1, 2)])
def test_the_smallest_pictures(shape):
    values = np.random.default_rng(2).integers(0, 65536, shape, np.uint16)
    for compression in PACKED:
        tiff = encode_photo(photo_of(values, TiffCoding(compression=compression, has_predictor=True)), format="TIFF")
        np.testing.assert_array_equal(joined(read_photo(tiff, max_bits=16)), values)


def test_who_takes_8_bits_is_not_given_16(values16):
    with pytest.raises(UnsupportedImage, match="16 bits per channel"):
        read_photo(written(values16[:, :, 0].copy()))


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        (262, 3, "a palette"),
        (262, 5, "CMYK"),
        (262, 10, "a rare kind"),
        (259, 7, "rare compression"),
        (258, 20, "20 bits"),
        (258, 48, "48 bits"),
        (278, 0, "no possible order"),
        (277, 65, "no possible order"),
    ],
)
def test_other_kinds_are_refused(values16, tag, value, words):
    tiff = written(values16[:, :, 0].copy(), rowsperstrip=9)
    with pytest.raises(UnsupportedImage, match=words):
        read_photo(with_tag(tiff, tag, value), max_bits=16)


def with_any_tag(values16, tag: int, value: int) -> bytes:
    """Give a grey file with a tag of one 16-bit value, also one that tifffile does not write."""
    private = 65_000
    tiff = written(values16[:, :, 0].copy(), rowsperstrip=9, extratags=[(private, "H", 1, value, True)])
    if tag not in (266, 339):
        return with_tag(tiff, tag, value)
    return tiff.replace(struct.pack("<HH", private, 3), struct.pack("<HH", tag, 3))


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        (262, 777, "of a rare kind (photometric interpretation 777), which is not read here, or it is damaged; get"),
        (259, 4711, "a rare compression (number 4711), which is not read here, or it is damaged; get"),
        (266, 9, "with bits in an odd order, which is not read here, or it is damaged; get"),
        (339, 99, "of signed or complex numbers, which is not read here, or it is damaged; get"),
        (258, 4000, "is cut off or damaged (it says that its pixels have 4000 bits)"),
    ],
)
def test_what_no_known_file_says_may_be_damage(values16, tag, value, words):
    with pytest.raises(UnsupportedImage, match=re.escape(words)):
        read_photo(with_any_tag(values16, tag, value), max_bits=16)


@pytest.mark.parametrize(("tag", "value"), [(262, 3), (262, 10), (259, 34887), (266, 2), (258, 20)])
def test_a_sound_file_of_a_rare_kind_is_not_called_damaged(values16, tag, value):
    with pytest.raises(UnsupportedImage, match="which is not read here; "):
        read_photo(with_any_tag(values16, tag, value), max_bits=16)


def test_other_numbers_and_predictors_are_refused(values16):
    with pytest.raises(UnsupportedImage, match="signed"):
        read_photo(written(values16[:, :, 0].astype(np.int16)), max_bits=16)
    predicted = lzw_tiff(values16, has_predictor=True)
    with pytest.raises(UnsupportedImage, match="rare predictor"):
        read_photo(with_tag(predicted, 317, 3), max_bits=16)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_pixels_that_end_too_early_are_refused(values16, compression, share):
    tiff = written(values16, photometric="rgb", extrasamples=["unassalpha"], compression=compression)
    start = page_of(tiff).dataoffsets[0]
    with pytest.raises(UnsupportedImage, match="cut off or damaged"):
        read_photo(tiff[: start + int((len(tiff) - start) * share)], max_bits=16)


def test_damaged_lzw_is_refused(values16):
    tiff = bytearray(lzw_tiff(values16, rows=20))
    tiff[500:600] = bytes(100)
    tiff[600:700] = b"\xff" * 100
    with pytest.raises(UnsupportedImage, match="cut off or damaged"):
        read_photo(bytes(tiff), max_bits=16)


def test_a_huge_tile_is_not_allocated(values16):
    tiff = written(values16[:, :, 0].copy(), tile=(16, 16))
    for tag in (322, 323):
        tiff = with_tag(tiff, tag, 65520)
    with pytest.raises(UnsupportedImage, match="no possible order"):
        read_photo(tiff, max_bits=16)
