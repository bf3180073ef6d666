"""Files of several pictures: animations and pages, read and written one picture at a time.

A file of one photo is the common case of them: what sharpens files need not know which it has.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

from acutance.errors import OutputError
from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.apng import decode_apng, encode_apng
from acutance.media.container import Container, too_deep
from acutance.media.formats import ImageFormat, SourceFormat
from acutance.media.gif import decode_gif_frames, encode_gif_frames
from acutance.media.heif import check_installed
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import decoding
from acutance.media.png16 import decode_png16
from acutance.media.reading import (
    DEFAULT_MAX_PIXELS,
    Decoded,
    check_size,
    decoded,
    inspected,
    name_of,
    only_photo,
    opened,
)
from acutance.media.streaming import open_strips
from acutance.media.strips import StripSource
from acutance.media.tiff import inspect_page
from acutance.media.tiff16 import decode_tiff16
from acutance.media.tiff_pages import chain_of, encode_tiff_pages
from acutance.media.webp import decode_webp_frames, encode_webp_frames
from acutance.media.writing import encoded_parts, encoding, prepared

_ANIMATED: Mapping[ImageFormat, Callable[[Iterable[Photo], Animation], Iterable[bytes]]] = {
    "GIF": encode_gif_frames,
    "PNG": encode_apng,
    "WEBP": encode_webp_frames,
}


class PictureFile:
    """A file of one or several pictures, open for reading; made by `open_pictures`."""

    def __init__(
        self, file: BinaryIO, name: str, *, format_: SourceFormat, container: Container, max_pixels: int, max_bits: int
    ) -> None:
        self._file = file
        self._name = name
        self._format: SourceFormat = format_
        self._container = container
        self._max_pixels = max_pixels
        self._max_bits = max_bits

    @property
    def name(self) -> str:
        """What the file is called in an error."""
        return self._name

    @property
    def format(self) -> SourceFormat:
        """What the file is."""
        return self._format

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
        source = open_strips(self._file, self._format, self._container, self._name)
        return None if source is None or source.bits > self._max_bits else source

    def photos(self) -> Generator[Photo, None, None]:
        """Decode the pictures one by one.

        Raises:
            UnsupportedImage: When one is damaged, or of more bits than are wanted.
            ImageTooLarge: When one has more pixels than are allowed.
        """
        check_size(self.size, self._max_pixels, self._name)
        if self.count == 1:
            yield only_photo(
                self._file,
                self._format,
                self._container,
                self._name,
                max_pixels=self._max_pixels,
                max_bits=self._max_bits,
            )
        elif self.animation is None:
            yield from self._pages()
        else:
            if self._container.bits > self._max_bits:
                raise too_deep(self._name, self._container.bits)
            for photo in self._frames():
                yield replace(photo, metadata=self.metadata)

    def _pages(self) -> Iterator[Photo]:
        numbers = chain_of(self._file, self._container.pages)
        for offset in self._container.pages:
            page = inspect_page(self._file, offset, self._name)
            check_size(page.size, self._max_pixels, self._name)
            if page.bits > self._max_bits:
                raise too_deep(self._name, page.bits)
            if page.needs_own_decoder:
                with decoding(self._name):
                    pixels, alpha = decode_tiff16(self._file, self._name, offset)
            else:
                pixels, alpha = decoded(
                    self._file,
                    "TIFF",
                    self._name,
                    max_pixels=self._max_pixels,
                    number=numbers[offset],
                    cmyk_profile=page.cmyk_profile,
                )
            is_first = offset == self._container.pages[0]
            yield Photo(pixels=pixels, alpha=alpha, metadata=self.metadata if is_first else page.metadata)

    def _frames(self) -> Iterator[Photo]:
        if self._format == "GIF":
            return decode_gif_frames(self._file, self._name)
        if self._format == "WEBP":
            return decode_webp_frames(self._file, self._name)
        return decode_apng(self._file, self._name, self._decoded_png)

    def _decoded_png(self, file: BinaryIO, name: str) -> Decoded:
        if self._container.bits > 8:
            with decoding(name):
                return decode_png16(file, name)
        return decoded(file, "PNG", name, max_pixels=self._max_pixels)


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
    name = pictures.name
    if format_ == "HEIF":
        check_installed()
    if pictures.count == 1:
        return
    if pictures.animation is None and format_ != "TIFF":
        raise OutputError(f"{name} has {pictures.count} pages, and {format_} holds one; choose TIFF (.tif).")
    if pictures.animation is not None and format_ not in _ANIMATED:
        raise OutputError(
            f"{name} is an animation of {pictures.count} pictures, and {format_} holds one; choose GIF, WebP or PNG."
        )


def lost_in_timing(animation: Animation, format_: ImageFormat) -> tuple[str, ...]:
    """Return what of an animation's timing a format cannot hold, in words."""
    losses = []
    per_second = {"GIF": 100, "WEBP": 1000}.get(format_)
    if per_second and any((duration * per_second).denominator != 1 for duration in animation.durations_s):
        losses.append(f"durations finer than 1/{per_second} s")
    if animation.has_still and format_ != "PNG":
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
    if animation is not None and animation.has_still and format_ != "PNG":
        photos = _without_first(photos)
        animation = replace(animation, has_still=False)
    ready = (prepared(photo, format_) for photo in photos)
    with encoding(format_):
        yield from encode_tiff_pages(ready) if animation is None else _ANIMATED[format_](ready, animation)


def _without_first(photos: Iterable[Photo]) -> Iterator[Photo]:
    rest = iter(photos)
    next(rest, None)
    yield from rest
