"""Files of several pictures: animations and pages, read and written one picture at a time.

A file of one photo is the common case of them: what sharpens files need not know which it has.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

from acutance.errors import OutputError
from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.container import Container, too_deep
from acutance.media.format import Format
from acutance.media.formats import FORMATS, format_named
from acutance.media.photo import ImageFormat, Metadata, Photo
from acutance.media.reading import DEFAULT_MAX_PIXELS, check_size, decoded_photo, inspected, name_of, opened
from acutance.media.strips import StripSource
from acutance.media.writing import encoded_parts, encoding, prepared


class PictureFile:
    """A file of one or several pictures, open for reading; made by `open_pictures`."""

    def __init__(
        self, file: BinaryIO, name: str, *, format_: Format, container: Container, max_pixels: int, max_bits: int
    ) -> None:
        self._file = file
        self._name = name
        self._format = format_
        self._container = container
        self._max_pixels = max_pixels
        self._max_bits = max_bits

    @property
    def name(self) -> str:
        """What the file is called in an error."""
        return self._name

    @property
    def format(self) -> ImageFormat:
        """What the file is, or what becomes of one that is read only."""
        return self._format.written_as or self._format.name

    @property
    def media_type(self) -> str:
        """What the file is, also of one that is read only."""
        return self._format.media_type

    @property
    def file(self) -> BinaryIO:
        """The file itself, open within the block, for what is said of it as a whole."""
        return self._file

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
        self._file.close()

    def strips(self) -> StripSource | None:
        """Return the only picture, to be read in strips within the block; None where the file is not made for that.

        Raises:
            UnsupportedImage: When it is damaged.
        """
        if self.count > 1 or self._container.cmyk_profile is not None or self._format.strips is None:
            return None
        source = self._format.strips.open(self._file, self._container, self._name)
        return None if source is None or source.bits > self._max_bits else source

    def photos(self) -> Generator[Photo, None, None]:
        """Decode the pictures one by one.

        Raises:
            UnsupportedImage: When one is damaged, or of more bits than are wanted.
            ImageTooLarge: When one has more pixels than are allowed.
        """
        if self.animation is not None:
            check_size(self.size, self._max_pixels, self._name)
            if self._container.bits > self._max_bits:
                raise too_deep(self._name, self._container.bits)
            frames = self._format.frames
            for photo in frames.decode(self._file, self._container, self._name) if frames else ():
                yield replace(photo, metadata=self.metadata)
        elif self.count > 1 and self._format.pages is not None:
            for page in self._format.pages.inspect(self._file, self._container, self._name):
                yield self._decoded(page)
        else:
            yield self._decoded(self._container)

    def _decoded(self, container: Container) -> Photo:
        return decoded_photo(
            self._file,
            self._format,
            container,
            self._name,
            max_pixels=self._max_pixels,
            max_bits=self._max_bits,
        )


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
    name = name_of(source)
    with opened(source, name) as file:
        format_, container = inspected(file, name, max_pixels=max(max_pixels, max_streamed_pixels))
        pictures = PictureFile(
            file, name, format_=format_, container=container, max_pixels=max_pixels, max_bits=max_bits
        )
        if container.size.pixels > max_pixels and pictures.strips() is None:
            check_size(container.size, max_pixels, name)
        yield pictures


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
            yield from encoded_parts(photo, format_)
        return
    target = FORMATS[format_]
    if animation is not None and animation.has_still and not (target.frames and target.frames.holds_still):
        photos = _without_first(photos)
        animation = replace(animation, has_still=False)
    ready = (prepared(photo, format_) for photo in photos)
    with encoding(format_):
        if animation is not None and target.frames is not None:
            yield from target.frames.encode(ready, animation)
        elif target.pages is not None:
            yield from target.pages.encode(ready)


def _without_first(photos: Iterable[Photo]) -> Iterator[Photo]:
    rest = iter(photos)
    next(rest, None)
    yield from rest
