from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, lost_in, read_photo
from acutance.media.jpeg.reading import inspect_jpeg
from acutance.media.photo import JpegCoding


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Put segments behind the first one (JFIF)."""
    end = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:end] + b"".join(segments) + jpeg[end:]


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg))


def layout(image: Image.Image) -> list[tuple[int, int]]:
    return [(width, height) for _, width, height, _ in image.layer]


def tables_of(image: Image.Image) -> list[list[int]]:
    return [image.quantization[table] for *_, table in image.layer]


@pytest.mark.parametrize("quality", [30, 75, 92, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_tables_and_subsampling_are_those_of_the_source(save, pixels, quality, subsampling):
    source = save(pixels, "JPEG", quality=quality, subsampling=subsampling)

    result = opened(encode_photo(read_photo(source), format="JPEG"))

    assert tables_of(result) == tables_of(opened(source))
    assert layout(result) == layout(opened(source))
    assert not result.info.get("progressive")


def test_three_different_tables_are_kept_in_their_order(save, pixels):
    tables = [[1 + (i * step) % 90 for i in range(64)] for step in (1, 3, 7)]
    source = save(pixels, "JPEG", qtables=tables, subsampling=1)

    coding = read_photo(source).metadata.coding
    result = opened(encode_photo(read_photo(source), format="JPEG"))

    assert isinstance(coding, JpegCoding)
    assert [list(table) for table in coding.tables] == tables
    assert tables_of(result) == tables


def test_one_table_for_all_is_kept(save, pixels):
    source = save(pixels, "JPEG", qtables=[[5] * 64])
    result = opened(encode_photo(read_photo(source), format="JPEG"))
    assert tables_of(result) == [[5] * 64] * 3


def test_divisors_beyond_baseline_are_cut_silently(pixels, capfd):
    coding = JpegCoding(tables=((300,) * 64,), subsampling=0)
    jpeg = encode_photo(Photo(pixels=pixels, metadata=Metadata(coding=coding)), format="JPEG")
    assert opened(jpeg).quantization[0] == [255] * 64
    assert capfd.readouterr() == ("", "")


def test_a_grey_jpeg_stays_grey(save, pixels):
    source = save(pixels[:, :, 0], "JPEG", quality=60)
    photo = read_photo(source)
    result = opened(encode_photo(photo, format="JPEG"))
    assert photo.pixels.shape == (20, 31, 1)
    assert result.mode == "L"
    assert result.quantization == opened(source).quantization


def test_an_rgb_jpeg_stays_rgb(save, pixels):
    source = save(pixels, "JPEG", quality=90, keep_rgb=True)
    result = opened(encode_photo(read_photo(source), format="JPEG"))
    assert result.info["adobe_transform"] == 0
    assert layout(result) == [(1, 1)] * 3


def test_a_progressive_jpeg_stays_progressive(save, pixels):
    source = save(pixels, "JPEG", progressive=True)
    assert opened(encode_photo(read_photo(source), format="JPEG")).info["progressive"] == 1


def test_a_progressive_jpeg_too_noisy_for_the_encoder_becomes_baseline(save):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    coding = JpegCoding(tables=((1,) * 64,), subsampling=0, is_progressive=True)
    jpeg = encode_photo(Photo(pixels=noise, metadata=Metadata(coding=coding)), format="JPEG")
    assert np.abs(read_photo(jpeg).pixels.astype(int) - noise).max() < 10


@pytest.mark.parametrize(
    ("luma", "wanted"),
    [(0x11, 0), (0x21, 1), (0x22, 2), (0x12, 0), (0x41, 0), (0x42, 2)],
    ids=["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "4:1:0"],
)
def test_layouts_that_cannot_be_written_become_better_ones(save, luma, wanted):
    jpeg = bytearray(save(np.zeros((32, 32, 3), np.uint8), "JPEG", subsampling=0))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 11] = luma  # sampling factors of the first component

    coding = inspect_jpeg(io.BytesIO(bytes(jpeg)), "it").metadata.coding
    assert isinstance(coding, JpegCoding)
    assert coding.subsampling == wanted


def test_an_unchanged_photo_comes_back_nearly_unchanged(save, pixels):
    source = read_photo(save(pixels, "JPEG", quality=75, subsampling=0))
    again = read_photo(encode_photo(source, format="JPEG"))
    assert np.abs(again.pixels.astype(int) - source.pixels).mean() < 0.7


def test_what_was_no_jpeg_gets_quality_95_and_full_chroma(save, pixels):
    jpeg = opened(encode_photo(Photo(pixels=pixels), format="JPEG"))
    assert jpeg.quantization == opened(save(pixels, "JPEG", quality=95)).quantization
    assert layout(jpeg) == [(1, 1)] * 3


def test_every_comment_and_application_segment_is_carried_in_order(save, pixels):
    extension = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40
    source = with_segments(
        save(pixels, "JPEG"),
        segment(0xFE, b"first"),
        segment(0xE7, b"drone's data"),
        segment(0xFE, b"second \xff\xd9 \xff\xda"),
        segment(0xE1, extension),
    )
    photo = read_photo(source)

    again = read_photo(encode_photo(photo, format="JPEG")).metadata

    assert again.comments == (b"first", b"second \xff\xd9 \xff\xda")
    assert again.jpeg_segments == ((0xE7, b"drone's data"), (0xE1, extension))
    assert lost_in(photo, "JPEG") == ()
    assert lost_in(photo, "PNG") == ("comments", "application data of the JPEG file")


def test_long_exif_profile_and_captions_are_split_and_joined(pixels, make_exif):
    exif = make_exif() + bytes(150_000)
    icc = b"\0" * 16 + b"RGB " + np.random.default_rng(1).bytes(200_000)
    captions = b"8BIM\x04\x04\0\0" + (90_000).to_bytes(4, "big") + bytes(90_000)
    metadata = Metadata(exif=exif, icc_profile=icc, photoshop=captions)

    jpeg = encode_photo(Photo(pixels=pixels, metadata=metadata), format="JPEG")

    again = read_photo(jpeg).metadata
    assert (again.exif, again.icc_profile, again.photoshop) == (exif, icc, captions)
    assert opened(jpeg).info["icc_profile"] == icc
    assert opened(jpeg).info["exif"] == b"Exif\0\0" + exif


def test_xmp_beyond_one_segment_is_left_out_and_said(pixels):
    photo = Photo(pixels=pixels, metadata=Metadata(xmp=b"x" * 70_000))
    assert lost_in(photo, "JPEG") == ("XMP (longer than 65504 bytes)",)
    assert read_photo(encode_photo(photo, format="JPEG")).metadata.xmp is None
    longest = replace(photo, metadata=Metadata(xmp=b"x" * 65_504))
    assert lost_in(longest, "JPEG") == ()
    assert read_photo(encode_photo(longest, format="JPEG")).metadata.xmp == b"x" * 65_504


@pytest.mark.parametrize(
    ("extra", "loss"), [(segment(0xE2, b"MPF\0II*\0"), "further pictures"), (segment(0xEB, b"JP\0\1jumb"), "C2PA")]
)
def test_what_would_be_false_in_the_result_is_left_out_and_said(save, pixels, extra, loss):
    photo = read_photo(with_segments(save(pixels, "JPEG"), extra))
    assert loss in lost_in(photo, "JPEG")[0]
    assert extra not in encode_photo(photo, format="JPEG")


def test_what_stands_in_the_first_kind_of_segment_and_is_not_jfif_is_carried(save, pixels):
    """Early Canon cameras wrote all that they knew into one, instead of EXIF."""
    notes = segment(0xE0, b"II\x1a\0\0\0HEAPJPGM" + bytes(20))
    photo = read_photo(with_segments(save(pixels, "JPEG"), notes))
    assert notes in encode_photo(photo, format="JPEG")
    assert lost_in(photo, "JPEG") == ()
    assert lost_in(photo, "PNG") == ("application data of the JPEG file",)


def test_previews_of_jfif_are_left_out_and_said(save, pixels):
    jpeg = save(pixels, "JPEG")
    extended = with_segments(jpeg, segment(0xE0, b"JFXX\0\x10small"))
    within = jpeg[:2] + segment(0xE0, jpeg[6:18] + b"\1\1abc") + jpeg[20:]
    for source in (extended, within):
        photo = read_photo(source)
        assert lost_in(photo, "JPEG") == ("the smaller previews in the file",)
        assert lost_in(read_photo(encode_photo(photo, format="JPEG")), "JPEG") == ()


@pytest.mark.parametrize(("unit", "wanted"), [(0, None), (1, (300.0, 240.0)), (2, (762.0, 609.6))])
def test_the_resolution_is_that_of_the_file(save, pixels, unit, wanted):
    jpeg = bytearray(save(pixels, "JPEG"))
    jpeg[13:18] = struct.pack(">BHH", unit, 300, 240)
    assert read_photo(bytes(jpeg)).metadata.dpi == (None if wanted is None else pytest.approx(wanted))


def test_cmyk_without_a_profile_is_refused(save):
    with pytest.raises(UnsupportedImage, match=r"CMYK picture without a colour profile.*; assign"):
        read_photo(save(Image.new("CMYK", (9, 9)), "JPEG"))


def test_twelve_bits_are_refused(save, pixels):
    jpeg = bytearray(save(pixels, "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedImage, match="12 bits per channel"):
        read_photo(bytes(jpeg))


def test_bytes_after_the_end_do_not_matter(save, pixels):
    jpeg = save(pixels, "JPEG")
    np.testing.assert_array_equal(read_photo(jpeg + bytes(5000)).pixels, read_photo(jpeg).pixels)


@pytest.mark.parametrize(
    ("density", "lost"),
    [((1, 1), ()), ((3, 2), ("the shape of the pixels (0.667 times as wide as high)",)), ((0, 2), ())],
)
def test_pixels_that_are_not_square_are_told(save, pixels, density, lost):
    jpeg = bytearray(save(pixels, "JPEG"))
    jpeg[13:18] = struct.pack(">BHH", 0, *density)
    assert lost_in(read_photo(bytes(jpeg)), "JPEG") == lost


@pytest.mark.parametrize(
    ("dpi", "written"),
    [
        ((300.0, 240.0), (1, 300, 240)),
        ((299.9994, 299.9994), (1, 300, 300)),
        ((118 * 2.54, 118 * 2.54), (2, 118, 118)),
        ((2.54, 5.08), (2, 1, 2)),
        ((1e6, 72.0), (2, 65535, 28)),
        ((0.3, 0.3), (0, 1, 1)),
        (None, (0, 1, 1)),
    ],
)
@pytest.mark.parametrize("coding", [True, False])
def test_the_resolution_is_in_the_unit_that_it_fits(save, pixels, dpi, written, coding):
    source = read_photo(save(pixels, "JPEG" if coding else "PNG"))
    photo = replace(source, metadata=replace(source.metadata, dpi=dpi))
    jpeg = encode_photo(photo, format="JPEG")
    assert struct.unpack_from(">BHH", jpeg, 13) == written
    assert Image.open(io.BytesIO(jpeg)).info["jfif_unit"] == written[0]
