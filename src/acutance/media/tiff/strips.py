"""TIFF files in strips: rows of tiles or strips are read one after the other."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

import numpy as np

from acutance.errors import UnsupportedImage
from acutance.geometry import Size
from acutance.media.container import Container, damaged
from acutance.media.ifd import (
    ByteOrder,
    DirectoryError,
    read_directory,
    read_header,
)
from acutance.media.pil import decoding
from acutance.media.strips import Strip, StripSource
from acutance.media.tiff.layout import LAB, RAW, STRAIGHT, Layout, layout_of
from acutance.media.tiff.pixels import blocks_of, places_of
from acutance.media.tiff.tags import PIXEL_TAGS

MAX_BLOCK_BYTES = 64 * 2**20
"""A compressed strip or tile is unpacked as a whole: larger ones cannot be read in strips."""
_RAW_STRIP_BYTES = 2**23


def open_tiff_strips(file: BinaryIO, container: Container, name: str) -> StripSource | None:
    """Return a file of one page, to be read in strips.

    Returns:
        None for pages that are not laid out for that: turned, in planes, with a palette, with transparency multiplied
        into the colours, packed as JPEG, or in strips too large.

    Raises:
        UnsupportedImage: When it is damaged.
    """
    try:
        header = read_header(file)
        directory = read_directory(file, container.pages[0], header)
        if any(tag in PIXEL_TAGS for tag, _, _ in directory.outside):
            raise DirectoryError("where its pixels are lies outside of it")
        layout = layout_of(directory, header.order, name)
        places = places_of(layout, directory, header.order, name)
    except (DirectoryError, struct.error) as error:
        raise damaged(name, str(error)) from error
    except UnsupportedImage:
        return None  # reading it as a whole will say what is wrong, if anything
    if layout.photometric in LAB:
        return None
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
        size=layout.size, bits=layout.depth, colours=layout.colours, has_alpha=layout.alpha is not None, read=read
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
    kind = np.uint16 if layout.depth == 16 else np.uint8
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
            yield Strip(2**layout.depth - 1 - pixels if layout.photometric == 0 else pixels, alpha)
