"""Resizing by Pillow's bicubic filter, which the protocol and its tables are made with.

Keys' cubic with a = −0.5, sample centres at half-integers; where it reduces, the filter is stretched (antialiased).
Weights beyond the border are left out and the rest scaled.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.geometry import Box, Size, with_halo
from acutance.imaging.convert import PixelType, to_batch
from acutance.imaging.pad import mirrored_part

BICUBIC_PX = 3
"""A bicubic filter that enlarges sees no further; no halo is narrower."""


def resize_bicubic(values: npt.NDArray[np.float64], size: Size) -> npt.NDArray[np.float64]:
    """Resize a picture without rounding or clipping it.

    Args:
        values: `h w c`, h and w at least 1, any range.
        size: Of the result, at least 1×1.

    Returns:
        Float64 `height width c`, computed in float32: overshoots are kept.
    """
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(values, 2, 0)]
    resized = [plane.resize((size.width, size.height), Image.Resampling.BICUBIC) for plane in planes]
    return np.stack([np.asarray(plane, np.float64) for plane in resized], axis=2)


def enlarge_bicubic(photo: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """Enlarge an 8-bit photo `h w 3`, rounded and clipped: what any image editor does."""
    height, width = photo.shape[:2]
    return np.array(Image.fromarray(photo).resize((width * factor, height * factor), Image.Resampling.BICUBIC))


def enlarged_part(pixels: npt.NDArray[PixelType], box: Box, scale: int, *, within: Box) -> npt.NDArray[np.float32]:
    """Return a part of a picture enlarged by a bicubic filter, `3 h w`; beyond the picture is its mirror image.

    What the filter sees of its surroundings is inside the halo, so tiles leave no seams. A scale of 1 changes nothing.
    """
    if scale == 1:
        return np.asarray(to_batch(pixels[box.slices])[0])
    seen = with_halo(box, within=within, halo_px=BICUBIC_PX).source
    picture = np.moveaxis(to_batch(mirrored_part(pixels, seen))[0], 0, 2).astype(np.float64)
    enlarged = resize_bicubic(picture, Size(seen.size.height * scale, seen.size.width * scale))
    rows, columns = box.shifted(seen.top, seen.left).scaled(scale).slices
    return np.ascontiguousarray(np.moveaxis(enlarged[rows, columns], 2, 0), np.float32)
