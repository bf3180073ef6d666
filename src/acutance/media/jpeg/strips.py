"""JPEG files in strips.

Written: each strip is encoded by itself, with a restart marker after every row of blocks. What stands between two such
markers does not depend on what is before, so the strips' rows of blocks, numbered anew, are one picture.

Read: libvips decodes row by row (extra `large`); Pillow's decoder wants room for all of them. Progressive files tell
nothing of any row before their end, and are not read in strips.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from acutance.geometry import Size
from acutance.media.atomic import Patch
from acutance.media.container import Container, damaged
from acutance.media.jpeg.trailer import mp_segment
from acutance.media.jpeg.writing import encode_baseline, metadata_segments
from acutance.media.photo import JpegCoding, Metadata, Photo
from acutance.media.pil import picture_of
from acutance.media.strips import Strip, StripSource, regrouped

_BLOCK_ROWS = 16
"""Of a row of blocks, at most."""
_STRIP_BYTES = 2**23
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SPOILT = "its pixels cannot be decoded, or end too early"
_FRAME, _SCAN = (0xC0, 0xC1), 0xDA


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


def encode_jpeg_strips(source: StripSource, metadata: Metadata) -> Iterator[bytes | Patch]:
    """Encode a picture without transparency whose rows come in strips; the same pixels as `encode_jpeg`, baseline.

    Yields:
        The file in parts, and corrections where it lists further pictures.
    """
    end, listed, trailer = 0, 0, metadata.jpeg_trailer
    for part in _picture_parts(source, metadata):
        end += len(part.content)
        yield part.content
        if part.is_before_list:
            listed = end
            room = mp_segment(trailer, listed, None)
            end += len(room)
            yield room
    if trailer is not None:
        yield trailer.content
        yield Patch(listed, mp_segment(trailer, listed, end))


class _Part(NamedTuple):
    """Some bytes of a picture."""

    content: bytes
    is_before_list: bool = False
    """Whether the list of further pictures belongs behind them."""


def _picture_parts(source: StripSource, metadata: Metadata) -> Iterator[_Part]:
    rows = max(_STRIP_BYTES // source.row_bytes // _BLOCK_ROWS, 1) * _BLOCK_ROWS
    restarts = -1
    for strip in regrouped(source.read(), rows):
        encoded = encode_baseline(picture_of(Photo(pixels=strip.pixels)), metadata)
        frame, start = _places(encoded)
        if restarts < 0:
            head = bytearray(encoded[:start])
            struct.pack_into(">H", head, frame + 5, source.size.height)
            place, written = metadata_segments(encoded, metadata)
            yield _Part(bytes(head[:place]) + written, is_before_list=True)
            yield _Part(bytes(head[place:]))
        pieces = []
        for piece in _RESTART.split(encoded[start:-2]):
            if restarts >= 0:
                pieces.append(bytes((0xFF, 0xD0 + restarts % 8)))
            pieces.append(piece)
            restarts += 1
        yield _Part(b"".join(pieces))
    yield _Part(b"\xff\xd9")


def _places(encoded: bytes) -> tuple[int, int]:
    """Return where the frame header of a file of Pillow's stands, and where its compressed pixels begin."""
    position, frame = 2, 0
    while True:
        marker = encoded[position + 1]
        (length,) = struct.unpack_from(">H", encoded, position + 2)
        if marker in _FRAME:
            frame = position
        position += 2 + length
        if marker == _SCAN:
            return frame, position
