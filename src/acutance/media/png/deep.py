"""The pixels of 16-bit PNG files.

Pillow opens a coloured one as 8 bits without a word. Its decoder of PNG rows (filters, interlacing) is used all the
same, because it is fast, but told what to take of each value: once the higher byte, once the lower one. Writing
is done here, since filtering rows, unlike undoing it, is a matter of whole arrays.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.media.pil import strips_of
from acutance.media.png.chunks import CHANNELS, Header, read_chunks

COMPRESSION_LEVEL = 6
"""Of zlib. Higher ones gain next to nothing, because the lower bytes of photos are noise."""

Bytes = npt.NDArray[np.uint8]
Values = npt.NDArray[np.uint16]


def decode_png16(file: BinaryIO) -> tuple[Values, Values | None]:
    """Decode the pixels of a file that has passed `inspect_png`.

    Returns:
        Pixels, uint16 `h w c` with c = 1 or 3, and alpha, uint16 `h w`, or None if there is none.

    Raises:
        ValueError, OSError: When its pixels are.
    """
    header, transparent, packed = _parts(file)
    channels = CHANNELS[header.colour_type]
    colours = 3 if channels > 2 else 1
    pixels = np.zeros((header.height, header.width, colours), np.uint16)
    alpha = np.zeros(pixels.shape[:2], np.uint16) if channels > colours else None
    for rows, values in undone(header, packed, channels):
        pixels[rows] += values[:, :, :colours]
        if alpha is not None:
            alpha[rows] += values[:, :, colours]
    if transparent is not None and alpha is None and len(transparent) == 2 * colours:
        is_hidden = (pixels == np.frombuffer(transparent, ">u2")).all(axis=2)
        alpha = np.where(is_hidden, 0, 65535).astype(np.uint16)
    return pixels, alpha


def _parts(file: BinaryIO) -> tuple[Header, bytes | None, bytes]:
    """Return the header, the transparent colour, and the compressed pixels."""
    chunks = list(read_chunks(file, with_pixels=True))
    header = next(Header.of(data) for kind, data in chunks if kind == b"IHDR")
    transparent = next((data for kind, data in chunks if kind == b"tRNS"), None)
    return header, transparent, b"".join(data for kind, data in chunks if kind == b"IDAT")


def undone(header: Header, packed: bytes, channels: int) -> Iterator[tuple[slice, Values]]:
    """Yield strips of values, uint16 `rows w channels`; what comes for the same rows must be added."""
    if channels < 3:
        # An 8-bit picture of twice as many channels has the same bytes, filtered in the same way.
        mode = {1: "LA", 2: "RGBA"}[channels]
        for rows, values in strips_of(unpacked(header, packed, mode, mode), mode):
            yield rows, np.ascontiguousarray(values).view(">u2").astype(np.uint16)
        return
    mode = {3: "RGB", 4: "RGBA"}[channels]
    for taken, weight in (("16B", 256), ("16L", 1)):  # the first byte of two, the second
        for rows, values in strips_of(unpacked(header, packed, mode, f"{mode};{taken}"), mode):
            yield rows, values * np.uint16(weight)


def unpacked(header: Header, packed: bytes, mode: str, raw_mode: str) -> Image.Image:
    """Unpack rows and undo their filters; of each value that is taken which `raw_mode` says."""
    size = (header.width, header.height)
    return Image.frombytes(mode, size, packed, "zip", (raw_mode, header.is_interlaced))


def packed_rows(strips: Iterable[Bytes]) -> Iterator[bytes]:
    """Filter and compress rows.

    Args:
        strips: Bytes of the rows, uint8 `rows w b`, b bytes per pixel, from the first to the last.

    Yields:
        The compressed bytes, in pieces.
    """
    packer = zlib.compressobj(COMPRESSION_LEVEL)
    above: Bytes | None = None
    for strip in strips:
        first = np.zeros_like(strip[:1]) if above is None else above
        if data := packer.compress(_filtered(strip, np.concatenate([first, strip[:-1]]))):
            yield data
        above = strip[-1:]
    yield packer.flush()


def _filtered(strip: Bytes, above: Bytes) -> bytes:
    """Filter rows by what makes each the smallest, as the specification advises.

    Args:
        strip: Bytes of the rows, uint8 `rows w b`, b bytes per pixel.
        above: The same of the rows above each.

    Returns:
        The rows, each behind the number of its filter.
    """
    left, above_left = _moved(strip), _moved(above)
    average = ((left.astype(np.uint16) + above) // 2).astype(np.uint8)
    candidates = [strip, strip - left, strip - above, strip - average, strip - _paeth(left, above, above_left)]
    # As signed numbers, and the absolute value of -128 is 128 as unsigned.
    costs = [np.abs(rows.view(np.int8)).view(np.uint8).sum(axis=(1, 2), dtype=np.uint64) for rows in candidates]
    best = np.argmin(costs, axis=0)
    filtered = np.empty((len(strip), 1 + strip[0].size), np.uint8)
    filtered[:, 0] = best
    for number, rows in enumerate(candidates):
        filtered[best == number, 1:] = rows.reshape(len(strip), -1)[best == number]
    return filtered.tobytes()


def _moved(rows: Bytes) -> Bytes:
    """Return rows moved by a pixel to the right."""
    moved = np.zeros_like(rows)
    moved[:, 1:] = rows[:, :-1]
    return moved


def _paeth(left: Bytes, above: Bytes, above_left: Bytes) -> Bytes:
    """Return Paeth's prediction: of the three neighbours the one nearest to left + above - above_left."""
    a, b, c = (neighbour.astype(np.int16) for neighbour in (left, above, above_left))
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    is_left = (to_left <= to_above) & (to_left <= to_corner)
    return np.where(is_left, left, np.where(to_above <= to_corner, above, above_left))
