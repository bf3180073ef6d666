"""TIFF files of several pages."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from acutance.media.ifd import ByteOrder, Tree, read_header, serialise
from acutance.media.photo import Photo
from acutance.media.tiff import block_at_start, described_by, encode_pixels, page_entries

_MAX_BYTES = 2**32 - 2**24
"""What offsets of 32 bits reach."""


def chain_of(file: BinaryIO, pages: tuple[int, ...]) -> dict[int, int]:
    """Return which directory of a file's chain each page is, by its offset: Pillow counts the previews, too."""
    header = read_header(file)
    form, head = ("Q", 20) if header.is_big else ("H", 12)
    place, number = header.first_offset, 0
    found: dict[int, int] = {}
    while place and place not in found and len(set(pages) - found.keys()):
        found[place] = number
        file.seek(place)
        (count,) = struct.unpack(header.order + form, file.read(struct.calcsize(form)))
        file.seek(place + struct.calcsize(form) + count * head)
        pointer = "Q" if header.is_big else "I"
        (place,) = struct.unpack(header.order + pointer, file.read(struct.calcsize(pointer)))
        number += 1
    return found


def encode_tiff_pages(photos: Iterable[Photo]) -> Iterator[bytes | memoryview]:
    """Encode several pages, each like `encode_tiff`.

    The EXIF block of the first stands at the beginning of the file, so that offsets within it stay true; those of the
    others are written anew.

    Yields:
        The file in parts, as the pages come; the encoded pixels of one are held.

    Raises:
        ValueError: When it grows beyond 4 GB.
    """
    waiting = b""  # the directory of the page before: it says where that of this page is
    link = place = 0
    order: ByteOrder = "<"
    for photo in photos:
        is_first = not waiting
        block = b""
        if is_first:
            block, order, main = block_at_start(photo.metadata)
            described = Tree(tuple(main.values()), {})
        else:
            described = described_by(photo.metadata, order)
        pixels, corrections = encode_pixels(photo, order)
        start = place + len(waiting) + len(block)
        entries = {entry.tag: entry for entry in described.entries}
        entries.update(page_entries(pixels, corrections, photo.metadata, order, start))
        padding = b"\0" * (len(pixels) % 2)
        next_place = start + len(pixels) + len(padding)
        directory = serialise(Tree(tuple(entries.values()), described.children), order, next_place)
        if next_place + len(directory) > _MAX_BYTES:
            raise ValueError("the pages together are larger than 4 GB")
        pointer = struct.pack(order + "I", next_place)
        yield block[:4] + pointer + block[8:] if is_first else waiting[:link] + pointer + waiting[link + 4 :]
        yield pixels
        yield padding
        waiting = directory + b"\0" * (len(directory) % 2)
        link, place = 2 + 12 * (len(entries) + len(described.children)), next_place
    yield waiting
