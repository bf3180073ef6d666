"""The border with Pillow: its images become arrays and arrays its images.

Copies are made in strips. Pillow holds 4 bytes per pixel whatever the picture, and its own conversion to an
array needs the array twice: 100 megapixels would take 1 GB instead of 0.7.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, TiffImagePlugin, _imaging

from acutance.errors import ImageTooLarge, UnsupportedImage
from acutance.media.cmyk import to_rgb
from acutance.media.container import Container, Decoded, damaged, rare_or_damaged
from acutance.media.photo import Photo
from acutance.ranges import as_number

_DECODER_ERRORS = (
    OSError,
    SyntaxError,  # what Pillow's plugins raise for a bad header
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for damaged files, as fuzzing shows; nothing narrower covers it."""
_SAYING = (OSError, SyntaxError, EOFError)
"""Those with which it means the file. The others say where in the code it failed."""
_INTERNAL = ("decoder error", "broken data stream", "codec configuration", "unrecognized data", "could not create")
"""How words begin that say nothing of the file but that its pixels cannot be decoded."""

Plugin = Callable[[BinaryIO], ImageFile.ImageFile]
"""Pillow's way to open a format."""

_STRIP_PIXELS = 2**20
_TIFF_WEBP = 50001

# Mode → mode that is copied into the array. What is missing (16 bits, CMYK, …) is not read.
_COPIED_MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
}


def picture_of(photo: Photo) -> Image.Image:
    """Make a Pillow image of a photo's pixels and transparency alone."""
    pixels = photo.pixels[:, :, 0] if photo.pixels.shape[2] == 1 else photo.pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if photo.alpha is not None:
        # Put into Pillow's unused fourth byte: an array of RGBA would be another copy of everything.
        image.putalpha(Image.fromarray(np.ascontiguousarray(photo.alpha)))
    return image


def arrays_of(image: Image.Image, name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """Copy a loaded Pillow image into arrays.

    Args:
        image: Loaded; its palette and its transparent colour are resolved.
        name: What the image is called in an error.

    Returns:
        Pixels, uint8 `h w c` with c = 1 or 3, and alpha, uint8 `h w`, or None if there is none.

    Raises:
        UnsupportedImage: When the mode is none of 8 bits in grey or RGB.
    """
    mode = _copied_mode(image, name)
    width, height = image.size
    channels = 1 if mode in ("L", "LA") else 3
    pixels = np.empty((height, width, channels), dtype=np.uint8)
    alpha = np.empty((height, width), dtype=np.uint8) if mode.endswith("A") else None
    for place, values in strips_of(image, mode):
        pixels[place] = values[:, :, :channels]
        if alpha is not None:
            alpha[place] = values[:, :, channels]
    return pixels, alpha


def strips_of(image: Image.Image, mode: str) -> Iterator[tuple[slice, npt.NDArray[np.uint8]]]:
    """Yield a loaded image in strips: which rows, and their values in a mode of 8 bits, uint8 `rows w bands`."""
    width, height = image.size
    rows = max(_STRIP_PIXELS // width, 1)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = image.crop((0, top, width, bottom))
        values = np.asarray(strip if strip.mode == mode else strip.convert(mode))
        yield slice(top, bottom), values.reshape(bottom - top, width, -1)


def _copied_mode(image: Image.Image, name: str) -> str:
    is_transparent = image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info
    mode = "RGB" if image.mode == "P" else _COPIED_MODES.get(image.mode)
    if mode is None:
        raise UnsupportedImage(
            f"{name} has pixels of Pillow's kind {image.mode!r}, what is taken is 8-bit grey and RGB, and 16-bit grey; "
            "convert it first."
        )
    return mode + "A" if is_transparent else mode


def dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution that Pillow found, in px per inch, or None; a program may have put anything there."""
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple | list) or len(dpi) != 2:
        return None
    across, down = (as_number(one) for one in dpi)
    return (across, down) if 0 < min(across, down) <= max(across, down) < math.inf else None


def decode_with(plugin: Plugin) -> Callable[[BinaryIO, Container, str], Decoded]:
    """Return a decoder of 8 bits by a plugin of Pillow; see `decoded`."""
    return lambda file, container, name: decoded(open_plugin(file, plugin), container, name)


def decoded(image: ImageFile.ImageFile, container: Container, name: str) -> Decoded:
    """Decode an image that Pillow has opened; CMYK becomes RGB.

    Raises:
        UnsupportedImage: When the file is damaged.
    """
    if image.width * image.height > container.size.pixels:  # what was checked is what the header says
        raise damaged(name, "it says two sizes")
    image.load()
    if container.cmyk_profile is not None:
        return arrays_of(to_rgb(image, container.cmyk_profile, name), name)
    return arrays_of(image.convert("RGB") if image.mode == "YCbCr" else image, name)


def frames_with(plugin: Plugin) -> Callable[[BinaryIO, Container, str], Iterator[Photo]]:
    """Return a decoder of animations by a plugin of Pillow, which gives each picture as it is seen.

    It raises `UnsupportedImage` for a damaged file, and for one of other pictures than its header tells.
    """

    def decode(file: BinaryIO, container: Container, name: str) -> Iterator[Photo]:
        with decoding(name):
            image = open_plugin(file, plugin)
        if getattr(image, "n_frames", 1) != container.num_pictures:
            raise damaged(name, "its pictures cannot be told apart")
        for number in range(container.num_pictures):
            with decoding(name):
                image.seek(number)
                image.load()
                pixels, alpha = arrays_of(image, name)
            yield Photo(pixels=pixels, alpha=alpha)

    return decode


def open_plugin(file: BinaryIO, plugin: Plugin) -> ImageFile.ImageFile:
    """Open a file with Pillow's plugin for its format; its header is read, its pixels are not.

    Not with `Image.open`: that warns or refuses by the global `Image.MAX_IMAGE_PIXELS`, which belongs to the
    user's program and is not for a library to change. (For TIFF and WebP beyond twice that number, the plugins
    themselves refuse.)
    """
    file.seek(0)
    return plugin(file)


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises into an error that names the file, and keep its warnings away.

    Raises:
        UnsupportedImage: When the file is damaged.
        ImageTooLarge: When Pillow or the memory does not allow it.
    """
    with _quiet():
        try:
            yield
        except Image.DecompressionBombError as error:
            raise ImageTooLarge(
                f"{name} has more pixels than Pillow takes in this format; raise PIL.Image.MAX_IMAGE_PIXELS."
            ) from error
        except MemoryError as error:
            raise ImageTooLarge(f"{name} needs more memory than is free; close other programs.") from error
        except _DECODER_ERRORS as error:
            if _is_of_unknown_kind(error):
                kind = "a picture whose channels are of a rare kind or order"
                raise rare_or_damaged(name, kind, "save it as RGB or grey with another program first") from error
            raise damaged(name, _reason(error)) from error


def _is_of_unknown_kind(error: Exception) -> bool:
    """Say whether Pillow, by its words, does not know such pixels at all: nothing need be wrong with the file."""
    words = str(error)
    return any(part in words for part in ("unknown pixel mode", "unknown raw mode", "unrecognized raw mode"))


def _reason(error: Exception) -> str:
    """Return what an error says, if that says anything to a person: of the file, not of the inside of a library."""
    if isinstance(error, SyntaxError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # in whose words Pillow repeats whatever its plugins raise
    words = " ".join(str(error).split()).rstrip(".")
    if words.startswith("image file is truncated"):
        return "its pixels end too early"
    is_internal = not isinstance(error, _SAYING) or isinstance(error, struct.error) or words.startswith(_INTERNAL)
    return "its pixels cannot be decoded" if is_internal or not words else words


def can_unpack_tiff(compression: int) -> bool:
    """Say whether Pillow, with the libtiff inside it, unpacks a TIFF's compression of that number.

    Where Pillow is built in a way that hides the library, WebP counts as missing, as it is in Pillow's own packages.
    """
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        return False
    try:
        return bool(ctypes.CDLL(_imaging.__file__).TIFFIsCODECConfigured(ctypes.c_uint16(compression)))
    except (OSError, AttributeError):
        return compression != _TIFF_WEBP


def silence_libtiff() -> None:
    """Keep libtiff, which is inside Pillow, from writing to stderr what is wrong with a file.

    For a program, whose stderr is its own: the errors that reach it say the same. Where Pillow is built in a way that
    hides the library, nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            setter(None)


_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_filters = warnings.catch_warnings()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings from the user while a file is read.

    They concern damaged tags that are not read from Pillow anyway, and sizes for which there is a limit of
    our own. `warnings.catch_warnings` alone is not safe when several threads read: the one that leaves first
    would restore the filters under the feet of the others. So the first to enter sets the filter and the last
    to leave restores it. Other modules' warnings pass.
    """
    global _quiet_depth, _quiet_filters  # noqa: PLW0603 - the filters of a process are global
    if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14: safe by itself
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
        return
    with _quiet_lock:
        _quiet_depth += 1
        if _quiet_depth == 1:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _quiet_filters.__exit__(None, None, None)
