"""Boxes: what JPEG 2000, AVIF and HEIF files are made of, and the items that the latter two keep in them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from acutance.media.container import exactly, shape_notes

MAX_CONTENT_BYTES = 64 * 2**20
_CREDENTIALS = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""What a box of kind `uuid` begins with that holds content credentials (C2PA)."""


def boxes_of(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes between two places: kind, start and length of the content.

    Raises:
        EOFError: When one reaches beyond the end.
    """
    while start < end:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            (length,), head = struct.unpack(">Q", file.read(8)), 16
        elif length == 0:
            length = end - start
        if length < head or start + length > end:
            raise EOFError
        yield kind, start + head, length - head
        start += length


def box_at(file: BinaryIO, *path: bytes, within: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """Find a box in boxes by their kinds, the first one of each.

    Args:
        file: Made of boxes.
        path: From the outermost kind to that of the box that is wanted.
        within: Start and length of the content of a box; None: of the file.

    Returns:
        Start and length of its content; None where there is none, or the boxes make no sense.
    """
    start, length = within or (0, file.seek(0, io.SEEK_END))
    for kind in path:
        try:
            places = ((at, size) for name, at, size in boxes_of(file, start, start + length) if name == kind)
            start, length = next(places)
        except (StopIteration, EOFError, struct.error):
            return None
    return start, length


def content_of(file: BinaryIO, start: int, length: int) -> bytes:
    """Return the content of a box, or its beginning: no more than 64 MB."""
    file.seek(start)
    return file.read(min(length, MAX_CONTENT_BYTES))


def box_of(kind: bytes, content: bytes) -> bytes:
    """Return a whole box."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def has_credentials(file: BinaryIO) -> bool:
    """Say whether an AVIF or HEIF file holds content credentials (C2PA); not where its boxes make no sense."""
    try:
        for kind, start, length in boxes_of(file, 0, file.seek(0, io.SEEK_END)):
            if kind == b"uuid" and content_of(file, start, min(length, len(_CREDENTIALS))) == _CREDENTIALS:
                return True
    except (EOFError, struct.error):
        pass
    return False


def has_brand(head: bytes, *brands: bytes) -> bool:
    """Say whether a file of the MP4 family is one of some brands, or compatible with one, from its beginning."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    said = (head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4)))
    return head[4:8] == b"ftyp" and any(brand in brands for brand in said)


def item_of(file: BinaryIO, kind: bytes) -> bytes | None:
    """Return the content of the first item of a kind (`Exif`, `mime`) in an AVIF or HEIF file.

    The libraries that decode these files write an EXIF block anew on the way, which breaks the offsets within a
    camera's notes and every text that is not ASCII; here it is found as it stands.

    Returns:
        The bytes; None where there is no such item, or its place makes no sense.
    """
    try:
        inner = _described(file)
        number = next(number for number, name in _items(file, *inner[b"iinf"]) if name == kind)
        extents = next(places for known, places in _places(file, *inner[b"iloc"]) if known == number)
        if extents is None or sum(length for _, length in extents) > MAX_CONTENT_BYTES:
            return None
        return b"".join(content_of(file, start, length) for start, length in extents)
    except (StopIteration, KeyError, EOFError, struct.error, OverflowError):
        return None


def properties_of(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Return the properties of the main picture in an AVIF or HEIF file, kind and content, in their order.

    Returns:
        Nothing where the boxes make no sense.
    """
    try:
        inner = _described(file)
        of_items = {name: (start, length) for name, start, length in boxes_of(file, *_span(inner[b"iprp"]))}
        known = list(boxes_of(file, *_span(of_items[b"ipco"])))
        file.seek(inner[b"pitm"][0])
        content = file.read(8)
        main = int.from_bytes(content[4:8] if content[0] else content[4:6], "big")
        found = []
        for number in next(numbers for item, numbers in _associations(file, *of_items[b"ipma"]) if item == main):
            kind, start, length = known[number - 1]
            if number and length <= MAX_CONTENT_BYTES:
                found.append((kind, content_of(file, start, length)))
        return found
    except (StopIteration, KeyError, IndexError, EOFError, struct.error, OverflowError):
        return []


def pixel_shape_notes(file: BinaryIO) -> tuple[str, ...]:
    """Return what is said of the shape of the main picture's pixels (`pasp`) in an AVIF or HEIF file."""
    content = next((content for kind, content in properties_of(file) if kind == b"pasp"), b"")
    wide, high = struct.unpack(">II", content) if len(content) == 8 else (1, 1)
    return shape_notes(wide / high) if wide and high else ()


def _described(file: BinaryIO) -> dict[bytes, tuple[int, int]]:
    """Return start and length of the boxes in which a file describes its items, by their kinds."""
    end = file.seek(0, io.SEEK_END)
    meta = next((start, length) for name, start, length in boxes_of(file, 0, end) if name == b"meta")
    return {name: (start, length) for name, start, length in boxes_of(file, meta[0] + 4, sum(meta))}


def _span(place: tuple[int, int]) -> tuple[int, int]:
    return place[0], sum(place)


def _numbers(file: BinaryIO, start: int, length: int) -> Callable[[int], int]:
    """Return what reads one whole number after the other, of so many bytes, from the content of a box."""
    content = io.BytesIO(content_of(file, start, length))
    return lambda size: int.from_bytes(exactly(content, size), "big")


def _associations(file: BinaryIO, start: int, length: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of each item that an `ipma` box names, and those of its properties, counted from 1."""
    number = _numbers(file, start, length)
    kind = number(4)
    item_bytes, bits = 4 if kind >> 24 else 2, 16 if kind & 1 else 8
    for _ in range(number(4)):
        item = number(item_bytes)
        # The highest bit says that the property is essential.
        yield item, [number(bits // 8) & (2 ** (bits - 1) - 1) for _ in range(number(1))]


def _items(file: BinaryIO, start: int, length: int) -> Iterator[tuple[int, bytes]]:
    """Yield number and kind of the items that an `iinf` box lists."""
    file.seek(start)
    version = file.read(4)[0]
    head = 6 if version == 0 else 8
    for _, place, size in boxes_of(file, start + head, start + length):
        content = content_of(file, place, min(size, 16))
        if content[0] < 2:
            continue
        form = ">HH4s" if content[0] == 2 else ">IH4s"
        number, _, kind = struct.unpack_from(form, content, 4)
        yield number, kind


def _places(file: BinaryIO, start: int, length: int) -> Iterator[tuple[int, list[tuple[int, int]] | None]]:
    """Yield number and extents of the items that an `iloc` box places; None for one that lies elsewhere."""
    number = _numbers(file, start, length)
    version = number(4) >> 24
    offset_bytes, length_bytes = divmod(number(1), 16)
    base_bytes, index_bytes = divmod(number(1), 16)
    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_bytes)
        extents = []
        for _ in range(number(2)):
            if version:
                number(index_bytes)
            extents.append((base + number(offset_bytes), number(length_bytes)))
        yield item, extents if method == 0 else None
