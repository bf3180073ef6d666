"""The pixels of PNG files: those of 8 bits by Pillow, those of 16 by `deep` and `strips`."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy.typing as npt
from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile

from acutance.media.container import Container, Decoded, damaged
from acutance.media.photo import Photo
from acutance.media.pil import decoded, open_plugin, picture_of
from acutance.media.png.chunks import Header, bare_png, metadata_chunks, read_chunks, unpacked_size
from acutance.media.png.deep import decode_png16
from acutance.media.png.strips import encode_png_strips
from acutance.media.strips import strips_of_photo

_HEADER_END = 33  # signature and IHDR


def decode_png(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a file of one picture that has passed `inspect_png`.

    Raises:
        UnsupportedImage: When it is damaged.
    """
    if container.bits > 8:
        pixels, alpha = decode_png16(file)
    else:
        image = open_plugin(bare_png(file), PngImageFile)
        _correct_transparency(image)
        pixels, alpha = decoded(image, container, name)
    _check_all_are_there(file, pixels, name)
    return pixels, alpha


def _check_all_are_there(file: BinaryIO, pixels: npt.NDArray[Any], name: str) -> None:
    """Refuse a file whose packed pixels come to their end before the picture does.

    Pillow takes those that are not there for zeros, without a word; so do the rows of 16 bits, which it unpacks. To
    count takes as long as to unpack, so it is done only where one of the last two rows (of interlaced pictures the
    last but one may be the last to come) is of one colour.
    """
    if all((row != row[0]).any() for row in pixels[-2:]):
        return
    header = next(Header._make(struct.unpack_from(">IIBBBBB", data)) for kind, data in read_chunks(file))
    count, _ = unpacked_size(file, header.unpacked_bytes)
    if count < header.unpacked_bytes:
        rows = "too early" if header.is_interlaced else f"after row {count // header.row_bytes} of {header.height}"
        raise damaged(name, f"its pixels end {rows}")


def encode_png(photo: Photo) -> tuple[bytes | memoryview, ...]:
    """Encode a photo. A palette is not made again: a sharpened picture has more colours.

    Returns:
        The file in parts.
    """
    if photo.bits > 8:
        return tuple(encode_png_strips(strips_of_photo(photo), photo.metadata))
    buffer = io.BytesIO()
    picture_of(photo).save(buffer, "PNG")
    encoded = buffer.getvalue()
    return encoded[:_HEADER_END], metadata_chunks(photo.metadata, 8), memoryview(encoded)[_HEADER_END:]


def _correct_transparency(image: ImageFile.ImageFile) -> None:
    """Correct the transparent level of a grey PNG of 2 or 4 bits, which is open and not loaded yet.

    Pillow 13 spreads the pixels' levels over 0…255 and leaves that one level as it was.
    """
    bits = {"L;2": 2, "L;4": 4}.get(str(image.tile[0].args))
    level = image.info.get("transparency")
    if bits and isinstance(level, int) and level < 2**bits:
        image.info["transparency"] = level * 255 // (2**bits - 1)
