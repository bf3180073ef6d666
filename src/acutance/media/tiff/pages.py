"""TIFF files of several pages."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from PIL.TiffImagePlugin import TiffImageFile

from acutance.media.container import Container, Decoded
from acutance.media.excerpt import excerpt
from acutance.media.ifd import ByteOrder, Tree, read_header, serialise
from acutance.media.photo import Photo
from acutance.media.pil import decoded, open_plugin
from acutance.media.tiff.pixels import decode_tiff16
from acutance.media.tiff.tags import block_at_start, described_by, encode_pixels, inspect_page, page_entries

_MAX_BYTES = 2**32 - 2**24
"""What offsets of 32 bits reach."""


def inspect_pages(file: BinaryIO, container: Container, name: str) -> Iterator[Container]:
    """Yield what is known of each page of a file that has passed `inspect_tiff`.

    Raises:
        UnsupportedImage: When one is damaged, or not read.
    """
    yield container._replace(pages=container.pages[:1])
    for offset in container.pages[1:]:
        yield inspect_page(file, offset, name)


def decode_tiff(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a page, the first one of those that the container names.

    Raises:
        UnsupportedImage: When it is damaged.
    """
    offset = container.pages[0]
    if container.needs_own_decoder:
        return decode_tiff16(file, name, offset)
    header = read_header(file)  # through which Pillow is shown that page as the first
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = (
        file.read(8) + struct.pack("<Q", offset)
        if header.is_big
        else file.read(4) + struct.pack(header.order + "I", offset)
    )
    return decoded(open_plugin(excerpt(file, [head, (len(head), end - len(head))]), TiffImageFile), container, name)


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
