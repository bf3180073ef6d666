"""JPEG: Pillow decodes and encodes the pixels; the segments around them, and what follows them, are ours."""

from __future__ import annotations

from collections.abc import Iterator

from acutance.media.format import Format, Strips, begins
from acutance.media.jpeg.pixels import decode_jpeg, encode_jpeg, encode_jpeg_strips, open_jpeg_strips
from acutance.media.jpeg.reading import MAX_ICC_BYTES, MAX_XMP_BYTES, inspect_jpeg
from acutance.media.photo import Photo


def _too_long(photo: Photo) -> Iterator[str]:
    if len(photo.metadata.xmp or b"") > MAX_XMP_BYTES:
        yield f"XMP (longer than {MAX_XMP_BYTES} bytes)"
    if len(photo.metadata.icc_profile or b"") > MAX_ICC_BYTES:
        yield f"the colour profile (longer than {MAX_ICC_BYTES} bytes)"


JPEG = Format(
    name="JPEG",
    label="JPEG",
    query="jpeg",
    media_type="image/jpeg",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
    other_suffixes=(".mpo", ".jif", ".jfi"),
    sniff=begins(b"\xff\xd8\xff"),
    inspect=inspect_jpeg,
    decode=decode_jpeg,
    encode=encode_jpeg,
    strips=Strips(open=open_jpeg_strips, encode=encode_jpeg_strips),
    holds=frozenset(("exif", "xmp", "icc", "dpi", "photoshop", "comments", "segments", "trailer")),
    has_alpha=False,
    also_lost=_too_long,
    max_side_px=65_500,
    pixels="8 bit grey, RGB",
    coding="the same quantisation tables and chroma subsampling",
)
