"""What a format is, as one value: how its files are recognised, read and written, and what they can hold.

Each format has a module, or a small package, with one such value; `formats` holds the table of them. What the functions
of all formats take, give and raise stands here, once; their own docstrings say what is theirs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NoReturn

from acutance.errors import OutputError
from acutance.media.animation import Animation
from acutance.media.atomic import Patch
from acutance.media.container import Container, Decoded
from acutance.media.photo import ImageFormat, Metadata, Photo
from acutance.media.strips import StripSource

Parts = Iterable[bytes | memoryview]
"""The content of a file, one part behind the other."""

Kind = Literal[
    "exif", "xmp", "icc", "dpi", "photoshop", "comments", "segments", "trailer", "chunks", "boxes", "colours"
]
"""Kinds of metadata: EXIF, XMP, colour profile, resolution, Photoshop's resources, comments, application data of a JPEG
file and what follows its picture, chunks of PNG, boxes of JPEG 2000, numbers of colours (ITU-T H.273)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strips:
    """How files of a format are read and written some rows after the other."""

    open: Callable[[BinaryIO, Container, str], StripSource | None]
    """Takes a file, its header and its name; None for a file that is not made for that. It raises as `inspect` does."""
    encode: Callable[[StripSource, Metadata], Iterable[bytes | Patch]]
    """Yields a file in parts, and corrections of them where something becomes known later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How animations of a format are read and written."""

    decode: Callable[[BinaryIO, Container, str], Iterator[Photo]]
    """Each picture as it is seen: whole, with what stays of those before it. It raises as `Format.decode` does."""
    encode: Callable[[Iterable[Photo], Animation], Parts]
    """Takes whole pictures of one size and kind, asks for them one by one, and yields a file in parts as they come."""
    per_second: int | None = None
    """Into how many parts a second is divided; None: durations are fractions."""
    holds_still: bool = False
    """Whether one more picture can be held, for programs that know no animations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """How files of several pages are read and written."""

    inspect: Callable[[BinaryIO, Container, str], Iterator[Container]]
    """Of each page, what is known of it: to be decoded like a file of its own. It raises as `Format.inspect` does."""
    encode: Callable[[Iterable[Photo]], Parts]
    """Asks for the pages one by one, and yields a file in parts as they come."""


def _refuse(photo: Photo) -> NoReturn:
    raise OutputError("files of this kind are read only; choose another.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of files that hold pictures."""

    name: ImageFormat
    """By which Python and the records know it: Pillow's name, where there is one."""
    label: str
    """What people call it."""
    query: str
    """What the server's `format` takes."""
    media_type: str
    suffixes: tuple[str, ...] = ()
    """Names of files to write end in one of these; the first is given to new files. None: it is read only."""
    written_as: ImageFormat | None = None
    """Of files that are read only: what becomes of them."""
    other_suffixes: tuple[str, ...] = ()
    """Others by which a file in a folder counts as a photo."""
    sniff: Callable[[bytes], bool]
    """Takes the beginning of a file: whether it is of this format."""

    inspect: Callable[[BinaryIO, str], Container]
    """Takes a file and its name, and reads its header and all that travels with the pixels.

    It raises `UnsupportedImage` for a file that is damaged, or of a kind that is not read; what `struct` and `exactly`
    raise at the end of the file is made such an error.
    """
    decode: Callable[[BinaryIO, Container, str], Decoded]
    """Takes a file of one picture, or of pages, with what `inspect` gave, and its name.

    It returns pixels, `h w c` with c = 1 or 3, and alpha, `h w`, or None: uint8, or uint16 (white at 65535) where
    `inspect` told of 16 bits. It raises `UnsupportedImage` for a damaged file; what a library raises becomes one.
    """
    encode: Callable[[Photo], Parts] = _refuse
    """Takes a photo as the format can hold it, and returns a file in parts."""
    extra: str | None = None
    """What of ours must be installed for it."""
    check_writable: Callable[[], None] = lambda: None
    """Raises an `OutputError` where something that encoding needs is not installed."""
    strips: Strips | None = None
    frames: Frames | None = None
    pages: Pages | None = None

    max_bits: Literal[8, 16] = 8
    """Per channel: 8, or more."""
    holds: frozenset[Kind] = frozenset()
    """Metadata that come back."""
    has_alpha: bool = True
    """Whether there can be transparency."""
    grey_profiles: Literal["held", "of opaque pictures", "not held"] = "held"
    """Where colour profiles are held: those for grey pictures, too? Not where greys are written as colours."""
    orientation: Literal["seen", "passed over", "not held"] = "seen"
    """Whether programs turn the picture as its EXIF block says; "not held": the block says nothing of that here."""
    holds_damaged_exif: bool = True
    """Whether an EXIF block that cannot be taken apart can be written."""
    also_lost: Callable[[Photo], Iterable[str]] = lambda photo: ()
    """What else of a photo does not fit, in words."""
    max_side_px: int = 2**31 - 1
    max_bytes: int | None = None
    """Of the pixels, where offsets within the files end there."""
    pixels: str
    """What comes back, for people: depths and kinds of pixels."""
    coding: str
    """How a result is coded, for people."""


def begins(*signatures: bytes) -> Callable[[bytes], bool]:
    """Return a test for files that begin with one of some bytes."""
    return lambda head: head.startswith(signatures)


def lost_colours(metadata: Metadata) -> Iterator[str]:
    """Yield what is lost where the colours are said by numbers, and these are not written."""
    numbers = metadata.colour_numbers
    if numbers is not None:
        yield f"what the colours are (primaries {numbers[0]}, transfer {numbers[1]} of ITU-T H.273)"
