"""Which windows of a picture are looked at: all of a small one, of a large one those with most texture in each part."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from acutance.estimation.blocks import BLOCK_PX
from acutance.estimation.verdict import STRIDE_PX, WINDOW_PX
from acutance.geometry import Box, Size

PARTS: Final = 3
"""A picture is looked at in so many parts down and across."""
PLACE_PX: Final = WINDOW_PX + 2 * STRIDE_PX
"""Side of a place: nine windows."""
_WHOLE_PX: Final = 512
"""Up to this side all of a picture is looked at: 12×12 windows, what nine places of a large one cost twice."""
_STEP_PX: Final = 4
"""Texture is measured on every fourth pixel of every fourth row."""
_GRID_PX: Final = 64
"""Places begin so far apart, or at the end of their part."""
_FLAT: Final = 0.15
"""Places with less than this share of the usual texture tell nothing of blur: sky, walls."""
_LEAST_PLACES: Final = 3
_MOST_PLACES: Final = 6
"""The three flattest of nine are left out: a 12-megapixel picture is looked at in 0.4 s so."""


def places_of(
    grey: npt.NDArray[Any], hidden: npt.NDArray[np.bool_] | None = None, *, start: tuple[int, int] = (0, 0)
) -> tuple[Box, ...]:
    """Choose the places of a picture that tell most of its blur.

    Args:
        grey: `h w`, numbers of any type and range; only every fourth pixel is read.
        hidden: `h w`: what counts as flat, since it is transparent; None where nothing is.
        start: Where one of JPEG's blocks begins, each 0 … 7 (`blocks.first_block`): places begin with a block.

    Returns:
        For a picture of up to 512 px a side the picture itself, from the first block on. Else the place with most
        texture in each of nine parts, in their order, without those that are flat beside the others: three to six.

    Determinism: the same for the same input.
    """
    size = Size(*grey.shape)
    start = start if min(size) > BLOCK_PX else (0, 0)
    if max(size) <= _WHOLE_PX:
        return (Box(*start, *size),)
    texture = _texture(grey, hidden)
    found = []
    for down in range(PARTS):
        for across in range(PARTS):
            rows = _begins(size.height, down, start[0])
            columns = _begins(size.width, across, start[1])
            boxes = [
                Box(top, left, top + PLACE_PX, left + PLACE_PX).within(Box(0, 0, *size))
                for top in rows
                for left in columns
            ]
            found.append(max(((_held(texture, box), box) for box in boxes), key=lambda one: one[0]))
    held_by = {box: held for held, box in found}
    order = sorted(held_by, key=lambda box: held_by[box], reverse=True)[:_MOST_PLACES]
    limit = _FLAT * float(np.median(list(held_by.values())))
    kept = {box for number, box in enumerate(order) if number < _LEAST_PLACES or held_by[box] >= limit}
    return tuple(box for box in held_by if box in kept)


def parts_of(rows: int, columns: int) -> tuple[tuple[slice, slice], ...]:
    """Divide windows into the parts of a picture that is looked at as a whole: slices of its rows and columns."""
    down, across = (_thirds(count) for count in (rows, columns))
    return tuple((one, other) for one in down for other in across)


def _thirds(count: int) -> list[slice]:
    edges = sorted({round(count * number / PARTS) for number in range(PARTS + 1)})
    return [slice(start, end) for start, end in pairwise(edges)]


def _begins(length: int, part: int, start: int) -> list[int]:
    """Return where places may begin in a part of a side: with a block, where there is room."""
    first, last = length * part // PARTS, max(length * (part + 1) // PARTS - PLACE_PX, 0)
    last = min(max(first, last), max(length - PLACE_PX, 0))
    first, last = (max(one - (one - start) % BLOCK_PX, start) for one in (min(first, last), last))
    return sorted({*range(first, last, _GRID_PX), last})


def _texture(grey: npt.NDArray[Any], hidden: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float64]:
    """Return sums of steps from the upper left corner, in a grid of `_STEP_PX`."""
    small = np.ascontiguousarray(grey[::_STEP_PX, ::_STEP_PX], dtype=np.float32)
    steps = np.abs(np.diff(small, axis=0))[:, :-1] + np.abs(np.diff(small, axis=1))[:-1]
    if hidden is not None:
        few = hidden[::_STEP_PX, ::_STEP_PX]
        steps[few[:-1, :-1] | few[1:, :-1] | few[:-1, 1:]] = 0
    # A few edges between black and white are not more to go by than a wall of bricks.
    if steps.size:  # a picture of four rows or columns has none
        steps = np.minimum(steps, 4 * float(steps.mean()) + 1e-6)
    return np.pad(steps.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))


def _held(texture: npt.NDArray[np.float64], box: Box) -> float:
    """Return the mean step in a box."""
    top, left, bottom, right = (
        min(side // _STEP_PX, last - 1) for side, last in zip(box, (*texture.shape, *texture.shape), strict=True)
    )
    area = max((bottom - top) * (right - left), 1)
    held = texture[bottom, right] - texture[top, right] - texture[bottom, left] + texture[top, left]
    return float(held / area)
