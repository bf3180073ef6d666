"""The pixels of JPEG files: Pillow decodes and encodes them, also those of a file that lacks its end marker alone.

Written in strips, each is encoded by itself, with a restart marker after every row of blocks. What stands between two
such markers does not depend on what is before, so the strips' rows of blocks, numbered anew, are one picture. Read in
strips, libvips decodes row by row (extra `large`); Pillow's decoder wants room for all of them. Progressive files tell
nothing of any row before their end, and are not read in strips.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from acutance.geometry import Size
from acutance.media.atomic import Patch
from acutance.media.container import Container, Decoded, damaged
from acutance.media.excerpt import excerpt
from acutance.media.jpeg.reading import (
    EXIF,
    ICC,
    MAX_ICC_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_XMP_BYTES,
    PER_INCH,
    PHOTOSHOP,
    XMP,
)
from acutance.media.jpeg.trailer import mp_segment, segments_of
from acutance.media.photo import JpegCoding, Metadata, Photo
from acutance.media.pil import decoded, open_plugin, picture_of
from acutance.media.strips import Strip, StripSource, regrouped

QUALITY = 95
"""Quality (libjpeg's scale) of a JPEG that is not made from a JPEG; with full chroma resolution."""
PROGRESSIVE_MAX_PIXELS = 40_000_000
"""Above this, a progressive JPEG becomes a baseline one: the encoder would hold all coefficients, 6 bytes
per pixel."""

_BLOCK_BYTES = 2**20
_FILLINGS = tuple(
    b"".join(bytes((number,)) * 2**11 + bytes((0xFF, restart)) for restart in range(0xD0, 0xD8))
    for number in (0x55, 0xAA, 0xFE)
)
"""Compressed data of no meaning, that begin with different bits, and with all marks at which a decoder starts anew."""
_APP1, _APP2, _APP13, _COM = 0xE1, 0xE2, 0xED, 0xFE
_JFIF_MARKER, _UNIT = b"\xff\xe0", 13
"""How a file with JFIF goes on behind its first marker, and where it says in which unit its resolution is."""
_BLOCK_ROWS = 16
"""Of a row of blocks, at most."""
_STRIP_BYTES = 2**23
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SPOILT = "its pixels cannot be decoded, or end too early"
_FRAME = (0xC0, 0xC1)


def decode_jpeg(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a file that has passed `inspect_jpeg`."""
    if container.needs_own_decoder:
        return _decode_unended(file, container, name)
    return decoded(open_plugin(file, JpegImageFile), container, name)


def _decode_unended(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a file without an end marker, if nothing else is missing.

    Where compressed data end too early, decoders make up the rest of the picture, and say nothing. So it is decoded
    several times, with something else behind its end: only a picture that needs none of it comes out the same.
    """
    end = file.seek(0, io.SEEK_END)
    while end:  # zeros, where a disk was full, are no part of the picture; nor is half of an end marker
        start = max(end - _BLOCK_BYTES, 0)
        file.seek(start)
        block = file.read(end - start).rstrip(b"\0\xff")
        end = start + len(block)
        if block:
            break
    pictures: list[npt.NDArray[np.uint8]] = []
    for more in (b"", *_FILLINGS):
        image = open_plugin(excerpt(file, [(0, end), more, b"\xff\xd9"]), JpegImageFile)
        pictures = [*pictures[:1], decoded(image, container, name)[0]]
        if (pictures[0] != pictures[-1]).any():
            raise damaged(name, "it ends within its pixels")
    return pictures[0], None


def open_jpeg_strips(file: BinaryIO, container: Container, name: str) -> StripSource | None:
    """Return a file that has passed `inspect_jpeg`, to be read in strips.

    Returns:
        None for progressive ones, for those whose coding is unknown, and where the extra is missing.
    """
    size, coding = container.size, container.metadata.coding
    is_plain = isinstance(coding, JpegCoding) and not coding.is_progressive
    if not is_plain or container.needs_own_decoder:
        return None
    try:
        import pyvips
    except (ImportError, OSError):  # not there, or without libvips itself
        return None

    def opened() -> pyvips.Image:
        file.seek(0)
        # From memory only what is there already; a file is read by its own name, since libvips reads in other threads.
        path = getattr(file, "name", None)
        options = {"access": "sequential", "fail_on": "truncated", "revalidate": True}
        if isinstance(path, str):
            return pyvips.Image.new_from_file(path, **options)
        return pyvips.Image.new_from_buffer(file.read(), "", **options)

    def read() -> Iterator[Strip]:
        rows = max(_STRIP_BYTES // (size.width * bands), 1)
        try:
            region = pyvips.Region.new(opened())
            for top in range(0, size.height, rows):
                height = min(rows, size.height - top)
                values = np.frombuffer(region.fetch(0, top, size.width, height), np.uint8)
                yield Strip(values.reshape(height, size.width, bands), None)
        except pyvips.Error as error:
            raise damaged(name, _SPOILT) from error

    try:
        image = opened()
    except pyvips.Error as error:
        raise damaged(name, _SPOILT) from error
    bands = int(image.bands)
    if Size(image.height, image.width) != size or bands not in (1, 3) or image.format != "uchar":
        return None
    return StripSource(size=size, bits=8, colours=bands, has_alpha=False, read=read)


def encode_jpeg(photo: Photo) -> tuple[bytes | memoryview, ...]:
    """Encode a photo without transparency, coded no worse than the JPEG it was read from."""
    image, metadata = picture_of(photo), photo.metadata
    coding = metadata.coding
    is_progressive = isinstance(coding, JpegCoding) and coding.is_progressive
    is_progressive &= image.width * image.height <= PROGRESSIVE_MAX_PIXELS
    try:
        encoded = _encoded(image, metadata, is_progressive=is_progressive)
    except OSError:
        if not is_progressive:
            raise
        # Pillow 13 gives the encoder 2 bytes per pixel of room and fails when a noisy picture needs more.
        encoded = _encoded(image, metadata)
    start, written = _metadata_segments(encoded, metadata)
    trailer, listed = metadata.jpeg_trailer, start + len(written)
    end = len(encoded) + len(written) + len(mp_segment(trailer, listed, None))
    more = mp_segment(trailer, listed, end)
    return encoded[:start], written, more, memoryview(encoded)[start:], b"" if trailer is None else trailer.content


def encode_jpeg_strips(source: StripSource, metadata: Metadata) -> Iterator[bytes | Patch]:
    """Encode a picture without transparency whose rows come in strips; the same pixels as `encode_jpeg`, baseline.

    The list of further pictures is corrected when it is known where they begin.
    """
    rows = max(_STRIP_BYTES // source.row_bytes // _BLOCK_ROWS, 1) * _BLOCK_ROWS
    trailer = metadata.jpeg_trailer
    listed = end = 0
    restarts = -1
    for strip in regrouped(source.read(), rows):
        encoded = _encoded(picture_of(Photo(pixels=strip.pixels)), metadata, restart_rows=1)
        frame, start = _places(encoded)
        parts: list[bytes] = []
        if restarts < 0:
            head = bytearray(encoded[:start])
            struct.pack_into(">H", head, frame + 1, source.size.height)
            place, written = _metadata_segments(encoded, metadata)
            listed = place + len(written)
            parts = [bytes(head[:place]), written, mp_segment(trailer, listed, None), bytes(head[place:])]
        for piece in _RESTART.split(encoded[start:-2]):
            if restarts >= 0:
                parts.append(bytes((0xFF, 0xD0 + restarts % 8)))
            parts.append(piece)
            restarts += 1
        written = b"".join(parts)
        end += len(written)
        yield written
    yield b"\xff\xd9"
    if trailer is not None:
        yield trailer.content
        yield Patch(listed, mp_segment(trailer, listed, end + 2))


def _encoded(image: Image.Image, metadata: Metadata, *, is_progressive: bool = False, restart_rows: int = 0) -> bytes:
    """Encode a picture as its coding says, or at quality 95; without the metadata, but for the resolution."""
    buffer, coding = io.BytesIO(), metadata.coding
    options: dict[str, Any] = {"quality": QUALITY, "subsampling": 0}
    if isinstance(coding, JpegCoding):  # a quality beside the tables would scale them
        tables = _tables_to_write(coding, channels=len(image.getbands()))
        options = {"qtables": tables, "subsampling": coding.subsampling, "keep_rgb": coding.is_rgb}
    image.save(buffer, "JPEG", progressive=is_progressive, restart_marker_rows=restart_rows, **options)
    return _with_density(buffer.getvalue(), metadata.dpi)


def _places(encoded: bytes) -> tuple[int, int]:
    """Return where the frame header of a file of Pillow's stands, and where its compressed pixels begin."""
    file, frame = io.BytesIO(encoded), 0
    for marker, payload in segments_of(file):
        if marker in _FRAME:
            frame = file.tell() - len(payload)
    scan = file.tell()
    return frame, scan + int.from_bytes(file.read(2), "big")


def _metadata_segments(encoded: bytes, metadata: Metadata) -> tuple[int, bytes]:
    """Return the segments that hold the metadata, and where in a file of Pillow's they go."""
    start = 2
    if encoded[2:4] == _JFIF_MARKER:  # JFIF wants to be the first segment
        start += 2 + int.from_bytes(encoded[4:6], "big")
    return start, b"".join(_segment(marker, payload) for marker, payload in _payloads(metadata))


def _with_density(encoded: bytes, dpi: tuple[float, float] | None) -> bytes:
    """Return a file with a resolution: in whole px per inch or per cm, whichever is nearer."""
    if dpi is None or encoded[2:4] != _JFIF_MARKER:
        return encoded

    def error(unit: int) -> float:
        return sum(abs(density * PER_INCH[unit] / value - 1) for density, value in zip(whole[unit], dpi, strict=True))

    whole = {unit: [min(round(value / scale), 65535) for value in dpi] for unit, scale in PER_INCH.items()}
    unit = min(PER_INCH, key=error)
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
        pieces = _pieces(metadata.icc_profile, MAX_PAYLOAD_BYTES - len(ICC) - 2)
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


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
