from __future__ import annotations

from dataclasses import replace

import pytest

from acutance.media import Metadata, Photo, encode_photo, read_photo
from acutance.media.xmp import upright_packet


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'<a tiff:Orientation="6" b="6"/>', b'<a tiff:Orientation="1" b="6"/>'),
        (b"<a tiff:Orientation='8'/>", b"<a tiff:Orientation='1'/>"),
        (b"<tiff:Orientation>3</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b'<a tiff:Orientation="1"/>', b'<a tiff:Orientation="1"/>'),
        (b'<a exif:Orientation="6"/>', b'<a exif:Orientation="6"/>'),
        (b"", b""),
    ],
)
def test_only_the_orientation_changes(before, after):
    assert upright_packet(before) == after


@pytest.mark.parametrize("format_", ["AVIF", "JPEG2000", "TIFF", "PNG", "JPEG"])
def test_what_is_turned_says_so_twice(pixels, make_exif, format_):
    xmp = b'<x:xmpmeta tiff:Orientation="6"/>'
    photo = Photo(pixels=pixels, metadata=Metadata(exif=make_exif(orientation=6), xmp=xmp))
    again = read_photo(encode_photo(photo, format=format_))
    assert again.upright().size == (31, 20)
    assert (b'"6"' in again.metadata.xmp) == (again.metadata.orientation == 6)
    assert replace(again.upright().metadata, exif=None).xmp == upright_packet(xmp)
