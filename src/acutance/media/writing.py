"""Writing photos: what each format can hold is written, and what it cannot is said."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.errors import OutputError
from acutance.media.atomic import check_target, write_atomically
from acutance.media.exif import X_RESOLUTION, first_directory
from acutance.media.formats import ImageFormat, format_of
from acutance.media.jpeg import MAX_ICC_BYTES, MAX_XMP_BYTES, encode_jpeg
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import picture_of
from acutance.media.png import COLOUR_CHUNKS, TEXT_CHUNKS, encode_png, text_keyword
from acutance.media.tiff import encode_tiff
from acutance.media.webp import encode_webp, is_grey_profile

Parts = tuple[bytes | memoryview, ...]

_ENCODERS: Mapping[ImageFormat, Callable[[Image.Image, Metadata], Parts]] = {
    "JPEG": encode_jpeg,
    "PNG": encode_png,
    "WEBP": encode_webp,
    "TIFF": encode_tiff,
}

_MAX_SIDE_PX: Mapping[ImageFormat, int] = {
    "JPEG": 65_500,
    "PNG": 2**31 - 1,
    "WEBP": 16_383,
    "TIFF": 2**31 - 1,
}
_MAX_TIFF_BYTES = 2**32 - 2**24
"""Offsets in a TIFF file have 32 bits; the rest is for tags."""

# The colours of sRGB, written out: gamma 1/2.2 and its primaries. Where they are lost, nothing changes.
_SRGB_CHUNKS = frozenset(
    (
        (b"gAMA", (45455).to_bytes(4, "big")),
        (
            b"cHRM",
            b"".join(n.to_bytes(4, "big") for n in (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        ),
    )
)


def encode_photo(photo: Photo, *, format: ImageFormat) -> bytes:
    """Return a photo as the content of a file.

    A JPEG that was a JPEG is coded with the same quantisation tables and chroma subsampling; another photo
    becomes a JPEG of quality 95 with full chroma. A lossless WebP stays lossless, another photo becomes one
    of quality 95. A TIFF keeps its compression. Since a JPEG has no transparency, the photo is laid on white.
    Since many programs pass over the orientation in a PNG, a photo that becomes one is turned upright.
    `lost_in` says what else does not fit.

    Raises:
        OutputError: When the format cannot hold a picture of that size.
    """
    return b"".join(_encoded(photo, format))


def write_photo(photo: Photo, path: Path, *, overwrite: bool = False) -> None:
    """Write a photo in the format that the name says: whole, or not at all.

    Args:
        photo: What to write; see `encode_photo`.
        path: Ends in .jpg, .png, .webp or .tif, or a variant of these. Missing folders are made.
        overwrite: Whether a present file, such as the photo's own, is replaced.

    Raises:
        OutputError: When the name says no format, the path is taken, or the file cannot be written.
    """
    format_ = format_of(path)
    check_target(path, overwrite=overwrite)
    write_atomically(path, _encoded(photo, format_), overwrite=overwrite)


def own_format(photo: Photo) -> ImageFormat:
    """Return the format that a photo came in, or PNG where that cannot be written (GIF, BMP, no file at all)."""
    source = photo.metadata.source_format
    return source if source in ("JPEG", "PNG", "WEBP", "TIFF") else "PNG"


def lost_in(photo: Photo, format: ImageFormat) -> tuple[str, ...]:
    """Return what of a photo is lost when it is written in a format, in words; empty if nothing is."""
    return (*photo.metadata.left_out, *_LOSSES[format](photo))


def _lost_in_jpeg(photo: Photo) -> Iterator[str]:
    if photo.alpha is not None and photo.alpha.min() < 255:
        yield "transparency (laid on white)"
    if len(photo.metadata.xmp or b"") > MAX_XMP_BYTES:
        yield f"XMP (longer than {MAX_XMP_BYTES} bytes)"
    if len(photo.metadata.icc_profile or b"") > MAX_ICC_BYTES:
        yield f"the colour profile (longer than {MAX_ICC_BYTES} bytes)"
    yield from _lost_chunks(photo.metadata)


def _lost_in_png(photo: Photo) -> Iterator[str]:
    yield from _lost_resources(photo.metadata)
    yield from _lost_segments(photo.metadata)


def _lost_in_webp(photo: Photo) -> Iterator[str]:
    metadata = photo.metadata
    if photo.pixels.shape[2] == 1 and is_grey_profile(metadata.icc_profile or b""):
        yield "the colour profile (it is for grey pictures)"
    main = None if metadata.exif is None else first_directory(metadata.exif)
    if metadata.dpi is not None and (main is None or main.find(X_RESOLUTION) is None):
        yield "the resolution (dpi)"
    yield from _lost_resources(metadata)
    yield from _lost_segments(metadata)
    yield from _lost_chunks(metadata)


def _lost_in_tiff(photo: Photo) -> Iterator[str]:
    if _is_damaged(photo.metadata.exif):
        yield "EXIF (it is damaged)"
    yield from _lost_segments(photo.metadata)
    yield from _lost_chunks(photo.metadata)


_LOSSES: Mapping[ImageFormat, Callable[[Photo], Iterator[str]]] = {
    "JPEG": _lost_in_jpeg,
    "PNG": _lost_in_png,
    "WEBP": _lost_in_webp,
    "TIFF": _lost_in_tiff,
}


def _lost_resources(metadata: Metadata) -> Iterator[str]:
    if metadata.photoshop is not None:
        yield "Photoshop's resources (captions and keywords in IPTC form)"


def _lost_segments(metadata: Metadata) -> Iterator[str]:
    if metadata.comments:
        yield "comments"
    if metadata.jpeg_segments:
        yield "application data of the JPEG file"


def _lost_chunks(metadata: Metadata) -> Iterator[str]:
    chunks = [chunk for chunk in metadata.png_chunks if chunk not in _SRGB_CHUNKS and chunk[0] != b"sRGB"]
    texts = [text_keyword(data) for kind, data in chunks if kind in TEXT_CHUNKS]
    if texts:
        yield f"PNG texts ({', '.join(texts)})"
    if metadata.icc_profile is None:  # with a profile, these say nothing
        colours = [kind.decode("latin-1") for kind, _ in chunks if kind in COLOUR_CHUNKS]
        if colours:
            yield f"PNG colour chunks ({', '.join(colours)})"
    others = [kind.decode("latin-1") for kind, _ in chunks if kind not in (*TEXT_CHUNKS, *COLOUR_CHUNKS)]
    if others:
        yield f"PNG chunks ({', '.join(others)})"


def _is_damaged(exif: bytes | None) -> bool:
    return exif is not None and first_directory(exif) is None


def _encoded(photo: Photo, format_: ImageFormat) -> Parts:
    _check_fits(photo, format_)
    photo = _upright_where_needed(photo, format_)
    if format_ == "JPEG" and photo.alpha is not None:
        photo = replace(photo, pixels=_on_white(photo.pixels, photo.alpha), alpha=None)
    try:
        return _ENCODERS[format_](picture_of(photo), photo.metadata)
    except (OSError, ValueError, struct.error) as error:
        raise OutputError(f"the photo cannot be coded as {format_} ({error}); choose another format.") from error
    except MemoryError as error:
        raise OutputError(f"the photo cannot be coded as {format_}: not enough free memory.") from error


def _check_fits(photo: Photo, format_: ImageFormat) -> None:
    height, width = photo.size
    if max(height, width) > _MAX_SIDE_PX[format_]:
        raise OutputError(
            f"the photo has {width}×{height} px, {format_} holds {_MAX_SIDE_PX[format_]} px a side; choose PNG or TIFF."
        )
    alpha_bytes = 0 if photo.alpha is None else photo.alpha.size
    if format_ == "TIFF" and photo.pixels.size + alpha_bytes > _MAX_TIFF_BYTES:
        raise OutputError(f"the photo has {width}×{height} px, more than a TIFF file holds; choose PNG.")


def _upright_where_needed(photo: Photo, format_: ImageFormat) -> Photo:
    """Turn the pixels where the format, or the programs that show it, would not know how.

    Many programs pass over the orientation in a PNG. One that came as a PNG stays as it came.
    """
    metadata = photo.metadata
    is_ignored = format_ == "PNG" and metadata.source_format != "PNG"
    is_lost = format_ == "TIFF" and _is_damaged(metadata.exif)
    return photo.upright() if is_ignored or is_lost else photo


def _on_white(pixels: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Lay pixels, uint8 `h w c`, on white by their alpha, uint8 `h w`; row by row, to save memory."""
    laid = np.empty_like(pixels)
    for row in range(len(pixels)):
        opacity = alpha[row, :, np.newaxis].astype(np.uint16)
        # At most 255 · 255 + 127 = 65 152: it fits, and 127 makes the division round to nearest.
        laid[row] = (pixels[row] * opacity + 255 * (255 - opacity) + 127) // 255
    return laid
