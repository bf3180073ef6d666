"""The pixels of PNG files: those of 8 bits by Pillow; those of 16 bits, and all that come in strips, by rows.

Pillow opens a coloured file of 16 bits as 8 bits without a word. Its decoder of PNG rows (filters, interlacing) is used
all the same, because it is fast, but told what to take of each value: once the higher byte, once the lower one. A row
is filtered by the one above it; so some rows can be decoded, if that one is given, in clear, as the first. Writing is
done here, since filtering rows, unlike undoing it, is a matter of whole arrays.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

from acutance.geometry import Size
from acutance.media.container import Container, Decoded, colours_and_alpha, damaged
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import decoded, decoding, open_plugin, picture_of, strips_of
from acutance.media.png.chunks import (
    CHANNELS,
    PALETTE,
    SIGNATURE,
    Header,
    bare_png,
    chunk_of,
    metadata_chunks,
    places_of,
    read_chunks,
    unpacked,
    unpacked_size,
)
from acutance.media.strips import Strip, StripSource, regrouped, strips_of_photo

COMPRESSION_LEVEL = 6
"""Of zlib. Higher ones gain next to nothing, because the lower bytes of photos are noise."""
_BLOCK_BYTES = 2**20
_STRIP_BYTES = 2**23
_HEADER_END = 33  # signature and IHDR
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""What Pillow calls pixels of so many channels."""
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}

Bytes = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]
"""uint8 or uint16."""


def decode_png(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a file of one picture that has passed `inspect_png`."""
    if container.bits > 8:
        pixels, alpha = _decode_deep(file)
    else:
        image = open_plugin(bare_png(file), PngImageFile)
        _correct_transparency(image)
        pixels, alpha = decoded(image, container, name)
    _check_all_are_there(file, pixels, name)
    return pixels, alpha


def _decode_deep(file: BinaryIO) -> Decoded:
    """Decode a file of 16 bits."""
    chunks = list(read_chunks(file, with_pixels=True))
    header = next(Header.of(data) for kind, data in chunks if kind == b"IHDR")
    transparent = next((data for kind, data in chunks if kind == b"tRNS"), None)
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
    del chunks  # or the packed pixels would be there twice
    pixels, alpha = colours_and_alpha(_values(header, packed))
    if transparent is not None and alpha is None and len(transparent) == 2 * pixels.shape[2]:
        is_hidden = (pixels == np.frombuffer(transparent, ">u2")).all(axis=2)
        alpha = np.where(is_hidden, 0, 65535).astype(np.uint16)
    return pixels, alpha


def _values(header: Header, packed: bytes) -> Values:
    """Unpack rows and undo their filters: uint8 `h w channels`, uint16 where there are 16 bits."""
    size, channels = (header.width, header.height), CHANNELS[header.colour_type]
    mode, kind, taken = _MODES[channels], "u1", [("", 1)]
    if header.depth == 16 and channels < 3:
        # An 8-bit picture of twice as many channels has the same bytes, filtered in the same way.
        mode, kind = _MODES[2 * channels], ">u2"
    elif header.depth == 16:
        taken = [(";16B", 256), (";16L", 1)]  # the first byte of two, the second
    values = np.zeros((header.height, header.width, channels), f"u{header.depth // 8}")
    for of_each, weight in taken:
        image = Image.frombytes(mode, size, packed, "zip", (mode + of_each, header.is_interlaced))
        for rows, part in strips_of(image, mode):
            values[rows] += np.ascontiguousarray(part).view(kind) * values.dtype.type(weight)
    return values


def _check_all_are_there(file: BinaryIO, pixels: npt.NDArray[Any], name: str) -> None:
    """Refuse a file whose packed pixels come to their end before the picture does.

    Pillow takes those that are not there for zeros, without a word; so do the rows of 16 bits, which it unpacks. To
    count takes as long as to unpack, so it is done only where one of the last two rows (of interlaced pictures the
    last but one may be the last to come) is of one colour.
    """
    if all((row != row[0]).any() for row in pixels[-2:]):
        return
    header = next(Header.of(data) for kind, data in read_chunks(file))
    count, _ = unpacked_size(file, header.unpacked_bytes)
    if count < header.unpacked_bytes:
        rows = "too early" if header.is_interlaced else f"after row {count // header.row_bytes} of {header.height}"
        raise damaged(name, f"its pixels end {rows}")


def _correct_transparency(image: ImageFile.ImageFile) -> None:
    """Correct the transparent level of a grey PNG of 2 or 4 bits, which is open and not loaded yet.

    Pillow 13 spreads the pixels' levels over 0…255 and leaves that one level as it was.
    """
    bits = {"L;2": 2, "L;4": 4}.get(str(image.tile[0].args))
    level = image.info.get("transparency")
    if bits and isinstance(level, int) and level < 2**bits:
        image.info["transparency"] = level * 255 // (2**bits - 1)


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

    def read() -> Iterator[Strip]:
        with decoding(name):
            yield from _strips(file, known, known.row_bytes, name)

    return StripSource(
        size=Size(header.height, header.width),
        bits=header.depth,
        colours=3 if channels > 2 else 1,
        has_alpha=channels in (2, 4),
        read=read,
    )


def _strips(file: BinaryIO, header: Header, row_bytes: int, name: str) -> Iterator[Strip]:
    above = bytes(row_bytes)  # unfiltered, as the number in front says
    top = 0
    for filtered in _filtered_rows(file, row_bytes, max(_STRIP_BYTES // row_bytes, 1), header.height):
        rows = len(filtered) // row_bytes
        values = _values(header._replace(height=rows + 1), zlib.compress(above + filtered, 0))[1:]
        above = b"\0" + values[-1].astype(f">u{values.itemsize}").tobytes()
        yield Strip(*colours_and_alpha(values))
        top += rows
    if top < header.height:
        raise damaged(name, f"its pixels end after row {top} of {header.height}")


def _filtered_rows(file: BinaryIO, row_bytes: int, num_rows: int, height: int) -> Iterator[bytes]:
    """Yield the unpacked bytes of so many rows at a time, as far as they go."""
    wanted = height * row_bytes
    waiting = bytearray()
    for data, _ in unpacked(file):
        waiting += data[:wanted]
        wanted -= len(data)
        while len(waiting) >= num_rows * row_bytes:
            yield bytes(waiting[: num_rows * row_bytes])
            del waiting[: num_rows * row_bytes]
        if wanted <= 0:
            break
    if whole := len(waiting) // row_bytes * row_bytes:
        yield bytes(waiting[:whole])


def encode_png(photo: Photo) -> tuple[bytes | memoryview, ...]:
    """Encode a photo. A palette is not made again: a sharpened picture has more colours."""
    if photo.bits > 8:
        return tuple(encode_png_strips(strips_of_photo(photo), photo.metadata))
    buffer = io.BytesIO()
    picture_of(photo).save(buffer, "PNG")
    encoded = buffer.getvalue()
    return encoded[:_HEADER_END], metadata_chunks(photo.metadata, 8), memoryview(encoded)[_HEADER_END:]


def encode_png_strips(source: StripSource, metadata: Metadata) -> Iterator[bytes]:
    """Encode a picture whose rows come in strips."""
    channels = source.colours + source.has_alpha
    header = Header(source.size.width, source.size.height, source.bits, _COLOUR_TYPES[channels], 0, 0, 0)
    yield SIGNATURE + chunk_of(b"IHDR", header.payload)
    yield metadata_chunks(metadata, source.bits)
    rows = max(_BLOCK_BYTES // source.row_bytes, 1)
    for data in _packed_rows(_bytes_of(strip) for strip in regrouped(source.read(), rows)):
        yield chunk_of(b"IDAT", data)
    yield chunk_of(b"IEND", b"")


def _bytes_of(strip: Strip) -> Bytes:
    """Return the values of rows as the format has them: uint8 `rows w b`, b bytes per pixel."""
    values = strip.pixels if strip.alpha is None else np.dstack([strip.pixels, strip.alpha])
    return values.astype(f">u{values.itemsize}", order="C").view(np.uint8)


def _packed_rows(strips: Iterable[Bytes]) -> Iterator[bytes]:
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
