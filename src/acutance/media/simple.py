"""BMP, GIF and PPM: read by Pillow alone, since they hold little beside their pixels."""

from __future__ import annotations

from typing import BinaryIO

from PIL import ImageFile

from acutance.geometry import Size
from acutance.media.container import Container, animated, too_deep
from acutance.media.formats import HEAD_BYTES, sniff_format
from acutance.media.photo import Metadata
from acutance.media.pil import decoding, open_plugin


def inspect_simple(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a BMP, GIF or PPM file.

    Raises:
        UnsupportedImage: When it is damaged, animated, or of more than 256 levels.
    """
    file.seek(0)
    format_ = sniff_format(file.read(HEAD_BYTES))
    assert format_ is not None, "the caller has recognised it"
    with decoding(name):
        image = open_plugin(file, format_)
        is_animated = getattr(image, "is_animated", False)
        is_deep = format_ == "PPM" and _is_deep_ppm(image)
    if is_animated:
        raise animated(name)
    if is_deep:
        raise too_deep(name, 16)
    comment, dpi = image.info.get("comment"), image.info.get("dpi")
    metadata = Metadata(
        source_format=format_,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        comments=(comment,) if isinstance(comment, bytes) else (),
    )
    return Container(Size(image.height, image.width), metadata)


def _is_deep_ppm(image: ImageFile.ImageFile) -> bool:
    """Say whether a PPM has more than 256 levels: of a coloured one, Pillow would quietly make 256."""
    arguments = image.tile[0].args
    levels = arguments[1] if isinstance(arguments, tuple) and len(arguments) == 2 else 255
    return image.mode == "I" or (isinstance(levels, int) and levels > 255)
