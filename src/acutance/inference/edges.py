"""What edges tell before anything else looks: one colour and smooth ramps have none, and bare steps are sharp."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

SMALLEST_STEP: Final = 2.5 / 255
"""Of the steps between neighbours a thousandth is larger, or there is nothing to tell blur by: ramps in 8 bits have
steps of one level, which the estimator takes for anything."""
_SMALLEST_UNEVENNESS: Final = 0.45
"""Of the steps less those of a ramp a thousandth is larger than this share of the steps, or there is nothing to tell
blur by either: 0 … 0.4 for ramps of more than 26 px, at whose ends a pixel may have half a step; 0.7 and more for
photos, blurred by up to σ = 6 px or 26 px of motion or not."""
_BEYOND_BLUR_PX: Final = (13, 11)
"""Half the longest motion that is told, and a little less."""
_SMALLEST_STEP_16: Final = 0.02
"""The same in more bits, as a share of the picture's range."""
_BARE_STEP: Final = 16 / 255
"""What is made of steps has steps of this height at least: those of a rounded ramp are alone, too."""
_BESIDE: Final = 0.1
"""A step is bare where those before and behind it have no more than this share of its height."""
_BARE: Final = 0.75
"""Share of all change, in rows and in columns, that is in bare steps where a picture is made of them. Codes of 2 to 12
px a module had 1, as JPEG of quality 75 0.83; photos up to 0.05, and codes that moved by 3 px 0.49."""
_BLOCK_PX: Final = 32
_SHOWS: Final = 1 / 255
"""Blocks with a mean step above this show something; of these so many must have so much of it in bare steps. So a
blurred photo with a sharp code in it is no code."""
_BLOCKS, _BARE_IN_BLOCK = 0.9, 0.5


def is_made_of_steps(greys: list[npt.NDArray[np.float32]]) -> bool:
    """Whether parts of a picture are flat but for steps within one pixel: codes, dithering, drawings of whole pixels.

    Nothing is sharper. The estimator, which knows photos, took a code whose modules are as large as JPEG's blocks for
    soft by σ = 4.4 px, 98 % sure.

    Args:
        greys: `h w` each, in [0, 1].
    """
    blocks = [_bare_and_all(grey, axis) for axis in (0, 1) for grey in greys]
    changes = [(bare, total) for bare, total in blocks if total.sum() > 0]
    if not changes or any(bare.sum() < _BARE * total.sum() for bare, total in changes):
        return False
    bare, total = (np.concatenate([one.ravel() for one in some]) for some in zip(*changes, strict=True))
    shows = total > _SHOWS * _BLOCK_PX**2
    return float((bare[shows] > _BARE_IN_BLOCK * total[shows]).mean()) >= _BLOCKS if shows.any() else False


def _bare_and_all(grey: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return how much changes along an axis in each block, in bare steps and at all; but for the first and last row."""
    steps = np.moveaxis(np.abs(np.diff(grey, axis=axis)), axis, 0)
    middle = steps[1:-1]
    if not middle.size:
        return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
    is_bare = (middle >= _BARE_STEP) & (np.maximum(steps[:-2], steps[2:]) <= _BESIDE * middle)
    bare, total = (_block_sums(one) for one in (np.where(is_bare, middle, np.float32(0)), middle))
    return bare, total


def _block_sums(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows, columns = (np.arange(0, side, _BLOCK_PX) for side in plane.shape)
    return np.asarray(np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns, axis=1))


def has_no_edges(greys: list[npt.NDArray[np.float32]], *, is_fine: bool) -> bool:
    """Whether parts of a picture are one colour or smooth ramps, which look alike, blurred and sharp.

    Args:
        greys: `h w` each, in [0, 1].
        is_fine: Whether they have more than 8 bits: then small steps tell, too.
    """
    steps = [(np.diff(grey, axis=axis), axis) for grey in greys for axis in (0, 1)]
    step = max((_largest(along) for along, _ in steps), default=0.0)
    span = max((float(grey.max()) for grey in greys), default=0) - min((float(grey.min()) for grey in greys), default=0)
    least = min(_SMALLEST_STEP_16 * span, SMALLEST_STEP) if is_fine else SMALLEST_STEP
    if step < least or step == 0:
        return True
    return max(_largest(_unevenness(along, axis)) for along, axis in steps) < _SMALLEST_UNEVENNESS * step


def _largest(values: npt.NDArray[np.float32]) -> float:
    """Return what a thousandth of some values is beyond, up or down."""
    return float(np.quantile(np.abs(values), 0.999)) if values.size else 0.0


def _unevenness(steps: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """Return by how much steps along an axis differ from those some px before and behind: from the more alike of both.

    Blur that can be undone is over after so many px, so every edge has steps unlike those on either side of it. Those
    of a ramp that is longer go on as they are on one side at least. Two distances, since a pattern may repeat itself.
    """
    steps = np.moveaxis(steps, axis, 0)
    if len(steps) <= 2 * max(_BEYOND_BLUR_PX):
        return steps
    middle = slice(max(_BEYOND_BLUR_PX), len(steps) - max(_BEYOND_BLUR_PX))

    def unlike(far: int) -> npt.NDArray[np.float32]:
        apart: npt.NDArray[np.float32] = np.abs(steps[middle] - steps[middle.start + far : middle.stop + far])
        return apart

    one, other = _BEYOND_BLUR_PX
    uneven: npt.NDArray[np.float32] = np.maximum(
        np.minimum(unlike(-one), unlike(one)), np.minimum(unlike(-other), unlike(other))
    )
    return uneven
