"""Where a picture holds most texture: a kernel is found there, and a result judged."""

from __future__ import annotations

import math

import numpy as np

from acutance.deconvolution.planes import Plane
from acutance.geometry import Box, Size

CROP_PIXELS = 200_000
"""A kernel is estimated from at most so many pixels."""

SMALLEST_PX = 64
"""In pictures with a shorter side no shake is looked for, and no window has one if its picture has not."""

_WHITE = 0.98
_SAMPLED_PIXELS = 1_000_000
"""Of larger pictures so many pixels tell where texture is. All of 25 megapixels took 0.15 s each time."""


def textured_box(grey: Plane, pixels: int = CROP_PIXELS) -> Box:
    """Return the window of at most that many pixels that holds most gradients.

    It has the picture's own shape, but of very long pictures: no side is below `SMALLEST_PX`. Of a large picture every
    second or third row and column is enough to see where.
    """
    height, width = grey.shape
    scale = math.sqrt(pixels / (height * width))
    if scale >= 1:
        return Box(0, 0, height, width)
    size = Size(*(max(int(side * scale), min(side, SMALLEST_PX)) for side in (height, width)))
    size = Size(*(min(side, pixels // min(size)) for side in size))
    every = max(round(math.sqrt(grey.size / _SAMPLED_PIXELS)), 1)
    here, below, beside = grey[:-1:every, :-1:every], grey[1::every, :-1:every], grey[:-1:every, 1::every]
    energy = np.minimum(np.abs(below - here) + np.abs(beside - here), 0.2)
    energy[here > _WHITE] = 0  # what is clipped was not blurred by the kernel alone
    energy = np.pad(energy, (0, 1))  # the last row and column have no neighbours
    tops = np.linspace(0, height - size.height, 5).astype(int)
    lefts = np.linspace(0, width - size.width, 5).astype(int)
    # Sums between neighbouring borders of windows: sums up to every pixel take ten times as long.
    rows, columns = (np.union1d(low, low + own) for low, own in zip((tops, lefts), size, strict=True))
    sums = np.add.reduceat(np.add.reduceat(energy, columns[:-1] // every, axis=1), rows[:-1] // every, axis=0)

    def held(corner: tuple[int, int]) -> float:
        (top, bottom), (left, right) = (
            np.searchsorted(borders, (low, low + own))
            for borders, low, own in zip((rows, columns), corner, size, strict=True)
        )
        return float(sums[top:bottom, left:right].sum())

    top, left = max(((int(top), int(left)) for top in tops for left in lefts), key=held)
    return Box(top, left, top + size.height, left + size.width)
