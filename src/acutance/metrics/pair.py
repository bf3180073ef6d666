"""What all metrics compare: two photos of one size, as 8-bit RGB."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from acutance.errors import InputError

Pixels = npt.NDArray[np.uint8]
"""A photo: `h w 3` RGB, 0 … 255, in the file's own gamma space."""

ToReference = Callable[[Pixels], float | None]
"""Measures restored photos against one reference; None where the photos are too small for it."""

PerceptualMeasure = Callable[[Pixels], ToReference]
"""A measure by a network that learns of the reference once and is then asked for each result: `Lpips.against`."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of luminance: ITU-R BT.601, as MATLAB's rgb2gray."""


def require_photo(pixels: Pixels) -> None:
    """Refuse what is no photo of 8 bits.

    Raises:
        InputError: When it is no array, or of another type or shape.
    """
    if not isinstance(pixels, np.ndarray) or np.ma.is_masked(pixels):
        raise InputError(f"a picture of type {type(pixels).__name__}: metrics take uint8 photos, h w 3, as arrays.")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise InputError(f"array of shape {pixels.shape} and type {pixels.dtype}: metrics take uint8 photos, h w 3.")
    if not pixels.size:
        raise InputError(f"array of shape {pixels.shape}: holds no pixels.")


def require_pair(restored: Pixels, reference: Pixels, *, min_side_px: int = 1) -> None:
    """Refuse two photos that cannot be compared.

    Args:
        restored: `h w 3` uint8.
        reference: Of the same shape and type.
        min_side_px: What the metric needs of the shorter side.

    Raises:
        InputError: When shapes or types differ or are none of a photo's, or a side is too short.
    """
    require_photo(restored)
    require_photo(reference)
    if restored.shape != reference.shape:
        sizes = " and ".join(f"{width}×{height}" for height, width, _ in (restored.shape, reference.shape))
        raise InputError(f"photos of {sizes} px cannot be compared; their sizes must be equal.")
    if min(reference.shape[:2]) < min_side_px:
        height, width, _ = reference.shape
        raise InputError(f"photo of {width}×{height} px: this metric needs at least {min_side_px} px on each side.")
