"""Reading photos: a file is recognised by its content, its header is checked, and only then it is decoded."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from acutance.errors import ImageTooLarge, InputError, UnsupportedImage, first_line
from acutance.geometry import Size, in_pixels
from acutance.media.container import Container, OtherFormat, damaged, refused, too_deep
from acutance.media.format import Format
from acutance.media.formats import HEAD_BYTES, READ_FORMATS, READABLE, sniff_format
from acutance.media.photo import Photo
from acutance.media.pil import decoding
from acutance.media.unread import describe_unread

MORE_PIXELS = "raise the limit of pixels (--max-pixels, max_pixels)"
"""What to do about a picture that is too large, for the command line and for Python: a part of sentences."""

DEFAULT_MAX_PIXELS = 250_000_000
"""Largest picture that is decoded unless the caller allows more: 750 MB of RGB."""


def read_photo(source: Path | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS, max_bits: Literal[8, 16] = 8) -> Photo:
    """Read a photo.

    Args:
        source: A file, or a file's content.
        max_pixels: Larger pictures are refused before anything is decoded.
        max_bits: How many bits per channel the caller can work with. With 16, the pixels are uint16 where the
            file has more than 8; with 8, such a file is refused, because reducing it would lose tones.

    Returns:
        The photo: pixels in stored orientation (those of a TIFF upright), with all that `Metadata` keeps.

    Raises:
        InputError: When the file is missing, a folder, or may not be read.
        UnsupportedImage: When it is empty, not a picture, damaged or cut off, of several pictures (`open_pictures` is
            for these), or of more than `max_bits`.
        ImageTooLarge: When it has more than `max_pixels`, or more than fit into memory.
    """
    name = name_of(source)
    with opened(source, name) as file:
        format_, container = inspected(file, name, max_pixels=max_pixels)
        if container.num_pictures > 1:
            kind = f"a file of {container.num_pictures} pages" if container.pages else "an animation"
            raise refused(name, kind, "save the picture that you want as a file of its own")
        return decoded_photo(file, format_, container, name, max_pixels=max_pixels, max_bits=max_bits)


def name_of(source: Path | bytes) -> str:
    """Return what a source is called in an error."""
    return "the image" if isinstance(source, bytes) else str(source)


def inspected(file: BinaryIO, name: str, *, max_pixels: int) -> tuple[Format, Container]:
    """Recognise a file and read its header.

    Raises:
        UnsupportedImage: When it is no picture, or damaged.
        ImageTooLarge: When it has more than `max_pixels`.
    """
    head = file.read(HEAD_BYTES)
    if not head:
        raise UnsupportedImage(f"{name} is empty (0 bytes); get the file again.")
    found = sniff_format(head)
    if found is None:
        raise UnsupportedImage(f"{name} is {describe_unread(head)}; what is read is {READ_FORMATS}.")
    try:
        container = READABLE[found].inspect(file, name)
    except OtherFormat as other:
        found = str(other)
        container = READABLE[found].inspect(file, name)
    check_size(container.size, max_pixels, name)
    return READABLE[found], container


def decoded_photo(
    file: BinaryIO, format_: Format, container: Container, name: str, *, max_pixels: int, max_bits: int
) -> Photo:
    """Decode the pixels of a file of one picture, or of a page; see `read_photo`."""
    check_size(container.size, max_pixels, name)
    if container.bits > max_bits:
        raise too_deep(name, container.bits)
    with decoding(name):
        pixels, alpha = format_.decode(file, container, name)
    return Photo(pixels=pixels, alpha=alpha, metadata=container.metadata)


@contextmanager
def opened(source: Path | bytes, name: str) -> Iterator[BinaryIO]:
    """Open a source; whatever the system says against that, or while reading, becomes an `InputError`."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    mode = mode_of(source, name)
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a file"
        raise InputError(f"{name} is {kind}; name a photo.")
    with _reaching(name), source.open("rb") as file:
        yield file


def mode_of(path: Path, name: str = "") -> int:
    """Return what the system tells of a file or folder: its kind and permissions, as `os.stat` has them.

    Unlike `Path.exists`, it says why where nothing can be told.

    Args:
        path: Of it.
        name: What it is called in an error; the path, where nothing is said.

    Raises:
        InputError: When it is not there, may not be looked at, or the name is none.
    """
    with _reaching(name or str(path)):
        try:
            return path.stat().st_mode
        except ValueError as error:  # a NUL character in the name
            raise InputError(f"{(name or str(path))!r} is not the name of a file ({first_line(error)}).") from error


@contextmanager
def _reaching(name: str) -> Iterator[None]:
    """Turn whatever the system says against a file into a sentence.

    Raises:
        InputError: With it.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{name} does not exist; check the name.") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror or error}).") from error


def check_size(size: Size, max_pixels: int, name: str) -> None:
    """Refuse a picture without pixels, or with more than are allowed.

    Raises:
        UnsupportedImage, ImageTooLarge: When it is so.
    """
    if size.height < 1 or size.width < 1:
        raise damaged(name, f"it says that it has {size.width}×{size.height} px")
    if size.pixels > max_pixels:
        raise ImageTooLarge(
            f"{name} has {size.width}×{size.height} px = {in_pixels(size.pixels)}, the limit is "
            f"{in_pixels(max_pixels)}; {MORE_PIXELS} if you trust the file."
        )
