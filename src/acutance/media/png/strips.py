"""PNG files in strips: rows are unpacked and packed as they come.

A row is filtered by the one above it. So Pillow's decoder can undo the filters of some rows, if it is given the row
above them, in clear, as the first one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from acutance.geometry import Size
from acutance.media.container import Container, damaged
from acutance.media.photo import Metadata
from acutance.media.pil import decoding, strips_of
from acutance.media.png.chunks import CHANNELS, PALETTE, SIGNATURE, Header, chunk_of, metadata_chunks, places_of
from acutance.media.png.deep import packed_rows, undone, unpacked
from acutance.media.strips import Strip, StripSource, regrouped

_BLOCK_BYTES = 2**20
_STRIP_BYTES = 2**23

Bytes = npt.NDArray[np.uint8]


def open_png_strips(file: BinaryIO, container: Container, name: str) -> StripSource | None:
    """Return a file that has passed `inspect_png`, to be read in strips.

    Returns:
        None for pictures that are interlaced, of fewer than 8 bits, or with a palette or a transparent colour.
    """
    header = None
    for kind, _, length in places_of(file):
        if kind == b"IHDR":
            header = Header.of(file.read(min(length, 13)))
        elif kind in (b"tRNS", b"PLTE", b"acTL"):
            return None
    if header is None or header.is_interlaced or header.depth < 8 or header.colour_type == PALETTE:
        return None
    known, channels = header, CHANNELS[header.colour_type]
    colours = 3 if channels > 2 else 1

    def read() -> Iterator[Strip]:
        with decoding(name):
            yield from _strips(file, known, channels, colours, name)

    return StripSource(
        size=Size(header.height, header.width),
        bits=header.depth,
        colours=colours,
        has_alpha=channels > colours,
        read=read,
    )


def _strips(file: BinaryIO, header: Header, channels: int, colours: int, name: str) -> Iterator[Strip]:
    row_bytes = header.width * channels * header.depth // 8
    num_rows = max(_STRIP_BYTES // row_bytes, 1)
    above = bytes(row_bytes)
    top = 0
    for filtered in _filtered_rows(file, 1 + row_bytes, num_rows, header.height):
        rows = len(filtered) // (1 + row_bytes)
        part = header._replace(height=rows + 1)
        packed = zlib.compress(b"\0" + above + filtered, 0)
        values = _values(part, packed, channels)[1:]
        last = np.ascontiguousarray(values[-1])
        above = last.astype(">u2").tobytes() if header.depth == 16 else last.tobytes()
        alpha = values[..., colours] if channels > colours else None
        yield Strip(values[..., :colours], alpha)
        top += rows
    if top < header.height:
        raise damaged(name, f"its pixels end after row {top} of {header.height}")


def _values(header: Header, packed: bytes, channels: int) -> npt.NDArray[Any]:
    if header.depth == 16:
        deep = np.zeros((header.height, header.width, channels), np.uint16)
        for rows, part in undone(header, packed, channels):
            deep[rows] += part
        return deep
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    whole = np.empty((header.height, header.width, channels), np.uint8)
    for rows, values in strips_of(unpacked(header, packed, mode, mode), mode):
        whole[rows] = values
    return whole


def _filtered_rows(file: BinaryIO, row_bytes: int, num_rows: int, height: int) -> Iterator[bytes]:
    """Yield the unpacked bytes of so many rows at a time, as far as they go."""
    unpacker = zlib.decompressobj()
    wanted = height * row_bytes
    waiting = bytearray()
    for packed in _packed_blocks(file):
        rest = packed
        while rest and wanted > 0 and not unpacker.eof:
            data = unpacker.decompress(rest, _STRIP_BYTES)
            rest = unpacker.unconsumed_tail
            waiting += data[:wanted]
            wanted -= len(data)
            while len(waiting) >= num_rows * row_bytes:
                yield bytes(waiting[: num_rows * row_bytes])
                del waiting[: num_rows * row_bytes]
    whole = len(waiting) // row_bytes * row_bytes
    if whole:
        yield bytes(waiting[:whole])


def _packed_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of the pixels' chunks in small pieces; their checksums have been verified before."""
    for kind, start, length in places_of(file):
        for place in range(start, start + length if kind == b"IDAT" else start, _BLOCK_BYTES):
            file.seek(place)  # whoever reads may have moved in between
            block = file.read(min(start + length - place, _BLOCK_BYTES))
            if not block:
                return
            yield block


def encode_png_strips(source: StripSource, metadata: Metadata) -> Iterator[bytes]:
    """Encode a picture whose rows come in strips.

    Yields:
        The file in parts.
    """
    channels = source.colours + source.has_alpha
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = Header(source.size.width, source.size.height, source.bits, colour_type, 0, 0, 0)
    yield SIGNATURE + chunk_of(b"IHDR", header.payload)
    yield metadata_chunks(metadata, source.bits)
    rows = max(_BLOCK_BYTES // source.row_bytes, 1)
    for data in packed_rows(_bytes_of(strip) for strip in regrouped(source.read(), rows)):
        yield chunk_of(b"IDAT", data)
    yield chunk_of(b"IEND", b"")


def _bytes_of(strip: Strip) -> Bytes:
    """Return the values of rows as the format has them: uint8 `rows w b`, b bytes per pixel."""
    values = strip.pixels if strip.alpha is None else np.dstack([strip.pixels, strip.alpha])
    return values.astype(f">u{values.itemsize}", order="C").view(np.uint8)
