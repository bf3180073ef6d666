"""Reading files of one picture or several: recognised by content, the header checked, and only then decoded."""

from __future__ import annotations

import io
import stat
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from acutance.errors import ImageTooLarge, InputError, UnsupportedImage, first_line
from acutance.geometry import Size, in_pixels
from acutance.media.animation import Animation
from acutance.media.container import Container, OtherFormat, damaged, refused, too_deep
from acutance.media.format import Format
from acutance.media.formats import HEAD_BYTES, READ_FORMATS, READABLE, sniff_format
from acutance.media.photo import ImageFormat, Metadata, Photo
from acutance.media.pil import decoding
from acutance.media.strips import StripSource
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
    with open_pictures(source, max_pixels=max_pixels, max_bits=max_bits) as pictures:
        if pictures.count > 1:
            kind = f"a file of {pictures.count} pages" if pictures.animation is None else "an animation"
            raise refused(pictures.name, kind, "save the picture that you want as a file of its own")
        return next(pictures.photos())


def _inspected(file: BinaryIO, name: str, *, max_pixels: int) -> tuple[Format, Container]:
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
        try:
            container = READABLE[found].inspect(file, name)
        except OtherFormat as other:
            found = str(other)
            container = READABLE[found].inspect(file, name)
    except (EOFError, IndexError, struct.error) as error:
        raise damaged(name, "it ends too early") from error
    _check_size(container.size, max_pixels, name)
    return READABLE[found], container


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[BinaryIO]:
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


def _check_size(size: Size, max_pixels: int, name: str) -> None:
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureFile:
    """A file of one or several pictures, open for reading; made by `open_pictures`.

    A file of one photo is the common case of them: what sharpens files need not know which it has.
    """

    file: BinaryIO
    """The file itself, open within the block, for what is said of it as a whole."""
    name: str
    """What the file is called in an error."""
    _format: Format
    _container: Container
    _max_pixels: int
    _max_bits: int

    @property
    def format(self) -> ImageFormat:
        """What the file is, or what becomes of one that is read only."""
        return self._format.written_as or self._format.name

    @property
    def media_type(self) -> str:
        """What the file is, also of one that is read only."""
        return self._format.media_type

    @property
    def size(self) -> Size:
        """Of the first picture; of an animation, of all."""
        return self._container.size

    @property
    def row_bytes(self) -> int:
        """What a row of the first picture takes in memory, with transparency if there were some."""
        return self.size.width * 4 * (2 if self._container.bits > 8 else 1)

    @property
    def is_too_large_as_whole(self) -> bool:
        """Whether it has more pixels than are allowed for a picture that is decoded as a whole."""
        return self.size.pixels > self._max_pixels

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return self._container.num_pictures

    @property
    def animation(self) -> Animation | None:
        """When they are shown; None for pages, and for a single one."""
        return self._container.animation

    @property
    def metadata(self) -> Metadata:
        """Of the first picture; of an animation, of all."""
        return self._container.metadata

    def close(self) -> None:
        """Close the file before the block ends: Windows gives no new content to the name of an open one."""
        self.file.close()

    def strips(self) -> StripSource | None:
        """Return the only picture, to be read in strips within the block; None where the file is not made for that.

        Raises:
            UnsupportedImage: When it is damaged.
        """
        if self.count > 1 or self._container.cmyk_profile is not None or self._format.strips is None:
            return None
        source = self._format.strips.open(self.file, self._container, self.name)
        return None if source is None or source.bits > self._max_bits else source

    def photos(self) -> Generator[Photo, None, None]:
        """Decode the pictures one by one.

        Raises:
            UnsupportedImage: When one is damaged, or of more bits than are wanted.
            ImageTooLarge: When one has more pixels than are allowed.
        """
        frames, pages = self._format.frames, self._format.pages
        if self.animation is not None and frames is not None:
            self._check(self._container)
            for photo in frames.decode(self.file, self._container, self.name):
                yield replace(photo, metadata=self.metadata)
        elif self.count > 1 and pages is not None:
            yield from map(self._decoded, pages.inspect(self.file, self._container, self.name))
        else:
            yield self._decoded(self._container)

    def _decoded(self, container: Container) -> Photo:
        """Decode a file of one picture, or a page."""
        self._check(container)
        with decoding(self.name):
            pixels, alpha = self._format.decode(self.file, container, self.name)
        return Photo(pixels=pixels, alpha=alpha, metadata=container.metadata)

    def _check(self, container: Container) -> None:
        """Refuse pictures that are too large or too deep."""
        _check_size(container.size, self._max_pixels, self.name)
        if container.bits > self._max_bits:
            raise too_deep(self.name, container.bits)


@contextmanager
def open_pictures(
    source: Path | bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_bits: Literal[8, 16] = 8,
    max_streamed_pixels: int = 0,
) -> Iterator[PictureFile]:
    """Open a file of one or several pictures.

    Args:
        source: A file, or a file's content.
        max_pixels: Larger pictures are refused before they are decoded.
        max_bits: See `read_photo`.
        max_streamed_pixels: Up to this, a file is opened all the same if it can be read in strips; its `photos` cannot
            be had then.

    Yields:
        The file; its pictures can be decoded within the block.

    Raises:
        InputError: As `read_photo` does.
    """
    name = "the image" if isinstance(source, bytes) else str(source)
    with _opened(source, name) as file:
        format_, container = _inspected(file, name, max_pixels=max(max_pixels, max_streamed_pixels))
        pictures = PictureFile(
            file=file,
            name=name,
            _format=format_,
            _container=container,
            _max_pixels=max_pixels,
            _max_bits=max_bits,
        )
        if container.size.pixels > max_pixels and pictures.strips() is None:
            _check_size(container.size, max_pixels, name)
        yield pictures
