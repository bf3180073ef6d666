"""TIFF files in strips: rows of tiles or strips are read one after the other, and strips written."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import BinaryIO

import numpy as np
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.geometry import Size
from acutance.media.atomic import Patch
from acutance.media.container import Container
from acutance.media.ifd import (
    ByteOrder,
    DirectoryError,
    Entry,
    Tree,
    integer_entry,
    long_entry,
    read_directory,
    read_header,
    serialise,
)
from acutance.media.photo import Metadata, TiffCoding
from acutance.media.pil import decoding
from acutance.media.strips import Strip, StripSource, regrouped
from acutance.media.tiff.compression import DEFAULT_CODING, PREDICTED
from acutance.media.tiff.pixels import RAW, STRAIGHT, Layout, blocks_of, layout_of, places_of
from acutance.media.tiff.tags import block_at_start, described_by, tags_of

MAX_BLOCK_BYTES = 64 * 2**20
"""A compressed strip or tile is unpacked as a whole: larger ones cannot be read in strips."""
_RAW_STRIP_BYTES = 2**23
_WRITTEN_STRIP_BYTES = 2**20
_CLASSIC_BYTES = 2**32 - 2**26
_GROWTH = {"tiff_lzw": 1.6}
"""How much larger than its pixels a file may become: LZW makes noise larger, by half at most."""
_COMPRESSIONS = {"raw": 1, "tiff_lzw": 5, "tiff_adobe_deflate": 8, "packbits": 32773}
_SHORT = 3


def open_tiff_strips(file: BinaryIO, container: Container, name: str) -> StripSource | None:
    """Return a file of one page, to be read in strips.

    Returns:
        None for pages that are not laid out for that: turned, in planes, with a palette, with transparency multiplied
        into the colours, packed as JPEG, or in strips too large.
    """
    try:
        header = read_header(file)
        directory = read_directory(file, container.pages[0], header)
        layout = layout_of(directory, header.order, name)
        places = places_of(layout, directory, header.order, name)
    except (DirectoryError, struct.error, UnsupportedImage):
        return None  # reading it as a whole will say what is wrong, if anything
    is_plain = layout.unused == 0 and (layout.alpha is None or layout.alpha == (layout.colours, STRAIGHT))
    if layout.is_planar or layout.orientation != 1 or not is_plain:
        return None
    layout, places = _in_small_strips(layout, places)
    if layout.row_bytes * layout.block.height > MAX_BLOCK_BYTES:
        return None

    def read() -> Iterator[Strip]:
        with decoding(name):
            yield from _rows_of_blocks(file, layout, places, header.order, name)

    return StripSource(
        size=layout.size, bits=layout.bits, colours=layout.colours, has_alpha=layout.alpha is not None, read=read
    )


def _in_small_strips(layout: Layout, places: list[tuple[int, int]]) -> tuple[Layout, list[tuple[int, int]]]:
    """Return uncompressed strips that lie behind each other as smaller ones; some programs write a single one."""
    if layout.is_tiled or layout.compression != RAW:
        return layout, places
    if any(offset + length != following for (offset, length), (following, _) in pairwise(places)):
        return layout, places
    rows = max(_RAW_STRIP_BYTES // layout.row_bytes, 1)
    length = rows * layout.row_bytes
    starts = range(places[0][0], places[0][0] + layout.row_bytes * layout.size.height, length)
    return layout._replace(block=Size(rows, layout.size.width)), [(start, length) for start in starts]


def _rows_of_blocks(
    file: BinaryIO, layout: Layout, places: list[tuple[int, int]], order: ByteOrder, name: str
) -> Iterator[Strip]:
    kind = np.uint16 if layout.bits == 16 else np.uint8
    width, channels = layout.size.width, layout.samples
    across = layout.grid[1]
    rows = np.empty((0, width, channels), kind)
    for number, (place, columns, _, block) in enumerate(blocks_of(file, layout, places, order, name)):
        height = min(place.stop, layout.size.height) - place.start
        if number % across == 0:
            rows = np.empty((height, width, channels), kind)
        rows[:, columns] = block[:height, : max(width - columns.start, 0)]
        if number % across == across - 1:
            pixels, alpha = rows[..., : layout.colours], rows[..., -1] if layout.alpha is not None else None
            yield Strip(2**layout.bits - 1 - pixels if layout.photometric == 0 else pixels, alpha)


def encode_tiff_strips(source: StripSource, metadata: Metadata) -> Iterator[bytes | Patch]:
    """Encode a picture whose rows come in strips, as `encode_tiff` would; beyond 4 GB as a BigTIFF.

    Args:
        source: The picture.
        metadata: Of the photo. In a BigTIFF the EXIF block is written anew, so a camera's notes move.

    Yields:
        The file in parts, and at last where its beginning must be corrected.
    """
    coding = _coding_of(metadata)
    is_big = source.row_bytes * source.size.height * _GROWTH.get(coding.compression, 1.02) > _CLASSIC_BYTES
    block, order, main = block_at_start(metadata)
    tree = Tree(tuple(main.values()), {})
    if is_big:
        block = {"<": b"II+\0\x08\0\0\0", ">": b"MM\0+\0\x08\0\0"}[order] + bytes(8)
        tree = described_by(metadata, order)
    yield block
    rows = max(_WRITTEN_STRIP_BYTES // source.row_bytes, 1)
    place, offsets, lengths = len(block), [], []
    for strip in regrouped(source.read(), rows):
        packed = _packed(strip, coding, order)
        offsets.append(place)
        lengths.append(len(packed))
        place += len(packed)
        yield packed
    if place % 2:
        yield b"\0"
        place += 1
    if place > _CLASSIC_BYTES and not is_big:
        raise ValueError("it grows beyond 4 GB, though its pixels do not")
    entries = {entry.tag: entry for entry in tree.entries}
    for entry in (*_layout_entries(source, coding, rows, order), *tags_of(metadata, order)):
        entries[entry.tag] = entry
    for tag, numbers in ((273, offsets), (279, lengths)):
        entries[tag] = long_entry(tag, numbers, order) if is_big else integer_entry(tag, numbers, order)
    yield serialise(Tree(tuple(entries.values()), tree.children), order, place, is_big=is_big)
    yield Patch(8, struct.pack(order + "Q", place)) if is_big else Patch(4, struct.pack(order + "I", place))


def _coding_of(metadata: Metadata) -> TiffCoding:
    coding = metadata.coding if isinstance(metadata.coding, TiffCoding) else DEFAULT_CODING
    if coding.compression == "jpeg":
        coding = DEFAULT_CODING
    return coding if coding.compression in PREDICTED else replace(coding, has_predictor=False)


def _layout_entries(source: StripSource, coding: TiffCoding, rows: int, order: ByteOrder) -> Iterator[Entry]:
    """Yield the tags that say how the pixels are stored."""
    samples = source.colours + source.has_alpha
    yield integer_entry(256, (source.size.width,), order)
    yield integer_entry(257, (source.size.height,), order)
    yield integer_entry(278, (rows,), order)
    shorts = {
        258: (source.bits,) * samples,
        259: (_COMPRESSIONS[coding.compression],),
        262: (2 if source.colours == 3 else 1,),
        277: (samples,),
        284: (1,),
        **({317: (2,)} if coding.has_predictor else {}),
        **({338: (STRAIGHT,)} if source.has_alpha else {}),
    }
    for tag, numbers in shorts.items():
        yield Entry(tag, _SHORT, len(numbers), struct.pack(f"{order}{len(numbers)}H", *numbers))


def _packed(strip: Strip, coding: TiffCoding, order: ByteOrder) -> bytes:
    """Return the rows of a strip, compressed by Pillow's libtiff as if they were grey of 8 bits."""
    values = strip.pixels if strip.alpha is None else np.dstack([strip.pixels, strip.alpha])
    if coding.has_predictor:
        differences = values.copy()
        differences[:, 1:] -= values[:, :-1]  # modulo 2^bits, as the format wants it
        values = differences
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(order), copy=False))
    if coding.compression == "raw":
        return values.tobytes()
    buffer = io.BytesIO()
    grey = Image.fromarray(values.view(np.uint8).reshape(len(values), -1))
    grey.save(buffer, "TIFF", compression=coding.compression, strip_size=2**31 - 1)
    directory = read_directory(buffer, read_header(buffer).first_offset, read_header(buffer))
    (start,), (length,) = directory.integers(273, "<"), directory.integers(279, "<")
    return buffer.getvalue()[start : start + length]
