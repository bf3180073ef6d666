"""TIFF, of several pages too: libtiff inside Pillow packs and unpacks; directories, layouts and tags are ours."""

from __future__ import annotations

from acutance.media.format import Format, Pages, Strips, begins
from acutance.media.tiff.pixels import decode_tiff, open_tiff_strips
from acutance.media.tiff.tags import inspect_pages, inspect_tiff
from acutance.media.tiff.writing import encode_tiff, encode_tiff_pages, encode_tiff_strips

TIFF = Format(
    name="TIFF",
    label="TIFF",
    query="tiff",
    media_type="image/tiff",
    suffixes=(".tif", ".tiff"),
    sniff=begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    inspect=inspect_tiff,
    decode=decode_tiff,
    encode=encode_tiff,
    strips=Strips(open=open_tiff_strips, encode=encode_tiff_strips),
    pages=Pages(inspect=inspect_pages, encode=encode_tiff_pages),
    max_bits=16,
    holds=frozenset(("exif", "xmp", "icc", "dpi", "photoshop")),
    holds_damaged_exif=False,
    pixels="8 or 16 bit grey, RGB, with transparency",
    coding="the same compression; other tags come back, too",
)
