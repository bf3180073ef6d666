"""From file to file in strips: which formats can be read and written that way, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from acutance.media.atomic import Patch
from acutance.media.container import Container
from acutance.media.formats import FORMATS_16, ImageFormat, SourceFormat
from acutance.media.jpeg_strips import encode_jpeg_strips, open_jpeg_strips
from acutance.media.photo import Metadata, Photo
from acutance.media.png_strips import encode_png_strips, open_png_strips
from acutance.media.pnm import encode_pnm_strips, open_pnm_strips
from acutance.media.strips import Strip, StripSource
from acutance.media.tiff_strips import encode_tiff_strips, open_tiff_strips
from acutance.media.writing import check_sides, encoding, must_be_turned, prepared, true_metadata

_ENCODERS: Mapping[ImageFormat, Callable[[StripSource, Metadata], Iterator[bytes | Patch]]] = {
    "TIFF": encode_tiff_strips,
    "PNG": encode_png_strips,
    "JPEG": encode_jpeg_strips,
    "PPM": encode_pnm_strips,
}
_OPAQUE: tuple[ImageFormat, ...] = ("JPEG", "PPM")


def open_strips(file: BinaryIO, format_: SourceFormat, container: Container, name: str) -> StripSource | None:
    """Return a file of one picture, to be read in strips; None for one that cannot be.

    Raises:
        UnsupportedImage: When it is damaged.
    """
    if container.num_pictures > 1 or container.cmyk_profile is not None:
        return None
    match format_:
        case "TIFF":
            return open_tiff_strips(file, container.pages[0], name)
        case "PNG":
            return open_png_strips(file, name)
        case "JPEG" if not container.needs_own_decoder:
            return open_jpeg_strips(file, container.size, container.metadata, name)
        case "PPM":
            return open_pnm_strips(file, name)
        case _:
            return None


def can_be_streamed(metadata: Metadata, format_: ImageFormat) -> bool:
    """Say whether a picture can be written in strips: the format takes them, and the pixels need not be turned."""
    return format_ in _ENCODERS and not must_be_turned(metadata, format_)


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
    check_sides(source.size, format_)
    metadata = true_metadata(metadata, format_)
    is_opaque = format_ in _OPAQUE
    bits = source.bits if format_ in FORMATS_16 else 8

    read_all = source.read

    def read() -> Iterator[Strip]:
        for pixels, alpha in read_all():
            photo = prepared(Photo(pixels=pixels, alpha=alpha), format_)
            yield Strip(photo.pixels, photo.alpha)

    if bits != source.bits or (is_opaque and source.has_alpha):
        source = replace(source, bits=bits, has_alpha=source.has_alpha and not is_opaque, read=read)
    with encoding(format_):
        yield from _ENCODERS[format_](source, metadata)
