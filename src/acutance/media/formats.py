"""The table of the formats, and what follows from it: recognition by content, names of files to write.

A new format is a module with a `Format`, and a row here (docs/how-to/formats.md). Nothing else lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from acutance.errors import WrongName
from acutance.media.avif import AVIF
from acutance.media.bmp import BMP
from acutance.media.format import Format
from acutance.media.gif import GIF
from acutance.media.heif import HEIF
from acutance.media.jpeg import JPEG
from acutance.media.jpeg2000 import JPEG2000
from acutance.media.photo import ImageFormat
from acutance.media.png import PNG
from acutance.media.pnm import PPM
from acutance.media.tiff import TIFF
from acutance.media.webp import WEBP

_TABLE = (
    JPEG,
    PNG,
    WEBP,
    TIFF,
    AVIF,
    HEIF,
    JPEG2000,
    BMP,
    GIF,
    PPM,
)

FORMATS: Mapping[ImageFormat, Format] = {format_.name: format_ for format_ in _TABLE}
"""Formats that are read and written."""

READ_FORMATS = " and ".join(", ".join(format_.label for format_ in _TABLE).rsplit(", ", 1))
"""Their names, for a sentence."""

_SUFFIXES: Mapping[str, ImageFormat] = {suffix: format_.name for format_ in _TABLE for suffix in format_.suffixes}

PHOTO_SUFFIXES = frozenset(_SUFFIXES).union((".jxl",), *(format_.other_suffixes for format_ in _TABLE))
"""Suffixes by which a file in a folder counts as a photo. Some of these are not read yet: such a file is
reported with a clear sentence instead of being passed over in silence. Others are read but not written."""

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

HEAD_BYTES = 64
"""How much of a file's beginning `sniff_format` wants to see."""


def sniff_format(head: bytes) -> ImageFormat | None:
    """Return the format of a file from its first `HEAD_BYTES` bytes; None for one that is not read."""
    return next((format_.name for format_ in _TABLE if format_.sniff(head)), None)


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


def format_named(name: ImageFormat) -> Format:
    """Return the format of a name.

    Raises:
        WrongName: When there is none.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise WrongName(f"format {name!r}: there are {', '.join(FORMATS)}.") from None


def is_writable_suffix(suffix: str) -> bool:
    """Say whether a name that ends in `suffix` (with its dot, any case) can be written."""
    return suffix.lower() in _SUFFIXES


def suffix_for(source: ImageFormat, suffix: str) -> str:
    """Return the suffix of the result of a photo: its own, where that is true and can be written.

    Args:
        source: What the photo's content is.
        suffix: What the photo's name ends in. A PNG picture named `.jpg` gets `.png`, or it would silently
            become a lossy one.
    """
    return suffix if _SUFFIXES.get(suffix.lower()) == source else FORMATS[source].suffixes[0]
