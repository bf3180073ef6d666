"""Reading photos: a file is recognised by its content, its header is checked, and only then it is decoded."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from acutance.errors import ImageTooLarge, InputError, UnsupportedImage
from acutance.geometry import Size
from acutance.media.container import Container, animated, damaged, too_deep
from acutance.media.formats import HEAD_BYTES, READ_FORMATS, SourceFormat, describe_unread, sniff_format
from acutance.media.jpeg import inspect_jpeg
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import DECODER_ERRORS, arrays_of, quiet_pillow
from acutance.media.png import inspect_png
from acutance.media.tiff import inspect_tiff
from acutance.media.webp import inspect_webp

DEFAULT_MAX_PIXELS = 250_000_000
"""Largest picture that is decoded unless the caller allows more: 750 MB of RGB."""

# The plugins are opened themselves, not through Image.open: it warns or refuses by the global
# Image.MAX_IMAGE_PIXELS, which belongs to the user's program and is not for a library to change.
_PLUGINS: Mapping[SourceFormat, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}

_INSPECTORS: Mapping[SourceFormat, Callable[[BinaryIO, str], Container]] = {
    "JPEG": inspect_jpeg,
    "PNG": inspect_png,
    "WEBP": inspect_webp,
    "TIFF": inspect_tiff,
}


def read_photo(source: Path | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Read a photo of 8 bits per channel.

    Args:
        source: A file, or a file's content.
        max_pixels: Larger pictures are refused before anything is decoded.

    Returns:
        The photo: pixels in stored orientation, with all that `Metadata` keeps. Pixels of a TIFF are upright.

    Raises:
        InputError: When the file is missing, empty, a folder, or may not be read.
        UnsupportedImage: When it is not a picture, damaged or cut off, animated, or of more than 8 bits.
        ImageTooLarge: When it has more than `max_pixels`.
    """
    name = "the image" if isinstance(source, bytes) else str(source)
    with _opened(source, name) as file:
        format_ = _recognised(file, name)
        inspect = _INSPECTORS.get(format_)
        container = inspect(file, name) if inspect else None
        if container is not None:
            _check_size(container.size, max_pixels, name)
        pixels, alpha, metadata = _decoded(file, format_, name, max_pixels=max_pixels)
    return Photo(pixels=pixels, alpha=alpha, metadata=container.metadata if container else metadata)


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[BinaryIO]:
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


def _check_size(size: Size, max_pixels: int, name: str) -> None:
    if size.height < 1 or size.width < 1:
        raise damaged(name, f"it says that it has {size.width}×{size.height} px")
    if size.pixels > max_pixels:
        raise ImageTooLarge(
            f"{name} has {size.width}×{size.height} px = {size.pixels / 1e6:.1f} megapixels, the limit is "
            f"{max_pixels / 1e6:g}; raise max_pixels if you trust the file."
        )


def _decoded(
    file: BinaryIO, format_: SourceFormat, name: str, *, max_pixels: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None, Metadata]:
    """Decode the pixels with Pillow; the metadata are those of a format without an inspector."""
    file.seek(0)
    with quiet_pillow():
        try:
            image = _PLUGINS[format_](file)
            width, height = image.size
            _check_size(Size(height, width), max_pixels, name)
            metadata = _simple_metadata(image, format_, name)
            image.load()
        except Image.DecompressionBombError as error:
            raise ImageTooLarge(
                f"{name} has more pixels than Pillow allows for this format; set PIL.Image.MAX_IMAGE_PIXELS."
            ) from error
        except MemoryError as error:
            raise _too_large_for_memory(name) from error
        except DECODER_ERRORS as error:
            raise damaged(name, str(error) or type(error).__name__) from error
    try:
        pixels, alpha = arrays_of(image, name)
    except MemoryError as error:
        raise _too_large_for_memory(name) from error
    return pixels, alpha, metadata


def _too_large_for_memory(name: str) -> ImageTooLarge:
    return ImageTooLarge(
        f"{name} needs more memory than is free; close other programs or use a smaller picture."
    )


def _simple_metadata(image: ImageFile.ImageFile, format_: SourceFormat, name: str) -> Metadata:
    """Return what a BMP, GIF or PPM file holds beside its pixels, and refuse animations and 16 bits."""
    if getattr(image, "is_animated", False):
        raise animated(name)
    if format_ == "PPM" and _is_deep_ppm(image):
        raise too_deep(name, 16)
    comment, dpi = image.info.get("comment"), image.info.get("dpi")
    return Metadata(
        source_format=format_,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        comments=(comment,) if isinstance(comment, bytes) else (),
    )


def _is_deep_ppm(image: ImageFile.ImageFile) -> bool:
    """Say whether a PPM has more than 256 levels: of a coloured one, Pillow would quietly make 256."""
    arguments = image.tile[0].args
    levels = arguments[1] if isinstance(arguments, tuple) and len(arguments) == 2 else 255
    return image.mode == "I" or (isinstance(levels, int) and levels > 255)
