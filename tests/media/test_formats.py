from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from acutance.errors import OutputError
from acutance.media import Photo, encode_photo
from acutance.media.formats import FORMATS, HEAD_BYTES, format_of, sniff_format, suffix_for
from acutance.media.unread import describe_unread


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.jpg", "JPEG"),
        ("a.JPEG", "JPEG"),
        ("a.Png", "PNG"),
        ("a.webp", "WEBP"),
        ("a.b.tif", "TIFF"),
        ("a.TIFF", "TIFF"),
        ("a.avif", "AVIF"),
        ("a.jp2", "JPEG2000"),
        ("a.BMP", "BMP"),
        ("a.gif", "GIF"),
        ("a.pgm", "PPM"),
    ],
)
def test_the_name_says_the_format(name, wanted):
    assert format_of(Path(name)) == wanted


@pytest.mark.parametrize("name", ["a", "a.pbm", "a.j2k", "a.jxl", "a.jpg.txt", ".jpg"])
def test_other_names_are_refused_with_those_that_are_not(name):
    with pytest.raises(OutputError, match=r"\.jpg, .*\.png"):
        format_of(Path(name))


@pytest.mark.parametrize("format_", [name for name in FORMATS if name != "HEIF"])
def test_content_is_recognised(save, pixels, format_):
    assert sniff_format(encode_photo(Photo(pixels=pixels), format=format_)[:HEAD_BYTES]) == format_
    Image.init()
    if format_ in Image.SAVE:  # as others write it
        image = pixels[:, :, 0] if format_ == "GIF" else pixels
        assert sniff_format(save(image, format_)[:HEAD_BYTES]) == format_


@pytest.mark.parametrize(
    ("source", "suffix", "wanted"),
    [
        ("JPEG", ".JPG", ".JPG"),
        ("JPEG", ".jpeg", ".jpeg"),
        ("PNG", ".jpg", ".png"),
        ("JPEG", ".png", ".jpg"),
        ("BMP", ".bmp", ".bmp"),
        ("GIF", "", ".gif"),
        ("PPM", ".pgm", ".pgm"),
        ("PPM", ".pbm", ".ppm"),
        ("AVIF", ".heic", ".avif"),
        ("JPEG2000", ".j2k", ".jp2"),
        ("TIFF", "", ".tif"),
        ("WEBP", ".foo", ".webp"),
    ],
)
def test_a_result_keeps_its_ending_where_it_is_true(source, suffix, wanted):
    assert suffix_for(source, suffix) == wanted


@pytest.mark.parametrize(
    ("brands", "wanted"),
    [
        (b"avif\0\0\0\0avifmif1", "AVIF"),
        (b"mif1\0\0\0\0mif1miafavif", "AVIF"),
        (b"avis\0\0\0\0avis", "AVIF"),
        (b"heic\0\0\0\0mif1heic", "HEIF"),
        (b"mif1\0\0\0\0mif1heic", "HEIF"),
        (b"mif1\0\0\0\0mif1", None),
        (b"isom\0\0\0\0isommp41", None),
    ],
)
def test_avif_is_told_from_its_relatives_by_all_its_brands(brands, wanted):
    head = (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + b"\0\0\0\x10avifavif"
    assert sniff_format(head) == wanted
    if wanted is None:
        assert describe_unread(head) != "not an image"


def test_a_jpeg_2000_codestream_is_known_without_its_box():
    assert sniff_format(b"\xff\x4f\xff\x51\0\x2f") == "JPEG2000"
