"""What a format cannot hold of a photo, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from acutance.media.exif import X_RESOLUTION, first_directory
from acutance.media.formats import FORMATS_16, ImageFormat
from acutance.media.gif import COLOURS, has_too_many_colours
from acutance.media.jpeg import MAX_ICC_BYTES, MAX_XMP_BYTES
from acutance.media.photo import HeifCoding, Metadata, Photo
from acutance.media.png import COLOUR_CHUNKS, TEXT_CHUNKS, text_keyword
from acutance.media.webp import is_grey_profile
from acutance.media.xmp import announced

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


def lost_in(photo: Photo, format: ImageFormat) -> tuple[str, ...]:
    """Return what of a photo is lost when it is written in a format, in words; empty if nothing is."""
    losses = [*photo.metadata.left_out, *_LOSSES[format](photo)]
    losses += _lost_colours(photo.metadata, format)
    losses += _lost_beside(photo.metadata, format)
    if photo.metadata.jp2_boxes and format != "JPEG2000":
        losses.append("further boxes of the JPEG 2000 file")
    is_rounded = photo.bits > 8 and format not in FORMATS_16
    return (*losses, "tones finer than 8 bits per channel") if is_rounded else tuple(losses)


def _lost_colours(metadata: Metadata, format_: ImageFormat) -> tuple[str, ...]:
    """Return what is lost of colours that the file says by numbers: HEIC is given all or none of its own."""
    numbers = metadata.colour_numbers
    is_held = format_ in ("AVIF", "PNG") or (format_ == "HEIF" and isinstance(metadata.coding, HeifCoding))
    if numbers is None or is_held:
        return ()
    return (f"what the colours are (primaries {numbers[0]}, transfer {numbers[1]} of ITU-T H.273)",)


def _lost_beside(metadata: Metadata, format_: ImageFormat) -> tuple[str, ...]:
    """Return what belongs to a photo, besides its picture, and is not written with it."""
    if format_ == "JPEG" and metadata.jpeg_trailer is not None:
        return ()
    what = () if metadata.xmp is None else announced(metadata.xmp)
    return what or (() if metadata.jpeg_trailer is None else ("what lies behind the picture in the JPEG file",))


def is_damaged(exif: bytes | None) -> bool:
    """Say whether an EXIF block cannot be taken apart."""
    return exif is not None and first_directory(exif) is None


def _lost_in_jpeg(photo: Photo) -> Iterator[str]:
    yield from _lost_transparency(photo)
    if len(photo.metadata.xmp or b"") > MAX_XMP_BYTES:
        yield f"XMP (longer than {MAX_XMP_BYTES} bytes)"
    if len(photo.metadata.icc_profile or b"") > MAX_ICC_BYTES:
        yield f"the colour profile (longer than {MAX_ICC_BYTES} bytes)"
    yield from _lost_chunks(photo.metadata)


def _lost_in_png(photo: Photo) -> Iterator[str]:
    yield from _lost_resources(photo.metadata)
    yield from _lost_segments(photo.metadata)


def _lost_in_webp(photo: Photo) -> Iterator[str]:
    yield from _lost_grey_profile(photo)
    yield from _lost_resolution(photo.metadata)
    yield from _lost_resources(photo.metadata)
    yield from _lost_segments(photo.metadata)
    yield from _lost_chunks(photo.metadata)


def _lost_in_tiff(photo: Photo) -> Iterator[str]:
    if is_damaged(photo.metadata.exif):
        yield "EXIF (it is damaged)"
    yield from _lost_segments(photo.metadata)
    yield from _lost_chunks(photo.metadata)


def _lost_in_avif(photo: Photo) -> Iterator[str]:
    if photo.alpha is not None:  # grey with transparency is written as RGB
        yield from _lost_grey_profile(photo)
    yield from _lost_resolution(photo.metadata)
    yield from _lost_resources(photo.metadata)
    yield from _lost_segments(photo.metadata)
    yield from _lost_chunks(photo.metadata)


def _lost_in_heif(photo: Photo) -> Iterator[str]:
    if photo.bits > 8 and not isinstance(photo.metadata.coding, HeifCoding):
        yield "tones finer than 12 bits per channel"
    yield from _lost_grey_profile(photo)
    yield from _lost_resolution(photo.metadata)
    yield from _lost_resources(photo.metadata)
    yield from _lost_segments(photo.metadata)
    yield from _lost_chunks(photo.metadata)


def _lost_in_jpeg2000(photo: Photo) -> Iterator[str]:
    yield from _lost_segments(photo.metadata)
    yield from _lost_chunks(photo.metadata)


def _lost_in_bmp(photo: Photo) -> Iterator[str]:
    yield from _lost_grey_profile(photo)
    yield from _lost_description(photo.metadata)
    yield from _lost_resources(photo.metadata)
    yield from _lost_segments(photo.metadata)
    yield from _lost_chunks(photo.metadata)


def _lost_in_gif(photo: Photo) -> Iterator[str]:
    metadata = photo.metadata
    eight = photo.in_8_bits()
    if eight.alpha is not None and not np.isin(eight.alpha, (0, 255)).all():
        yield "half transparency (all or nothing is written)"
    if has_too_many_colours(eight):
        yield f"colours beyond {COLOURS}"
    yield from _lost_grey_profile(photo)
    if metadata.exif is not None:
        yield "EXIF"
    if metadata.dpi is not None:
        yield "the resolution (dpi)"
    yield from _lost_resources(metadata)
    if metadata.jpeg_segments:
        yield "application data of the JPEG file"
    yield from _lost_chunks(metadata)


def _lost_in_ppm(photo: Photo) -> Iterator[str]:
    yield from _lost_transparency(photo)
    metadata = photo.metadata
    if metadata.icc_profile is not None:
        yield "the colour profile"
    if metadata.dpi is not None:
        yield "the resolution (dpi)"
    yield from _lost_description(metadata)
    yield from _lost_resources(metadata)
    if metadata.jpeg_segments:
        yield "application data of the JPEG file"
    yield from _lost_chunks(metadata)


_LOSSES: Mapping[ImageFormat, Callable[[Photo], Iterator[str]]] = {
    "JPEG": _lost_in_jpeg,
    "PNG": _lost_in_png,
    "WEBP": _lost_in_webp,
    "TIFF": _lost_in_tiff,
    "AVIF": _lost_in_avif,
    "HEIF": _lost_in_heif,
    "JPEG2000": _lost_in_jpeg2000,
    "BMP": _lost_in_bmp,
    "GIF": _lost_in_gif,
    "PPM": _lost_in_ppm,
}


def _lost_transparency(photo: Photo) -> Iterator[str]:
    if not photo.is_opaque:
        yield "transparency (laid on white)"


def _lost_grey_profile(photo: Photo) -> Iterator[str]:
    if photo.pixels.shape[2] == 1 and is_grey_profile(photo.metadata.icc_profile or b""):
        yield "the colour profile (it is for grey pictures)"


def _lost_resolution(metadata: Metadata) -> Iterator[str]:
    """Say that a resolution is lost where only EXIF could hold it, and does not."""
    main = None if metadata.exif is None else first_directory(metadata.exif)
    if metadata.dpi is not None and (main is None or main.find(X_RESOLUTION) is None):
        yield "the resolution (dpi)"


def _lost_description(metadata: Metadata) -> Iterator[str]:
    if metadata.exif is not None:
        yield "EXIF"
    if metadata.xmp is not None:
        yield "XMP"


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
