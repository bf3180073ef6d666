"""What a format cannot hold of a photo, in words."""

from __future__ import annotations

from collections.abc import Iterator

from acutance.media.container import CREDENTIALS_LOST
from acutance.media.exif import X_RESOLUTION, first_directory
from acutance.media.format import Format, lost_colours
from acutance.media.formats import format_named
from acutance.media.photo import ImageFormat, Metadata, Photo, is_grey_profile
from acutance.media.png.chunks import COLOUR_CHUNKS, TEXT_CHUNKS, text_keyword
from acutance.media.xmp import announced, leads_to_credentials

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
    """Return what of a photo is lost when it is written in a format, in words; empty if nothing is.

    Raises:
        WrongName: When there is no such format.
    """
    target = format_named(format)
    losses = [*photo.metadata.left_out, *_lost_pixels(photo, target), *target.also_lost(photo)]
    losses += _lost_kinds(photo.metadata, target)
    return tuple(dict.fromkeys(losses))


def _lost_pixels(photo: Photo, target: Format) -> Iterator[str]:
    if not target.has_alpha and not photo.is_opaque:
        yield "transparency (laid on white)"
    if has_unfit_profile(photo, target) and "icc" in target.holds:
        yield "the colour profile (it is for grey pictures)"
    if photo.bits > target.max_bits:
        yield "tones finer than 8 bits per channel"


def has_unfit_profile(photo: Photo, target: Format) -> bool:
    """Say whether a photo's colour profile is one for grey, and the format will have no use for it."""
    is_held = target.grey_profiles == "held" or (target.grey_profiles == "of opaque pictures" and photo.alpha is None)
    return not is_held and photo.pixels.shape[2] == 1 and is_grey_profile(photo.metadata.icc_profile or b"")


def _lost_kinds(metadata: Metadata, target: Format) -> Iterator[str]:
    """Yield the kinds of metadata that are there and are not held."""
    main = None if metadata.exif is None or "exif" not in target.holds else first_directory(metadata.exif)
    is_in_exif = main is not None and main.find(X_RESOLUTION) is not None
    for kind, is_there, words in (
        ("icc", metadata.icc_profile is not None, "the colour profile"),
        ("exif", metadata.exif is not None, "EXIF"),
        ("xmp", metadata.xmp is not None, "XMP"),
        ("dpi", metadata.dpi is not None and not is_in_exif, "the resolution (dpi)"),
        (
            "photoshop",
            metadata.photoshop is not None,
            "Photoshop's resources (captions and keywords in IPTC form)",
        ),
        ("comments", metadata.comments, "comments"),
        ("segments", metadata.jpeg_segments, "application data of the JPEG file"),
        ("boxes", metadata.jp2_boxes, "further boxes of the JPEG 2000 file"),
    ):
        if is_there and kind not in target.holds:
            yield words
    if "xmp" in target.holds and metadata.xmp is not None and leads_to_credentials(metadata.xmp):
        yield CREDENTIALS_LOST
    if not target.holds_damaged_exif and is_damaged(metadata.exif):
        yield "EXIF (it is damaged)"
    if "chunks" not in target.holds:
        yield from _lost_chunks(metadata)
    if "colours" not in target.holds:
        yield from lost_colours(metadata)
    if "trailer" not in target.holds or metadata.jpeg_trailer is None:
        beside = () if metadata.xmp is None else announced(metadata.xmp)
        behind = () if metadata.jpeg_trailer is None else ("what lies behind the picture in the JPEG file",)
        yield from beside or behind


def is_damaged(exif: bytes | None) -> bool:
    """Say whether an EXIF block cannot be taken apart."""
    return exif is not None and first_directory(exif) is None


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
