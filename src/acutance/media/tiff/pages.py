"""TIFF files of several pages."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL.TiffImagePlugin import TiffImageFile

from acutance.media.container import Container, Decoded, OtherFormat, refused
from acutance.media.excerpt import excerpt
from acutance.media.ifd import read_header
from acutance.media.pil import decoded, open_plugin
from acutance.media.tiff.pixels import decode_tiff16
from acutance.media.tiff.tags import inspect_page


def inspect_pages(file: BinaryIO, container: Container, name: str) -> Iterator[Container]:
    """Yield what is known of each page of a file that has passed `inspect_tiff`.

    Raises:
        UnsupportedImage: When one is damaged, or not read.
    """
    yield container._replace(pages=container.pages[:1])
    for offset in container.pages[1:]:
        try:
            yield inspect_page(file, offset, name)
        except OtherFormat:
            remedy = "save the pages that are pictures as files of their own"
            raise refused(name, "a TIFF with a camera's raw data on one of its pages", remedy) from None


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
