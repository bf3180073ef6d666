"""The only place where pixels become numbers for a network, and numbers become pixels.

Photos are uint8 or uint16 `h w c`; networks take float32 `n c h w` in [0, 1], in the file's own gamma space. Nothing
here knows about colour spaces: 0…255 and [0, 1] are the same values in other units.

All functions are meant for tiles and strips: a float32 copy of a whole 100-megapixel photo is 1.2 GB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


Pixel = np.uint8 | np.uint16 | np.float32
"""What a pixel's value can be: 8 bit, 16 bit, or a number in [0, 1] already."""

PixelType = TypeVar("PixelType", bound=Pixel)

_WHITE: Mapping[type[np.generic], int] = {np.uint8: 255, np.uint16: 65535, np.float32: 1}
"""The value of white by type."""


def to_float(pixels: npt.NDArray[PixelType]) -> npt.NDArray[np.float32]:
    """Return pixels as float32 in [0, 1].

    Args:
        pixels: uint8, uint16 or float32 of any shape, usually `h w c`.

    Returns:
        float32 of the same shape: value / white, so that `to_type` gives the very same pixels back; a new array,
        contiguous in memory.
    """
    values = pixels.astype(np.float32, order="C")
    white = _WHITE[pixels.dtype.type]
    if white != 1:
        values /= np.float32(white)
    return values


def to_type(values: npt.NDArray[np.float32], pixel_type: type[PixelType]) -> npt.NDArray[PixelType]:
    """Return float values in [0, 1] as pixels of a type: clipped, and rounded half to even where it is whole.

    Args:
        values: float32 of any shape, usually `h w c`; finite (an engine checks that). What lies outside [0, 1] is
            clipped: a cast alone would wrap 256 to 0.
        pixel_type: `np.uint8`, `np.uint16` or `np.float32`.

    Returns:
        The pixels, of the same shape; a new array.
    """
    white = np.float32(_WHITE[pixel_type])
    levels = np.multiply(values, white, dtype=np.float32)
    if pixel_type is not np.float32:
        np.rint(levels, out=levels)
    np.clip(levels, 0, white, out=levels)
    return levels.astype(pixel_type, copy=False)


def to_uint8(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return float values in [0, 1] as 8-bit pixels: `to_type` for the usual case."""
    return to_type(values, np.uint8)


def to_8_bits(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Return 16-bit pixels, of any shape, as the nearest 8-bit ones; a new array."""
    # 65535 is 257 · 255, so this is v · 255 / 65535, rounded; 128 more must not wrap at white.
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_batch(image: npt.NDArray[PixelType]) -> npt.NDArray[np.float32]:
    """Return an `h w c` image as a batch of one for a network.

    Returns:
        float32 `1 c h w` in [0, 1], contiguous in memory as engines want it; a new array.
    """
    # The channels are moved apart while the values become floats: one pass, five times as fast as two.
    return to_float(image.transpose(2, 0, 1))[np.newaxis]


def write_planes(planes: npt.NDArray[np.float32], image: npt.NDArray[PixelType]) -> None:
    """Write the planes of a network's output into a part of an image, as pixels of the image's type.

    Args:
        planes: float32 `c h w`, about [0, 1]; see `to_type`.
        image: `h w c`, may be a view into a larger image.
    """
    levels = to_type(planes, image.dtype.type)
    for channel, plane in enumerate(levels):  # eight times as fast as one transposed copy
        image[..., channel] = plane
