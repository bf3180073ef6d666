"""The pixels of PNG files: those of 8 bits by Pillow, those of 16 by `deep` and `strips`."""

from __future__ import annotations

import io
from typing import BinaryIO

from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile

from acutance.media.container import Container, Decoded
from acutance.media.photo import Photo
from acutance.media.pil import decoded, open_plugin, picture_of
from acutance.media.png.chunks import bare_png, metadata_chunks
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
        return decode_png16(file)
    image = open_plugin(bare_png(file), PngImageFile)
    _correct_transparency(image)
    return decoded(image, container, name)


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
