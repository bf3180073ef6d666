"""What of a picture and its result says how far the result may be off, for blocks of 2×2 px.

Errors are large where the result has texture and the blur is wide, where the network changed much, and where the
picture is noisy. All of it is seen in the two pictures; no network runs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.imaging.convert import PixelType, to_float
from acutance.inference.belief import grey_of

Maps = npt.NDArray[np.float32]
"""`n rows columns`: one number per block."""

BLOCK_PX: Final = 2
_SMALLEST: Final = 0.25
"""Added before the logarithm, in levels of 255: rounding to 8 bits."""
FEATURES: Final = (
    "step 1",
    "step 3",
    "step 9",
    "step 27",
    "change 1",
    "change 3",
    "change 9",
    "seen 3",
    "seen 9",
    "light",
)
"""log₂ of means over so many blocks on each side, in levels: of the steps of the result between neighbours, of what the
network changed, of the steps of the picture before, and of the result's brightness."""


def features_of(before: npt.NDArray[PixelType], after: npt.NDArray[PixelType]) -> Maps:
    """Measure a picture and its result.

    Args:
        before: `h w 3` or `h w 1`; uint8, uint16 or float32 in [0, 1].
        after: The result, of the same shape.

    Returns:
        By `FEATURES`, for ⌈h/2⌉ × ⌈w/2⌉ blocks.
    """
    seen, restored = to_float(before), to_float(after)
    change = np.abs(restored - seen).max(axis=2)
    grey = grey_of(restored)
    step_1, light = block_means(_steps(grey)), mean_of_three(block_means(grey), 1)
    change_1 = block_means(change)
    step_3, change_3, seen_3 = (
        mean_of_three(plane, 1) for plane in (step_1, change_1, block_means(_steps(grey_of(seen))))
    )
    step_9, change_9, seen_9 = (mean_of_three(plane, 3) for plane in (step_3, change_3, seen_3))
    step_27 = mean_of_three(step_9, 9)
    maps = np.stack([step_1, step_3, step_9, step_27, change_1, change_3, change_9, seen_3, seen_9, light])
    maps *= 255
    maps += np.float32(_SMALLEST)
    return np.log2(maps, out=maps)


def _steps(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the absolute differences to the right and to the lower neighbour, added."""
    steps = np.zeros(plane.shape, np.float32)
    steps[:, :-1] = np.abs(plane[:, 1:] - plane[:, :-1])
    steps[:-1] += np.abs(plane[1:] - plane[:-1])
    return steps


def block_means(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the means of blocks; the last row and column are repeated where one is missing."""
    height, width = plane.shape
    if height % BLOCK_PX or width % BLOCK_PX:
        plane = np.pad(plane, ((0, height % BLOCK_PX), (0, width % BLOCK_PX)), mode="edge")
    return np.asarray((plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4, dtype=np.float32)


def mean_of_three(plane: npt.NDArray[np.float32], distance: int) -> npt.NDArray[np.float32]:
    """Return the mean of 3×3 numbers that lie so far apart; beyond the border its last number goes on."""
    for axis in (0, 1):
        length = plane.shape[axis]
        place = np.arange(length)
        before = plane.take(np.maximum(place - distance, 0), axis)
        before += plane
        before += plane.take(np.minimum(place + distance, length - 1), axis)
        before *= np.float32(1 / 3)
        plane = before
    return plane
