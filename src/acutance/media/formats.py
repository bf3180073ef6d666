"""Formats that are read and written: recognised by content when reading, chosen by name when writing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from acutance.errors import WrongName

ImageFormat = Literal["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JPEG2000", "BMP", "GIF", "PPM"]
"""Formats that are read and written, by Pillow's names. PPM stands for PBM, PGM and PPM."""

SourceFormat = ImageFormat
"""What a file that is read can be."""

READ_FORMATS = "JPEG, PNG, WebP, TIFF, AVIF, HEIC, JPEG 2000, BMP, GIF, PBM, PGM and PPM"

FORMATS_16: frozenset[ImageFormat] = frozenset(("PNG", "TIFF", "HEIF", "PPM"))
"""Those that are read and written with more than 8 bits per channel: 16, but for HEIC, which has 10 or 12."""

_SUFFIXES: Mapping[str, ImageFormat] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".jp2": "JPEG2000",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
}
"""Suffixes that name a format to write; the first of each format is the one given to new files."""

PHOTO_SUFFIXES = frozenset(_SUFFIXES) | {
    ".dib",
    ".hif",
    ".j2k",
    ".j2c",
    ".jpc",
    ".jpf",
    ".jpx",
    ".jxl",
    ".pbm",
}
"""Suffixes by which a file in a folder counts as a photo. Some of these are not read yet: such a file is
reported with a clear sentence instead of being passed over in silence. Others are read but not written."""

_SIGNATURES: tuple[tuple[bytes, SourceFormat], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),  # a bare codestream
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    *((b"P%d" % kind + space, "PPM") for kind in range(1, 7) for space in (b" ", b"\n", b"\r", b"\t", b"#")),
)

_NOT_READ: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftyp", "a video or a picture of a rare kind"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL \r\n\x87\n", "a JPEG XL picture"),
    (0, b"P7", "a PAM picture"),
    (0, b"PF", "a picture of floating-point numbers"),
    (0, b"Pf", "a picture of floating-point numbers"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (0, b"IIU\0", "a camera's raw file"),
    (0, b"IIRO", "a camera's raw file"),
)
"""Offset, bytes there, and what such a file is."""

_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")

HEAD_BYTES = 64
"""How much of a file's beginning `sniff_format` wants to see."""


def sniff_format(head: bytes) -> SourceFormat | None:
    """Return the format of a file from its first `HEAD_BYTES` bytes; None for one that is not read."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and any(brand in _AVIF_BRANDS for brand in _brands(head)):
        return "AVIF"
    if head[4:8] == b"ftyp" and any(brand in _HEIF_BRANDS for brand in _brands(head)):
        return "HEIF"
    return next((name for signature, name in _SIGNATURES if head.startswith(signature)), None)


def _brands(head: bytes) -> list[bytes]:
    """Return what a file of the MP4 family says that it is: its own brand, and those that it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4))]


def describe_unread(head: bytes) -> str:
    """Return what a file is that `sniff_format` gave None for, for use in a sentence."""
    for offset, signature, name in _NOT_READ:
        if head[offset:].startswith(signature):
            return name
    return "not an image"


def format_of(path: Path) -> ImageFormat:
    """Return the format in which a file of that name is written.

    Raises:
        WrongName: When the suffix names none.
    """
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        allowed = ", ".join(_SUFFIXES)
        raise WrongName(f"{path}: the name must end in one of {allowed}, which says the format.") from None


def is_writable_suffix(suffix: str) -> bool:
    """Say whether a name that ends in `suffix` (with its dot, any case) can be written."""
    return suffix.lower() in _SUFFIXES


def suffix_for(source: SourceFormat, suffix: str) -> str:
    """Return the suffix of the result of a photo: its own, where that is true and can be written.

    Args:
        source: What the photo's content is.
        suffix: What the photo's name ends in. A PNG picture named `.jpg` gets `.png`, or it would silently
            become a lossy one.
    """
    if _SUFFIXES.get(suffix.lower()) == source:
        return suffix
    return next((known for known, name in _SUFFIXES.items() if name == source), ".png")
