"""The table of the formats, and what follows from it: recognition by content, names of files to write.

A new format is a module with a `Format`, and a row here (docs/how-to/formats.md). Nothing else lists them.
"""

from __future__ import annotations

import os
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
from acutance.media.jxl import JXL
from acutance.media.photo import ImageFormat
from acutance.media.png import PNG
from acutance.media.pnm import PPM
from acutance.media.raw import RAW
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

_READ_ONLY = (RAW, JXL)

FORMATS: Mapping[ImageFormat, Format] = {format_.name: format_ for format_ in _TABLE}
"""Formats that are read and written."""

READABLE: Mapping[ImageFormat, Format] = {format_.name: format_ for format_ in (*_READ_ONLY, *_TABLE)}
"""All that are read. Those that are read only come first: some begin like a TIFF."""

READ_FORMATS = " and ".join(", ".join(format_.label for format_ in (*_TABLE, *_READ_ONLY)).rsplit(", ", 1))
"""Their names, for a sentence."""

_SUFFIXES: Mapping[str, ImageFormat] = {suffix: format_.name for format_ in _TABLE for suffix in format_.suffixes}

PHOTO_SUFFIXES = frozenset(_SUFFIXES).union(*(format_.other_suffixes for format_ in READABLE.values()))
"""Suffixes by which a file in a folder counts as a photo. Some of these are not read yet: such a file is
reported with a clear sentence instead of being passed over in silence. Others are read but not written."""

HEAD_BYTES = 160
"""How much of a file's beginning `sniff_format` wants to see."""


def sniff_format(head: bytes) -> ImageFormat | None:
    """Return the format of a file from its first `HEAD_BYTES` bytes; None for one that is not read."""
    return next((format_.name for format_ in READABLE.values() if format_.sniff(head)), None)


def head_of(path: Path, size_bytes: int = HEAD_BYTES) -> bytes:
    """Return the beginning of a file; nothing of what cannot be read, or is no plain file."""
    if not os.path.isfile(path):
        return b""
    try:
        with path.open("rb") as file:
            return file.read(size_bytes)
    except OSError:
        return b""


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
    wanted = READABLE[source].written_as or source
    return suffix if _SUFFIXES.get(suffix.lower()) == wanted else FORMATS[wanted].suffixes[0]
