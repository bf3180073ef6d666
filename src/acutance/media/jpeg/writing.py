"""JPEG files written: Pillow encodes the pixels, the segments with the metadata are put between the markers."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence

from PIL import Image

from acutance.media.jpeg.reading import EXIF, ICC, MAX_ICC_BYTES, MAX_PAYLOAD_BYTES, MAX_XMP_BYTES, PHOTOSHOP, XMP
from acutance.media.jpeg.trailer import mp_segment
from acutance.media.photo import JpegCoding, Metadata, Photo
from acutance.media.pil import picture_of

QUALITY = 95
"""Quality (libjpeg's scale) of a JPEG that is not made from a JPEG; with full chroma resolution."""
PROGRESSIVE_MAX_PIXELS = 40_000_000
"""Above this, a progressive JPEG becomes a baseline one: the encoder would hold all coefficients, 6 bytes
per pixel."""

_APP1, _APP2, _APP13, _COM = 0xE1, 0xE2, 0xED, 0xFE
_JFIF_MARKER, _UNIT = b"\xff\xe0", 13
"""How a file with JFIF goes on behind its first marker, and where it says in which unit its resolution is."""
_PER_INCH = {1: 1.0, 2: 2.54}
"""By the numbers of the units."""


def encode_jpeg(photo: Photo) -> tuple[bytes | memoryview, ...]:
    """Encode a photo without transparency, coded no worse than the JPEG it was read from.

    Returns:
        The file in parts.
    """
    image, metadata = picture_of(photo), photo.metadata
    coding = metadata.coding if isinstance(metadata.coding, JpegCoding) else None
    is_progressive = coding is not None and coding.is_progressive
    if is_progressive and image.width * image.height <= PROGRESSIVE_MAX_PIXELS:
        try:
            encoded = _encoded(image, metadata, coding, is_progressive=True)
        except OSError:
            # Pillow 13 gives the encoder 2 bytes per pixel of room and fails when a noisy picture needs more.
            encoded = _encoded(image, metadata, coding, is_progressive=False)
    else:
        encoded = _encoded(image, metadata, coding, is_progressive=False)
    start, written = metadata_segments(encoded, metadata)
    trailer = metadata.jpeg_trailer
    more = mp_segment(trailer, start + len(written), None)
    end = len(encoded) + len(written) + len(more)
    more = mp_segment(trailer, start + len(written), end)
    return encoded[:start], written, more, memoryview(encoded)[start:], b"" if trailer is None else trailer.content


def metadata_segments(encoded: bytes, metadata: Metadata) -> tuple[int, bytes]:
    """Return the segments that hold the metadata, and where in a file of Pillow's they go."""
    start = 2
    if encoded[2:4] == _JFIF_MARKER:  # JFIF wants to be the first segment
        start += 2 + int.from_bytes(encoded[4:6], "big")
    return start, b"".join(_segment(marker, payload) for marker, payload in _payloads(metadata))


def encode_baseline(image: Image.Image, metadata: Metadata) -> bytes:
    """Encode some rows of a picture, like `encode_jpeg`, but so that every row of blocks stands alone.

    Returns:
        A whole file, without the metadata.
    """
    coding = metadata.coding if isinstance(metadata.coding, JpegCoding) else None
    return _encoded(image, metadata, coding, is_progressive=False, restart_rows=1)


def _encoded(
    image: Image.Image,
    metadata: Metadata,
    coding: JpegCoding | None,
    *,
    is_progressive: bool,
    restart_rows: int = 0,
) -> bytes:
    buffer = io.BytesIO()
    if coding is None:
        image.save(buffer, "JPEG", quality=QUALITY, subsampling=0, restart_marker_rows=restart_rows)
        return _with_density(buffer.getvalue(), metadata.dpi)
    image.save(
        buffer,
        "JPEG",
        qtables=_tables_to_write(coding, channels=len(image.getbands())),
        subsampling=coding.subsampling,
        keep_rgb=coding.is_rgb,
        progressive=is_progressive,
        restart_marker_rows=restart_rows,
    )
    return _with_density(buffer.getvalue(), metadata.dpi)


def _with_density(encoded: bytes, dpi: tuple[float, float] | None) -> bytes:
    """Return a file with a resolution: in whole px per inch or per cm, whichever is nearer."""
    if dpi is None or encoded[2:4] != _JFIF_MARKER:
        return encoded

    def error(unit: int) -> float:
        return sum(abs(density * _PER_INCH[unit] / value - 1) for density, value in zip(whole[unit], dpi, strict=True))

    whole = {unit: [min(round(value / scale), 65535) for value in dpi] for unit, scale in _PER_INCH.items()}
    unit = min(_PER_INCH, key=error)
    if not all(whole[unit]):
        return encoded
    return encoded[:_UNIT] + struct.pack(">BHH", unit, *whole[unit]) + encoded[_UNIT + 5 :]


def _tables_to_write(coding: JpegCoding, *, channels: int) -> list[list[int]]:
    """Return one table per component, without a repeated last one.

    Divisors above 255 are cut to 255: baseline JPEG holds no more, and a smaller divisor loses less.
    """
    tables = [[min(number, 255) for number in table] for table in coding.tables[:channels]]
    while len(tables) > 1 and tables[-1] == tables[-2]:
        tables.pop()
    return tables


def _payloads(metadata: Metadata) -> Iterator[tuple[int, bytes]]:
    """Yield the segments that hold the metadata, in the order in which readers expect them."""
    if metadata.exif is not None:
        # Blocks beyond 64 kB go on in further EXIF segments: cameras write and readers join them.
        for piece in _pieces(metadata.exif, MAX_PAYLOAD_BYTES - len(EXIF)):
            yield _APP1, EXIF + piece
    if metadata.xmp is not None and len(metadata.xmp) <= MAX_XMP_BYTES:
        yield _APP1, XMP + metadata.xmp
    if metadata.icc_profile is not None and len(metadata.icc_profile) <= MAX_ICC_BYTES:
        pieces = list(_pieces(metadata.icc_profile, MAX_PAYLOAD_BYTES - len(ICC) - 2))
        for number, piece in enumerate(pieces, start=1):
            yield _APP2, ICC + bytes((number, len(pieces))) + piece
    if metadata.photoshop is not None:
        for piece in _pieces(metadata.photoshop, MAX_PAYLOAD_BYTES - len(PHOTOSHOP)):
            yield _APP13, PHOTOSHOP + piece
    yield from metadata.jpeg_segments
    for comment in metadata.comments:
        for piece in _pieces(comment, MAX_PAYLOAD_BYTES):  # a GIF's may be longer than a segment
            yield _COM, piece


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _pieces(data: bytes, size: int) -> Sequence[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
