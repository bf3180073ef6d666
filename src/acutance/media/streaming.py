"""From file to file in strips: which formats can be read and written that way, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from acutance.media.atomic import Patch
from acutance.media.container import Container
from acutance.media.format import Format
from acutance.media.formats import FORMATS
from acutance.media.photo import ImageFormat, Metadata, Photo
from acutance.media.strips import Strip, StripSource
from acutance.media.writing import check_sides, encoding, must_be_turned, prepared, true_metadata


def open_strips(file: BinaryIO, format_: Format, container: Container, name: str) -> StripSource | None:
    """Return a file of one picture, to be read in strips; None for one that cannot be.

    Raises:
        UnsupportedImage: When it is damaged.
    """
    if container.num_pictures > 1 or container.cmyk_profile is not None or format_.strips is None:
        return None
    return format_.strips.open(file, container, name)


def can_be_streamed(metadata: Metadata, format_: ImageFormat) -> bool:
    """Say whether a picture can be written in strips: the format takes them, and the pixels need not be turned."""
    return FORMATS[format_].strips is not None and not must_be_turned(metadata, format_)


def encode_strips(source: StripSource, metadata: Metadata, format_: ImageFormat) -> Iterator[bytes | Patch]:
    """Encode a picture whose rows come in strips; see `encode_photo` for what becomes of depth and transparency.

    Args:
        source: The picture.
        metadata: Of the photo.
        format_: One that `can_be_streamed` accepts.

    Yields:
        The file in parts.

    Raises:
        OutputError: When it cannot be coded; what `source` raises goes on as it is.
    """
    target = FORMATS[format_]
    if target.strips is None:
        raise ValueError(f"{format_} is not written in strips")
    check_sides(source.size, format_)
    metadata = true_metadata(metadata, format_)
    is_opaque = not target.has_alpha
    bits = min(source.bits, target.max_bits)

    read_all = source.read

    def read() -> Iterator[Strip]:
        for pixels, alpha in read_all():
            photo = prepared(Photo(pixels=pixels, alpha=alpha), format_)
            yield Strip(photo.pixels, photo.alpha)

    if bits != source.bits or (is_opaque and source.has_alpha):
        source = replace(source, bits=bits, has_alpha=source.has_alpha and not is_opaque, read=read)
    with encoding(format_):
        yield from target.strips.encode(source, metadata)
