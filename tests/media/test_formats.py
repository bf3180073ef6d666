from __future__ import annotations

from pathlib import Path

import pytest

from acutance.errors import OutputError
from acutance.media.formats import format_of, sniff_format, suffix_for


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.jpg", "JPEG"),
        ("a.JPEG", "JPEG"),
        ("a.Png", "PNG"),
        ("a.webp", "WEBP"),
        ("a.b.tif", "TIFF"),
        ("a.TIFF", "TIFF"),
    ],
)
def test_the_name_says_the_format(name, wanted):
    assert format_of(Path(name)) == wanted


@pytest.mark.parametrize("name", ["a", "a.bmp", "a.heic", "a.jpg.txt", ".jpg"])
def test_other_names_are_refused_with_those_that_are_not(name):
    with pytest.raises(OutputError, match=r"\.jpg, .*\.png"):
        format_of(Path(name))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_content_is_recognised(save, pixels, format_):
    image = pixels[:, :, 0] if format_ == "GIF" else pixels
    assert sniff_format(save(image, format_)[:32]) == format_


@pytest.mark.parametrize(
    ("source", "suffix", "wanted"),
    [
        ("JPEG", ".JPG", ".JPG"),
        ("JPEG", ".jpeg", ".jpeg"),
        ("PNG", ".jpg", ".png"),
        ("JPEG", ".png", ".jpg"),
        ("BMP", ".bmp", ".png"),
        ("GIF", "", ".png"),
        ("TIFF", "", ".tif"),
        ("WEBP", ".foo", ".webp"),
    ],
)
def test_a_result_keeps_its_ending_where_it_is_true(source, suffix, wanted):
    assert suffix_for(source, suffix) == wanted
