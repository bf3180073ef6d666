"""Writing one picture or several: what each format can hold is written, and what it cannot is said."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acutance.errors import OutputError, first_line
from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.atomic import Fingerprint, Patch, check_target, write_atomically
from acutance.media.formats import FORMATS, format_named, format_of
from acutance.media.losses import has_unfit_profile, is_damaged
from acutance.media.photo import ImageFormat, Metadata, Photo
from acutance.media.pnm import parts_for_name
from acutance.media.reading import PictureFile
from acutance.media.strips import Strip, StripSource
from acutance.media.thumbnail import with_new_thumbnail
from acutance.media.xmp import without_announcements, without_credentials


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
    return b"".join(_encoded_parts(photo, format))


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
    parts = parts_for_name(path, _encoded_parts(photo, format_))
    write_atomically(path, parts, overwrite=overwrite, before_naming=before_naming)


def own_format(photo: Photo) -> ImageFormat:
    """Return the format that a photo came in, or PNG where it came from no file."""
    return photo.metadata.source_format or "PNG"


def _encoded_parts(photo: Photo, format_: ImageFormat) -> tuple[bytes | memoryview, ...]:
    """Encode a photo; `encode_photo` in parts, which need not be copied together to be written."""
    with _encoding(format_):
        target = format_named(format_)
        target.check_writable()
        return tuple(target.encode(_prepared(photo, format_)))


@contextmanager
def _encoding(format_: ImageFormat) -> Iterator[None]:
    """Turn what encoders raise into a sentence.

    Raises:
        OutputError: When a picture cannot be coded.
    """
    try:
        yield
    except (OSError, ValueError, struct.error) as error:
        raise OutputError(
            f"the photo cannot be coded as {format_} ({first_line(error)}); choose another format."
        ) from error
    except MemoryError as error:
        raise OutputError(f"the photo cannot be coded as {format_}: not enough free memory.") from error


def _prepared(photo: Photo, format_: ImageFormat) -> Photo:
    """Return a photo as a format can hold it: turned, rounded or laid on white where it must be.

    Raises:
        OutputError: When it is too large.
    """
    _check_sides(photo.size, format_)
    target = FORMATS[format_]
    size, bytes_ = photo.size, photo.pixels.nbytes + (0 if photo.alpha is None else photo.alpha.nbytes)
    if target.max_bytes is not None and bytes_ > target.max_bytes:
        raise OutputError(f"the photo has {size.width}×{size.height} px, more than a {format_} file holds; choose PNG.")
    photo = replace(photo, metadata=_true_metadata(photo.metadata, format_))
    if _must_be_turned(photo.metadata, format_):
        photo = with_new_thumbnail(photo.upright())
    if photo.bits > target.max_bits:
        photo = photo.in_8_bits()
    if has_unfit_profile(photo, target):
        photo = replace(photo, metadata=replace(photo.metadata, icc_profile=None))
    if not target.has_alpha and photo.alpha is not None:
        photo = replace(photo, pixels=_on_white(photo.pixels, photo.alpha), alpha=None)
    return photo


def _true_metadata(metadata: Metadata, format_: ImageFormat) -> Metadata:
    """Return metadata that say nothing of what is not written with the picture, or does not hold for it any more."""
    if metadata.xmp is not None:
        metadata = replace(metadata, xmp=without_credentials(metadata.xmp))
    if "trailer" in FORMATS[format_].holds and metadata.jpeg_trailer is not None:
        return metadata
    xmp = None if metadata.xmp is None else without_announcements(metadata.xmp)
    return replace(metadata, xmp=xmp, jpeg_trailer=None)


def can_be_streamed(metadata: Metadata, format_: ImageFormat) -> bool:
    """Say whether a picture can be written in strips: the format takes them, and the pixels need not be turned."""
    return FORMATS[format_].strips is not None and not _must_be_turned(metadata, format_)


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
    _check_sides(source.size, format_)
    metadata = _true_metadata(metadata, format_)
    bits, has_alpha, read_all = min(source.bits, target.max_bits), source.has_alpha and target.has_alpha, source.read

    def fitting(strip: Strip) -> Strip:
        photo = _prepared(Photo(pixels=strip.pixels, alpha=strip.alpha), format_)
        return Strip(photo.pixels, photo.alpha)

    if (bits, has_alpha) != (source.bits, source.has_alpha):
        source = replace(source, bits=bits, has_alpha=has_alpha, read=lambda: map(fitting, read_all()))
    with _encoding(format_):
        yield from target.strips.encode(source, metadata)


def _check_sides(size: Size, format_: ImageFormat) -> None:
    """Refuse a picture that is too long or too wide for a format.

    Raises:
        OutputError: When it is.
    """
    limit = FORMATS[format_].max_side_px
    if max(size) > limit:
        raise OutputError(
            f"the photo has {size.width}×{size.height} px, {format_} holds {limit} px a side; choose PNG or TIFF."
        )


def _must_be_turned(metadata: Metadata, format_: ImageFormat) -> bool:
    """Say whether pixels are turned, where the format, or the programs that show it, would not know how.

    Many programs pass over the orientation in a PNG. One that came as a PNG stays as it came.
    """
    target = FORMATS[format_]
    is_ignored = target.orientation == "passed over" and metadata.source_format != format_
    is_lost = target.orientation == "not held" or (not target.holds_damaged_exif and is_damaged(metadata.exif))
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


def check_holds(pictures: PictureFile, format_: ImageFormat) -> None:
    """Refuse a format that cannot hold as many pictures as a file has, or cannot be written here.

    Raises:
        OutputError: When it is so.
    """
    name, target = pictures.name, format_named(format_)
    target.check_writable()
    if pictures.count == 1:
        return
    known = tuple(FORMATS.values())
    if pictures.animation is None and target.pages is None:
        choice = " or ".join(f"{other.label} ({other.suffixes[0]})" for other in known if other.pages)
        raise OutputError(f"{name} has {pictures.count} pages, and {format_} holds one; choose {choice}.")
    if pictures.animation is not None and target.frames is None:
        *others, last = [other.label for other in reversed(known) if other.frames]
        raise OutputError(
            f"{name} is an animation of {pictures.count} pictures, and {format_} holds one; choose {', '.join(others)} "
            f"or {last}."
        )


def lost_in_timing(animation: Animation, format_: ImageFormat) -> tuple[str, ...]:
    """Return what of an animation's timing a format cannot hold, in words."""
    frames = FORMATS[format_].frames
    losses = []
    per_second = None if frames is None else frames.per_second
    if per_second and any((duration * per_second).denominator != 1 for duration in animation.durations_s):
        losses.append(f"durations finer than 1/{per_second} s")
    if animation.has_still and not (frames and frames.holds_still):
        losses.append("the still picture for programs that know no animations")
    return tuple(losses)


def encode_pictures(
    photos: Iterable[Photo], format_: ImageFormat, *, count: int, animation: Animation | None
) -> Iterator[bytes | memoryview]:
    """Encode one or several pictures as one file.

    Args:
        photos: The pictures; they are asked for one by one, as they are written.
        format_: One that `check_holds` accepts.
        count: How many there are.
        animation: When they are shown, if they move.

    Yields:
        The file in parts.

    Raises:
        OutputError: When a picture cannot be coded; what `photos` raises goes on as it is.
    """
    if count == 1:
        for photo in photos:
            yield from _encoded_parts(photo, format_)
        return
    target = FORMATS[format_]
    if animation is not None and animation.has_still and not (target.frames and target.frames.holds_still):
        photos = islice(photos, 1, None)
        animation = replace(animation, has_still=False)
    ready = (_prepared(photo, format_) for photo in photos)
    with _encoding(format_):
        if animation is not None and target.frames is not None:
            yield from target.frames.encode(ready, animation)
        elif target.pages is not None:
            yield from target.pages.encode(ready)
