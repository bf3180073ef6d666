"""Writing photos: what each format can hold is written, and what it cannot is said."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.errors import OutputError
from acutance.geometry import Size
from acutance.media.atomic import check_target, write_atomically
from acutance.media.avif import encode_avif
from acutance.media.bmp import encode_bmp
from acutance.media.fingerprint import Fingerprint
from acutance.media.formats import FORMATS_16, ImageFormat, format_of
from acutance.media.gif import encode_gif
from acutance.media.heif import encode_heif
from acutance.media.jpeg2000 import encode_jpeg2000
from acutance.media.jpeg_writing import encode_jpeg
from acutance.media.losses import is_damaged
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import picture_of
from acutance.media.png import encode_png
from acutance.media.png16 import encode_png16
from acutance.media.pnm import encode_pnm, parts_for_name
from acutance.media.thumbnail import with_new_thumbnail
from acutance.media.tiff import encode_tiff
from acutance.media.webp import encode_webp
from acutance.media.xmp import without_announcements

Parts = tuple[bytes | memoryview, ...]

_ENCODERS: Mapping[ImageFormat, Callable[[Image.Image, Metadata], Parts]] = {
    "JPEG": encode_jpeg,
    "PNG": encode_png,
    "WEBP": encode_webp,
    "AVIF": encode_avif,
    "JPEG2000": encode_jpeg2000,
    "BMP": encode_bmp,
    "GIF": encode_gif,
}
"""Of 8 bits per channel, but for those that need not tell 8 from 16."""

_DEEP_ENCODERS: Mapping[ImageFormat, Callable[[Photo], Parts]] = {
    "PNG": encode_png16,
    "TIFF": encode_tiff,
    "HEIF": encode_heif,
    "PPM": encode_pnm,
}

_MAX_SIDE_PX: Mapping[ImageFormat, int] = {
    "JPEG": 65_500,
    "PNG": 2**31 - 1,
    "WEBP": 16_383,
    "TIFF": 2**31 - 1,
    "AVIF": 32_768,
    "HEIF": 16_384,
    "JPEG2000": 2**31 - 1,
    "BMP": 2**31 - 1,
    "GIF": 65_535,
    "PPM": 2**31 - 1,
}
_MAX_BYTES: Mapping[ImageFormat, int] = {"TIFF": 2**32 - 2**24, "BMP": 2**31 - 2**24}
"""Offsets in these files have 32 bits; the rest is for headers."""

_NO_TRANSPARENCY: frozenset[ImageFormat] = frozenset(("JPEG", "PPM"))
_SHOWN_AS_STORED: frozenset[ImageFormat] = frozenset(("AVIF", "BMP", "GIF", "HEIF", "PPM"))
"""Where an orientation in EXIF does not bind, or cannot be written."""
_OFTEN_SHOWN_AS_STORED: frozenset[ImageFormat] = frozenset(("PNG", "JPEG2000"))


def encode_photo(photo: Photo, *, format: ImageFormat) -> bytes:
    """Return a photo as the content of a file.

    A JPEG that was a JPEG is coded with the same quantisation tables and chroma subsampling; another photo
    becomes a JPEG of quality 95 with full chroma. A lossless WebP stays lossless, another photo becomes one
    of quality 95. A TIFF keeps its compression, an AVIF (of quality 95) its chroma subsampling; a JPEG 2000 file
    is lossy only if it was. A GIF has at most 256 colours. For formats without transparency, the photo is laid on
    white. Since many programs pass over the orientation in a PNG, a photo that becomes one is turned upright, as
    for other formats that hold none. A photo of 16 bits per channel keeps them in a PNG, TIFF, PGM or PPM, and is
    rounded to 8 for the other formats.
    `lost_in` says what else does not fit.

    Raises:
        OutputError: When the format cannot hold a picture of that size.
    """
    return b"".join(encoded_parts(photo, format))


def write_photo(
    photo: Photo,
    path: Path,
    *,
    overwrite: bool = False,
    before_naming: Callable[[Fingerprint], None] | None = None,
) -> None:
    """Write a photo in the format that the name says: whole, or not at all.

    Args:
        photo: What to write; see `encode_photo`.
        path: Ends in .jpg, .png, .webp, .tif or another suffix that `format_of` knows. Missing folders are made.
        overwrite: Whether a present file, such as the photo's own, is replaced.
        before_naming: See `write_atomically`.

    Raises:
        WrongName: When the name says no format, or .pgm of a photo in colours.
        OutputError: When the path is taken, or the file cannot be written.
    """
    format_ = format_of(path)
    check_target(path, overwrite=overwrite)
    parts = parts_for_name(path, encoded_parts(photo, format_))
    write_atomically(path, parts, overwrite=overwrite, before_naming=before_naming)


def own_format(photo: Photo) -> ImageFormat:
    """Return the format that a photo came in, or PNG where it came from no file."""
    return photo.metadata.source_format or "PNG"


def encoded_parts(photo: Photo, format_: ImageFormat) -> Parts:
    """Encode a photo; `encode_photo` in parts, which need not be copied together to be written."""
    with encoding(format_):
        photo = prepared(photo, format_)
        if photo.bits > 8 or format_ not in _ENCODERS:
            return _DEEP_ENCODERS[format_](photo)
        return _ENCODERS[format_](picture_of(photo), photo.metadata)


@contextmanager
def encoding(format_: ImageFormat) -> Iterator[None]:
    """Turn what encoders raise into a sentence.

    Raises:
        OutputError: When a picture cannot be coded.
    """
    try:
        yield
    except (OSError, ValueError, struct.error) as error:
        raise OutputError(f"the photo cannot be coded as {format_} ({error}); choose another format.") from error
    except MemoryError as error:
        raise OutputError(f"the photo cannot be coded as {format_}: not enough free memory.") from error


def prepared(photo: Photo, format_: ImageFormat) -> Photo:
    """Return a photo as a format can hold it: turned, rounded or laid on white where it must be.

    Raises:
        OutputError: When it is too large.
    """
    _check_fits(photo, format_)
    photo = replace(photo, metadata=true_metadata(photo.metadata, format_))
    if must_be_turned(photo.metadata, format_):
        photo = with_new_thumbnail(photo.upright())
    if format_ not in FORMATS_16:
        photo = photo.in_8_bits()
    if format_ in _NO_TRANSPARENCY and photo.alpha is not None:
        photo = replace(photo, pixels=_on_white(photo.pixels, photo.alpha), alpha=None)
    return photo


def true_metadata(metadata: Metadata, format_: ImageFormat) -> Metadata:
    """Return metadata that say nothing of data besides the picture which are not written with it."""
    if format_ == "JPEG" and metadata.jpeg_trailer is not None:
        return metadata
    xmp = None if metadata.xmp is None else without_announcements(metadata.xmp)
    return replace(metadata, xmp=xmp, jpeg_trailer=None)


def _check_fits(photo: Photo, format_: ImageFormat) -> None:
    height, width = photo.size
    check_sides(photo.size, format_)
    alpha_bytes = 0 if photo.alpha is None else photo.alpha.nbytes
    if photo.pixels.nbytes + alpha_bytes > _MAX_BYTES.get(format_, photo.pixels.nbytes + alpha_bytes):
        raise OutputError(f"the photo has {width}×{height} px, more than a {format_} file holds; choose PNG.")


def check_sides(size: Size, format_: ImageFormat) -> None:
    """Refuse a picture that is too long or too wide for a format.

    Raises:
        OutputError: When it is.
    """
    if max(size) > _MAX_SIDE_PX[format_]:
        raise OutputError(
            f"the photo has {size.width}×{size.height} px, {format_} holds {_MAX_SIDE_PX[format_]} px a side; choose "
            "PNG or TIFF."
        )


def must_be_turned(metadata: Metadata, format_: ImageFormat) -> bool:
    """Say whether pixels are turned, where the format, or the programs that show it, would not know how.

    Many programs pass over the orientation in a PNG. One that came as a PNG stays as it came.
    """
    is_ignored = format_ in _OFTEN_SHOWN_AS_STORED and metadata.source_format != format_
    is_lost = format_ in _SHOWN_AS_STORED or (format_ == "TIFF" and is_damaged(metadata.exif))
    return (is_ignored or is_lost) and metadata.orientation != 1


def _on_white(pixels: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Lay pixels, uint8 or uint16 `h w c`, on white by their alpha, `h w`; row by row, to save memory."""
    laid = np.empty_like(pixels)
    white = np.uint32(np.iinfo(pixels.dtype).max)
    for row in range(len(pixels)):
        opacity = alpha[row, :, np.newaxis].astype(np.uint32)
        # At most 65535 · 65535 + 32767: it fits, and the half of white makes the division round to nearest.
        laid[row] = (pixels[row] * opacity + white * (white - opacity) + white // 2) // white
    return laid
