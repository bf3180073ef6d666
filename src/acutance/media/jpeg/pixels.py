"""The pixels of JPEG files, by Pillow: also of those that lack their end marker alone."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL.JpegImagePlugin import JpegImageFile

from acutance.media.container import Container, Decoded, damaged
from acutance.media.excerpt import excerpt
from acutance.media.pil import decoded, open_plugin

_BLOCK_BYTES = 2**20
_FILLINGS = tuple(
    b"".join(bytes((number,)) * 2**11 + bytes((0xFF, restart)) for restart in range(0xD0, 0xD8))
    for number in (0x55, 0xAA, 0xFE)
)
"""Compressed data of no meaning, that begin with different bits, and with all marks at which a decoder starts anew."""


def decode_jpeg(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a file that has passed `inspect_jpeg`.

    Raises:
        UnsupportedImage: When it is damaged.
    """
    if container.needs_own_decoder:
        return _decode_unended(file, container, name)
    return decoded(open_plugin(file, JpegImageFile), container, name)


def _decode_unended(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a file without an end marker, if nothing else is missing.

    Where compressed data end too early, decoders make up the rest of the picture, and say nothing. So it is decoded
    several times, with something else behind its end: only a picture that needs none of it comes out the same.

    Raises:
        UnsupportedImage: When some of the picture is missing.
    """
    end = file.seek(0, io.SEEK_END)
    while end:  # zeros, where a disk was full, are no part of the picture; nor is half of an end marker
        start = max(end - _BLOCK_BYTES, 0)
        file.seek(start)
        block = file.read(end - start).rstrip(b"\0\xff")
        end = start + len(block)
        if block:
            break
    pictures: list[npt.NDArray[np.uint8]] = []
    for more in (b"", *_FILLINGS):
        image = open_plugin(excerpt(file, [(0, end), more, b"\xff\xd9"]), JpegImageFile)
        pictures = [*pictures[:1], decoded(image, container, name)[0]]
        if (pictures[0] != pictures[-1]).any():
            raise damaged(name, "it ends within its pixels")
    return pictures[0], None
