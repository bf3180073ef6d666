"""The pixels of TIFF files: by Pillow, but for those of more than 8 bits, and those of 8 that are read in strips.

Pillow opens a coloured one of 16 bits as 8 bits without a word. So the strips and tiles are found here, and what they
mean (byte order, predictor, planes, transparency) is undone here. Only the compression is left to Pillow's libtiff,
which is told that the bytes were a picture of 8 bits: what it unpacks or packs are the same bytes. In strips, rows of
tiles or strips are read one after the other.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import TiffImageFile

from acutance.errors import UnsupportedImage
from acutance.geometry import Size
from acutance.media.container import Container, Decoded, damaged
from acutance.media.excerpt import excerpt
from acutance.media.ifd import DirectoryError, Tree, integer_entry, read_directory, read_header, serialise
from acutance.media.photo import turned
from acutance.media.pil import decoded, decoding, open_plugin
from acutance.media.strips import Strip, StripSource
from acutance.media.tiff.layout import LAB, PREMULTIPLIED, RAW, STRAIGHT, Layout, layout_of
from acutance.media.tiff.tags import PIXEL_TAGS
from acutance.media.tiff.values import levels_of, srgb_of_lab

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES = 273, 277, 278, 279
_TILE_OFFSETS, _TILE_BYTES = 324, 325
_GROUP_BYTES = 2**23
MAX_BLOCK_BYTES = 64 * 2**20
"""A compressed strip or tile is unpacked as a whole: larger ones cannot be read in strips."""
_RAW_STRIP_BYTES = 2**23
Values = npt.NDArray[Any]
"""uint8 or uint16."""


def decode_tiff(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a page, the first one of those that the container names."""
    offset = container.pages[0]
    if container.needs_own_decoder:
        return _decode_own(file, name, offset)
    header = read_header(file)  # through which Pillow is shown that page as the first
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = (
        file.read(8) + struct.pack("<Q", offset)
        if header.is_big
        else file.read(4) + struct.pack(header.order + "I", offset)
    )
    return decoded(open_plugin(excerpt(file, [head, (len(head), end - len(head))]), TiffImageFile), container, name)


def _decode_own(file: BinaryIO, name: str, offset: int) -> Decoded:
    """Decode a page that `layout_of` accepts, whose directory stands at an offset; upright."""
    layout, places = _laid_out(file, name, offset)
    kind = np.uint16 if layout.depth == 16 else np.uint8
    pixels = np.empty((*layout.size, layout.colours), kind)
    alpha = None if layout.alpha is None else np.empty(layout.size, kind)
    alpha_index = -1 if layout.alpha is None else layout.alpha[0]
    for rows, columns, first, block in _blocks_of(file, layout, places, name):
        height, width = pixels[rows, columns].shape[:2]  # a tile may reach beyond the picture
        for sample, values in enumerate(block[:height, :width].transpose(2, 0, 1), start=first):
            if sample < layout.colours:
                pixels[rows, columns, sample] = values
            elif alpha is not None and sample == alpha_index:
                alpha[rows, columns] = values
    if layout.photometric == 0:
        np.subtract(2**layout.depth - 1, pixels, out=pixels)
    if layout.photometric in LAB:
        for row in pixels:
            row[:] = srgb_of_lab(row, layout.photometric)
    if alpha is not None and layout.alpha is not None and layout.alpha[1] == PREMULTIPLIED:
        _straighten(pixels, alpha)
    if 1 < layout.orientation <= 8:  # as Pillow does with 8 bits
        pixels = turned(pixels, layout.orientation)
        alpha = None if alpha is None else turned(alpha, layout.orientation)
    return pixels, alpha


def _straighten(pixels: Values, alpha: Values) -> None:
    """Divide premultiplied colours by their transparency, in place; row by row, to save memory."""
    white = np.uint32(np.iinfo(pixels.dtype).max)
    for colours, opacity in zip(pixels, alpha, strict=True):
        divisor = np.maximum(opacity, 1).astype(np.uint32)[:, np.newaxis]
        # At most 65535 · 65535 + 32767, which fits.
        colours[:] = np.minimum((colours * white + divisor // 2) // divisor, white)


def open_tiff_strips(file: BinaryIO, container: Container, name: str) -> StripSource | None:
    """Return a file of one page, to be read in strips.

    Returns:
        None for pages that are not laid out for that: turned, in planes, with a palette, with transparency multiplied
        into the colours, packed as JPEG, or in strips too large.
    """
    try:
        layout, places = _laid_out(file, name, container.pages[0])
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
            yield from _rows_of_blocks(file, layout, places, name)

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


def _rows_of_blocks(file: BinaryIO, layout: Layout, places: list[tuple[int, int]], name: str) -> Iterator[Strip]:
    kind = np.uint16 if layout.depth == 16 else np.uint8
    width, channels = layout.size.width, layout.samples
    across = layout.grid[1]
    rows = np.empty((0, width, channels), kind)
    for number, (place, columns, _, block) in enumerate(_blocks_of(file, layout, places, name)):
        height = min(place.stop, layout.size.height) - place.start
        if number % across == 0:
            rows = np.empty((height, width, channels), kind)
        rows[:, columns] = block[:height, : max(width - columns.start, 0)]
        if number % across == across - 1:
            pixels, alpha = rows[..., : layout.colours], rows[..., -1] if layout.alpha is not None else None
            yield Strip(2**layout.depth - 1 - pixels if layout.photometric == 0 else pixels, alpha)


Block = tuple[slice, slice, int, Values]
"""Rows and columns of the picture (beyond it, too), the first sample, and the values, `rows columns samples`."""


def _blocks_of(file: BinaryIO, layout: Layout, places: Sequence[tuple[int, int]], name: str) -> Iterator[Block]:
    """Yield all strips or tiles, decoded; several at once, since a strip may be a single row."""
    down, across = layout.grid
    height, width = layout.block
    row_bytes = layout.row_bytes
    at_once = max(_GROUP_BYTES // (row_bytes * height), 1) * across
    for plane in range(len(places) // (down * across)):
        of_plane = places[plane * down * across : (plane + 1) * down * across]
        for start in range(0, len(of_plane), at_once):
            together = of_plane[start : start + at_once]
            rows = len(together) * height
            if not layout.is_tiled:  # the last strip ends with the picture
                rows = min(rows, layout.size.height - start * height)
            packed = _read(file, together, layout, name)
            data = _unpacked(packed, layout, Size(rows, row_bytes), name)
            values = levels_of(data, layout, (rows, width, layout.samples_per_block), name)
            for index in range(len(together)):
                top, left = (start + index) // across * height, (start + index) % across * width
                block = values[index * height : (index + 1) * height]
                yield slice(top, top + len(block)), slice(left, left + width), plane, block


def _laid_out(file: BinaryIO, name: str, offset: int) -> tuple[Layout, list[tuple[int, int]]]:
    """Return how a page is laid out, and offset and length of every strip or tile, plane after plane, row by row.

    Raises:
        UnsupportedImage: When the file does not say them all, or the page is not read here.
    """
    directory = read_directory(file, offset, read_header(file))
    if any(tag in PIXEL_TAGS for tag, _, _ in directory.outside):
        raise DirectoryError("where its pixels are lies outside of it")
    layout = layout_of(directory, name)
    offsets = directory.integers(_TILE_OFFSETS if layout.is_tiled else _STRIP_OFFSETS)
    lengths = directory.integers(_TILE_BYTES if layout.is_tiled else _STRIP_BYTES)
    if layout.compression == RAW:  # some programs give wrong lengths, and there is only one possible
        lengths = (layout.row_bytes * layout.block.height,) * len(offsets)
    down, across = layout.grid
    count = down * across * (layout.samples if layout.is_planar else 1)
    if min(len(offsets), len(lengths)) < count:
        raise damaged(name, "it does not say where its pixels are")
    return layout, list(zip(offsets[:count], lengths[:count], strict=True))


def _read(file: BinaryIO, places: Sequence[tuple[int, int]], layout: Layout, name: str) -> list[bytes]:
    """Return the content of strips or tiles. The last uncompressed strip may be shorter than its place."""
    end = file.seek(0, io.SEEK_END)
    pieces = []
    for offset, length in places:
        if offset >= end or (offset + length > end and layout.compression != RAW):
            raise damaged(name, "its pixels end too early")
        file.seek(offset)
        pieces.append(file.read(length))
    return pieces


def _unpacked(packed: list[bytes], layout: Layout, size: Size, name: str) -> bytes:
    """Return the bytes of strips or tiles that lie below each other: `size` rows and bytes per row together."""
    if layout.compression != RAW:
        return open_plugin(io.BytesIO(_as_8_bits(packed, layout, size)), TiffImageFile).tobytes()
    data = b"".join(packed)[: size.pixels]
    if len(data) < size.pixels:
        raise damaged(name, "its pixels end too early")
    return data


def _as_8_bits(pieces: list[bytes], layout: Layout, size: Size) -> bytes:
    """Make a TIFF file of 8 bits of compressed strips or tiles, `size` rows and bytes per row together."""
    # Pillow counts pixels against its limit: with three samples each, these are a third of the bytes.
    samples = 3 if layout.colours == 3 and size.width % 3 == 0 else 1
    places = []
    place = 8
    for piece in pieces:
        places.append(place)
        place += len(piece)
    tags = {
        _WIDTH: (size.width // samples,),
        _HEIGHT: (size.height,),
        _BITS: (8,) * samples,
        _COMPRESSION: (layout.compression,),
        _PHOTOMETRIC: (2 if samples == 3 else 1,),
        _STRIP_OFFSETS: places,
        _SAMPLES: (samples,),
        _STRIP_ROWS: (layout.block.height,),
        _STRIP_BYTES: [len(piece) for piece in pieces],
    }
    padding = b"\0" * (place % 2)
    place += len(padding)
    entries = tuple(integer_entry(tag, values, "<") for tag, values in tags.items())
    head = b"II*\0" + struct.pack("<I", place)
    return b"".join([head, *pieces, padding, serialise(Tree(entries), "<", place)])
