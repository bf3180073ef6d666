"""The pixels of TIFF files of 16 bits, and of those of 8 bits that are read in strips.

Pillow opens a coloured one of 16 bits as 8 bits without a word. So the strips and tiles are found here, and what they
mean (byte order, predictor, planes, transparency) is undone here. Only the compression is left to Pillow's libtiff,
which is told that the bytes were a picture of 8 bits: what it unpacks or packs are the same bytes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import TiffImageFile

from acutance.geometry import Size
from acutance.media.container import damaged, refused
from acutance.media.exif import ORIENTATION
from acutance.media.ifd import (
    ByteOrder,
    Directory,
    Tree,
    integer_entry,
    read_directory,
    read_header,
    serialise,
)
from acutance.media.photo import turned
from acutance.media.pil import open_plugin

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANES, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _EXTRA_SAMPLES = 322, 323, 324, 325, 338
_SHORT = 3

RAW, PREMULTIPLIED, STRAIGHT = 1, 1, 2
_UNPACKED = frozenset((RAW, 5, 8, 32773, 32946, 34925, 50000))
"""Compressions by number: none, LZW, deflate, PackBits, deflate again, LZMA, Zstandard."""
_COLOURS = {0: 1, 1: 1, 2: 3}
"""Grey (0: inverted) and RGB, by their photometric interpretation."""
_KINDS = {3: "a palette of 16 bits", 5: "a CMYK picture", 6: "a YCbCr picture of 16 bits", 32803: "a camera's raw file"}

_GROUP_BYTES = 2**23
_MAX_SAMPLES = 64
_MAX_PADDED_PX = 2**20
"""Of a tile that is larger than its picture."""

Values = npt.NDArray[Any]
"""uint8 or uint16."""


class Layout(NamedTuple):
    """How the pixels of a file are laid out."""

    size: Size
    bits: int
    """Per sample: 8 or 16."""
    photometric: int
    samples: int
    alpha: tuple[int, int] | None
    """Which sample is the transparency, and whether it is premultiplied into the colours (1) or not (2)."""
    is_planar: bool
    compression: int
    has_predictor: bool
    block: Size
    """Of a strip or a tile."""
    is_tiled: bool
    orientation: int

    @property
    def colours(self) -> int:
        """Number of colour channels."""
        return _COLOURS[self.photometric]

    @property
    def row_bytes(self) -> int:
        """Of a strip or tile."""
        return self.bits // 8 * self.samples_per_block * self.block.width

    @property
    def samples_per_block(self) -> int:
        """Number of samples per pixel that lie together in a strip or tile."""
        return 1 if self.is_planar else self.samples

    @property
    def grid(self) -> tuple[int, int]:
        """How many strips or tiles lie below and beside each other."""
        return -(-self.size.height // self.block.height), -(-self.size.width // self.block.width)

    @property
    def unused(self) -> int:
        """How many channels are neither colour nor transparency."""
        return self.samples - self.colours - (self.alpha is not None)


def layout_of(directory: Directory, order: ByteOrder, name: str) -> Layout:
    """Return how the pixels of a page of 8 or 16 bits are laid out.

    Raises:
        UnsupportedImage: When that makes no sense, or is not read.
    """

    def number(tag: int, default: int) -> int:
        return directory.integer(tag, order, default)

    size = Size(number(_HEIGHT, 0), number(_WIDTH, 0))
    samples, photometric = number(_SAMPLES, 1), number(_PHOTOMETRIC, 1)
    if photometric not in _COLOURS:
        kind = _KINDS.get(photometric, f"a 16-bit picture of a rare kind (photometric interpretation {photometric})")
        raise refused(name, kind, "convert it to RGB, with its colour profile, first")
    bits = set(directory.integers(_BITS, order))
    if bits not in ({8}, {16}) or number(_FILL_ORDER, 1) != 1:
        raise refused(name, "a 16-bit picture with bits in an odd order", "save it anew with another program first")
    if number(_COMPRESSION, RAW) not in _UNPACKED:
        raise refused(name, "a 16-bit picture of a rare compression", "save it with LZW, deflate or none first")
    if number(_PREDICTOR, 1) not in (1, 2):
        raise refused(name, "a 16-bit picture of a rare predictor", "save it without one first")
    is_tiled = directory.find(_TILE_WIDTH) is not None
    block = Size(min(number(_STRIP_ROWS, size.height), size.height), size.width)
    if is_tiled:
        block = Size(number(_TILE_HEIGHT, 0), number(_TILE_WIDTH, 0))
    is_huge = is_tiled and block.pixels > max(4 * size.pixels, _MAX_PADDED_PX)
    if is_huge or not _COLOURS[photometric] <= samples <= _MAX_SAMPLES or min(block) < 1:
        raise damaged(name, "its pixels are in no possible order")
    return Layout(
        size=size,
        bits=bits.pop(),
        photometric=photometric,
        samples=samples,
        alpha=_alpha_of(directory, order, colours=_COLOURS[photometric], samples=samples),
        is_planar=number(_PLANES, 1) == 2 and samples > 1,
        compression=number(_COMPRESSION, RAW),
        has_predictor=number(_PREDICTOR, 1) == 2 and number(_COMPRESSION, RAW) != RAW,
        block=block,
        is_tiled=is_tiled,
        orientation=number(ORIENTATION, 1),
    )


def _alpha_of(directory: Directory, order: ByteOrder, *, colours: int, samples: int) -> tuple[int, int] | None:
    kinds = directory.integers(_EXTRA_SAMPLES, order)
    if not kinds and (colours, samples) == (3, 4):
        return 3, STRAIGHT  # what old programs mean by a fourth channel
    known = [(index, kind) for index, kind in enumerate(kinds, start=colours) if kind in (PREMULTIPLIED, STRAIGHT)]
    return known[0] if known and known[0][0] < samples else None


def decode_tiff16(file: BinaryIO, name: str, offset: int | None = None) -> tuple[Values, Values | None]:
    """Decode the pixels of a page that `layout_of` accepts.

    Args:
        file: Of the page.
        name: For errors.
        offset: Where its directory stands; None for the first page.

    Returns:
        Pixels, uint16 `h w c` with c = 1 or 3, and alpha, uint16 `h w`, or None if there is none; upright.

    Raises:
        UnsupportedImage: When the file is damaged.
        OSError: When its compressed pixels are.
    """
    header = read_header(file)
    directory = read_directory(file, header.first_offset if offset is None else offset, header)
    layout = layout_of(directory, header.order, name)
    kind = np.uint16 if layout.bits == 16 else np.uint8
    pixels = np.empty((*layout.size, layout.colours), kind)
    alpha = None if layout.alpha is None else np.empty(layout.size, kind)
    alpha_index = -1 if layout.alpha is None else layout.alpha[0]
    places = places_of(layout, directory, header.order, name)
    for rows, columns, first, block in blocks_of(file, layout, places, header.order, name):
        height, width = pixels[rows, columns].shape[:2]  # a tile may reach beyond the picture
        for sample, values in enumerate(block[:height, :width].transpose(2, 0, 1), start=first):
            if sample < layout.colours:
                pixels[rows, columns, sample] = values
            elif alpha is not None and sample == alpha_index:
                alpha[rows, columns] = values
    if layout.photometric == 0:
        np.subtract(2**layout.bits - 1, pixels, out=pixels)
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


Block = tuple[slice, slice, int, Values]
"""Rows and columns of the picture (beyond it, too), the first sample, and the values, `rows columns samples`."""


def blocks_of(
    file: BinaryIO, layout: Layout, places: Sequence[tuple[int, int]], order: ByteOrder, name: str
) -> Iterator[Block]:
    """Yield all strips or tiles, decoded; several at once, since a strip may be a single row.

    Raises:
        UnsupportedImage, OSError: When one is damaged.
    """
    down, across = layout.grid
    height, width = layout.block
    row_bytes = layout.row_bytes
    kind = np.dtype(f"u{layout.bits // 8}")
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
            values = np.frombuffer(data, kind.newbyteorder(order)).astype(kind).reshape(rows, width, -1)
            if layout.has_predictor:
                values = np.cumsum(values, axis=1, dtype=kind)
            for index in range(len(together)):
                top, left = (start + index) // across * height, (start + index) % across * width
                block = values[index * height : (index + 1) * height]
                yield slice(top, top + len(block)), slice(left, left + width), plane, block


def places_of(layout: Layout, directory: Directory, order: ByteOrder, name: str) -> list[tuple[int, int]]:
    """Return offset and length of every strip or tile, plane after plane, row by row.

    Raises:
        UnsupportedImage: When the file does not say them all.
    """
    offsets = directory.integers(_TILE_OFFSETS if layout.is_tiled else _STRIP_OFFSETS, order)
    lengths = directory.integers(_TILE_BYTES if layout.is_tiled else _STRIP_BYTES, order)
    if layout.compression == RAW:  # some programs give wrong lengths, and there is only one possible
        lengths = (layout.row_bytes * layout.block.height,) * len(offsets)
    down, across = layout.grid
    count = down * across * (layout.samples if layout.is_planar else 1)
    if min(len(offsets), len(lengths)) < count:
        raise damaged(name, "it does not say where its pixels are")
    return list(zip(offsets[:count], lengths[:count], strict=True))


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
    return b"".join([head, *pieces, padding, serialise(Tree(entries, {}), "<", place)])
