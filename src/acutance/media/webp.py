"""WebP files around their pixels: chunks of a RIFF file."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from acutance.geometry import Size
from acutance.media.container import Container, animated, damaged
from acutance.media.exif import without_prefix
from acutance.media.photo import Metadata, WebpCoding

QUALITY = 95
"""Quality of a lossy WebP. The files do not say at what quality they were written."""

_KEPT = (b"VP8X", b"ICCP", b"EXIF", b"XMP ")
_PIXELS = (b"VP8 ", b"VP8L")
_PIXEL_HEAD_BYTES = 10


def inspect_webp(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a WebP file.

    Raises:
        UnsupportedImage: When it is damaged, cut off, or animated.
    """
    try:
        chunks = dict(_chunks(file))
    except (struct.error, EOFError) as error:
        raise damaged(name, "it ends too early") from error
    if b"ANMF" in chunks or b"ANIM" in chunks:
        raise animated(name)
    size = _size(chunks)
    if size is None:
        raise damaged(name, "it has no picture")
    exif = chunks.get(b"EXIF")
    metadata = Metadata(
        source_format="WEBP",
        exif=None if exif is None else without_prefix(exif),
        icc_profile=chunks.get(b"ICCP"),
        xmp=chunks.get(b"XMP "),
        coding=WebpCoding(is_lossless=b"VP8L" in chunks),
    )
    return Container(size, metadata)


def encode_webp(image: Image.Image, metadata: Metadata) -> tuple[bytes, ...]:
    """Encode a picture: lossless if its source is a lossless WebP, otherwise at quality 95.

    Args:
        image: Mode L, LA, RGB or RGBA; grey is written as RGB, since WebP knows nothing else.
        metadata: Of the photo; what a WebP can hold is written.

    Returns:
        The file in parts.
    """
    coding = metadata.coding
    is_lossless = isinstance(coding, WebpCoding) and coding.is_lossless
    icc = metadata.icc_profile
    if icc is not None and is_grey_profile(icc) and image.mode in ("L", "LA"):
        icc = None
    buffer = io.BytesIO()
    image.save(
        buffer,
        "WEBP",
        lossless=is_lossless,
        exact=is_lossless,  # keep the colour of transparent pixels, too
        quality=75 if is_lossless else QUALITY,  # for lossless this is effort, and 75 is libwebp's choice
        exif=metadata.exif or b"",
        icc_profile=icc or b"",
        xmp=metadata.xmp or b"",
    )
    return (buffer.getvalue(),)


def is_grey_profile(icc: bytes) -> bool:
    """Say whether a colour profile is one for grey pictures."""
    return icc[16:20] == b"GRAY"


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield types and payloads; of the pixels only the beginning.

    Raises:
        EOFError: When the file is shorter than it says.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(4)
    (length,) = struct.unpack("<I", file.read(4))
    stop = 8 + length
    if stop > end + 1:  # some writers count a padding byte that they do not write
        raise EOFError
    position = 12
    while position + 8 <= stop:
        file.seek(position)
        kind, size = struct.unpack("<4sI", file.read(8))
        if position + 8 + size > end:
            raise EOFError
        wanted = size if kind in _KEPT else min(size, _PIXEL_HEAD_BYTES)
        yield kind, file.read(wanted)
        position += 8 + size + size % 2


def _size(chunks: dict[bytes, bytes]) -> Size | None:
    """Return height and width as the headers say; None without a picture."""
    if not any(kind in chunks for kind in _PIXELS):
        return None
    if len(canvas := chunks.get(b"VP8X", b"")) >= 10:
        width, height = (int.from_bytes(canvas[start : start + 3], "little") + 1 for start in (4, 7))
        return Size(height, width)
    if len(head := chunks.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(head[1:5], "little")
        return Size((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if len(head := chunks.get(b"VP8 ", b"")) >= 10:
        width, height = struct.unpack_from("<HH", head, 6)
        return Size(height & 0x3FFF, width & 0x3FFF)
    return None
