"""Reading photos: a file is recognised by its content, its header is checked, and only then it is decoded.

Pillow decodes 8 bits per channel. Of 16 it would quietly make 8 in colour, so these have decoders of their own.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy.typing as npt

from acutance.errors import ImageTooLarge, InputError, UnsupportedImage
from acutance.geometry import Size, in_pixels
from acutance.media.avif import inspect_avif
from acutance.media.bmp import inspect_bmp
from acutance.media.cmyk import to_rgb
from acutance.media.container import Container, damaged, refused, too_deep
from acutance.media.formats import HEAD_BYTES, READ_FORMATS, SourceFormat, describe_unread, sniff_format
from acutance.media.gif import decode_gif, inspect_gif
from acutance.media.heif import decode_heif, inspect_heif
from acutance.media.jpeg import decode_unended, inspect_jpeg
from acutance.media.jpeg2000 import inspect_jpeg2000
from acutance.media.photo import Photo
from acutance.media.pil import arrays_of, decoding, open_plugin
from acutance.media.png import bare_png, correct_transparency, inspect_png
from acutance.media.png16 import decode_png16
from acutance.media.pnm import decode_pnm16, inspect_pnm
from acutance.media.tiff import inspect_tiff
from acutance.media.tiff16 import decode_tiff16
from acutance.media.webp import inspect_webp

MORE_PIXELS = "raise the limit of pixels (--max-pixels, max_pixels)"
"""What to do about a picture that is too large, for the command line and for Python: a part of sentences."""

DEFAULT_MAX_PIXELS = 250_000_000
"""Largest picture that is decoded unless the caller allows more: 750 MB of RGB."""

Decoded = tuple[npt.NDArray[Any], npt.NDArray[Any] | None]
"""Pixels and alpha, as in `Photo`."""

_INSPECTORS: Mapping[SourceFormat, Callable[[BinaryIO, str], Container]] = {
    "JPEG": inspect_jpeg,
    "PNG": inspect_png,
    "WEBP": inspect_webp,
    "TIFF": inspect_tiff,
    "AVIF": inspect_avif,
    "HEIF": inspect_heif,
    "JPEG2000": inspect_jpeg2000,
    "BMP": inspect_bmp,
    "GIF": inspect_gif,
    "PPM": inspect_pnm,
}

_OWN_DECODERS: Mapping[SourceFormat, Callable[[BinaryIO, str], Decoded]] = {
    "PNG": decode_png16,
    "TIFF": decode_tiff16,
    "PPM": decode_pnm16,
    "HEIF": decode_heif,
    "GIF": decode_gif,
    "JPEG": decode_unended,
}
"""Of more than 8 bits, and of what Pillow would spoil; HEIC in any case."""


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
        return only_photo(file, format_, container, name, max_pixels=max_pixels, max_bits=max_bits)


def name_of(source: Path | bytes) -> str:
    """Return what a source is called in an error."""
    return "the image" if isinstance(source, bytes) else str(source)


def inspected(file: BinaryIO, name: str, *, max_pixels: int) -> tuple[SourceFormat, Container]:
    """Recognise a file and read its header.

    Raises:
        UnsupportedImage: When it is no picture, or damaged.
        ImageTooLarge: When it has more than `max_pixels`.
    """
    format_ = _recognised(file, name)
    container = _INSPECTORS[format_](file, name)
    check_size(container.size, max_pixels, name)
    return format_, container


def only_photo(
    file: BinaryIO, format_: SourceFormat, container: Container, name: str, *, max_pixels: int, max_bits: int
) -> Photo:
    """Decode the pixels of a file of one picture; see `read_photo`."""
    if container.bits > max_bits:
        raise too_deep(name, container.bits)
    if container.bits > 8 or container.needs_own_decoder:
        with decoding(name):
            pixels, alpha = _OWN_DECODERS[format_](file, name)
    else:
        pixels, alpha = decoded(file, format_, name, max_pixels=max_pixels, cmyk_profile=container.cmyk_profile)
    return Photo(pixels=pixels, alpha=alpha, metadata=container.metadata)


@contextmanager
def opened(source: Path | bytes, name: str) -> Iterator[BinaryIO]:
    """Open a source; whatever the system says against that, or while reading, becomes an `InputError`."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        mode = source.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a file"
            raise InputError(f"{name} is {kind}; name a photo.")
        opened = source.open("rb")
    except FileNotFoundError:
        raise InputError(f"{name} does not exist; check the name.") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror or error}).") from error
    except ValueError as error:  # a NUL character in the name
        raise InputError(f"{name!r} is not the name of a file ({error}).") from error
    with opened as file:
        try:
            yield file
        except OSError as error:
            raise InputError(f"{name} cannot be read ({error.strerror or error}).") from error


def _recognised(file: BinaryIO, name: str) -> SourceFormat:
    head = file.read(HEAD_BYTES)
    if not head:
        raise UnsupportedImage(f"{name} is empty (0 bytes); get the file again.")
    format_ = sniff_format(head)
    if format_ is None:
        raise UnsupportedImage(f"{name} is {describe_unread(head)}; what is read is {READ_FORMATS}.")
    return format_


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


def decoded(
    file: BinaryIO,
    format_: SourceFormat,
    name: str,
    *,
    max_pixels: int,
    number: int = 0,
    cmyk_profile: bytes | None = None,
) -> Decoded:
    """Decode the pixels of 8 bits of a file, or of its page of that number, with Pillow; CMYK becomes RGB.

    Raises:
        UnsupportedImage: When the file is damaged.
        ImageTooLarge: When Pillow, or the memory, does not allow it.
    """
    with decoding(name):
        image = open_plugin(bare_png(file) if format_ == "PNG" else file, format_)
        if number:
            image.seek(number)
        # Once more: in a damaged file, Pillow may have found another size than we have.
        check_size(Size(image.height, image.width), max_pixels, name)
        if format_ == "PNG":
            correct_transparency(image)
        image.load()
        return arrays_of(image if cmyk_profile is None else to_rgb(image, cmyk_profile, name), name)
