"""Dark pictures of more than 8 bits, lit up for a network and dimmed again: it is at home in full light.

In 8 bits nothing is won: a dark picture has few levels, and more light makes steps of them, which cost up to 1.3 dB at
half the light. So it is with what comes from 8 bits, in whatever type.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.imaging.convert import PixelType, to_float, to_type

_DARK: Final = 0.8
"""Brighter pictures stay as they are."""
_LIT: Final = 0.95
"""Where the brightest value comes to lie: what is sharpened goes beyond it."""
_FEW_LIGHTS: Final = 0.5
"""Where all but one pixel in two hundred have less than this share of the brightest value, those few are stars or
lamps: made sharp they become much brighter, and need the room."""
_SAMPLED_PX: Final = 128
_EVERY: Final = 8
"""Levels are counted on a sample of so many px a side, or of every eighth."""
_MOST: Final = 64.0
"""Steps of 16 bits are a quarter of those of 8 bits then."""


def lighting(pixels: npt.NDArray[PixelType]) -> float:
    """Return by what the values of a picture may be multiplied.

    That is 1 where it is bright or black, has 8 bits or no more levels than they have, or has few lights.

    Args:
        pixels: `h w c`; uint8, uint16, or float32 in [0, 1].
    """
    if pixels.dtype == np.uint8 or not pixels.size:
        return 1.0
    peak = float(to_float(pixels.max(keepdims=True)).max())
    if peak <= 0 or peak > _DARK:
        return 1.0
    every = min(max(min(pixels.shape[:2]) // _SAMPLED_PX, 1), _EVERY)
    sample = to_float(pixels[::every, ::every])
    if len(np.unique(sample)) <= 255 * peak + 1:
        return 1.0
    brightness = float(np.quantile(sample.max(axis=2), 0.995))
    return 1.0 if brightness < _FEW_LIGHTS * peak else min(_LIT / peak, _MOST)


def lit(pixels: npt.NDArray[PixelType], factor: float) -> npt.NDArray[PixelType]:
    """Return pixels times a factor, as a new array of the same type; what is beyond white becomes white."""
    return to_type(to_float(pixels) * np.float32(factor), pixels.dtype.type)
