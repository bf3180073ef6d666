"""Where the photo lies in a picture that has bars or a frame of one colour around it.

Such a border was put there after the photo had been blurred. Blur spread nothing across its edge, so whoever undoes the
blur there makes ripples of the step, on both sides. A border is told by that step: it comes within a pixel or two, and
an edge in a blurred photo rises more slowly.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box
from acutance.imaging.convert import to_float
from acutance.imaging.picture import Picture

LEAST_PX: Final = 24
"""No side of the photo is shorter: what is left would tell nothing."""
_EVEN: Final = 8 / 255
"""A border's lines are so near to its colour in the mean: JPEG leaves waves in it, and there may be a word."""
_WAVES_PX: Final = 8
"""So many lines behind that JPEG may have mixed with the border, by a little: of the block in which it ends."""
_STEP: Final = 16 / 255
"""Behind it half of the pixels along a side are farther from its colour than this."""
_BEHIND_PX, _FARTHER_PX = 1, 4
_LITTLE, _ABRUPT = 0.2, 0.75
"""From the first share on, of the height that it has four pixels farther on, a step begins; one pixel behind it has the
second. An edge that is blurred by σ = 1.6 px has 0.63 there, one that moved across it by 4 px 0.7."""
_THINNEST_PX: Final = 5
"""A border of fewer even lines is none: scans have thin ones, which were blurred with the photo where that was done by
hand, and what is left of one of them is even, too. Taken for a border, it cost 2.5 dB on the first photo of kodak24."""
_MIXED_PX: Final = 2
"""So many pixels from the step on may be mixed with the border."""
_ROUNDS: Final = 4
"""A mat in a frame, or bars beside bars of another colour: one is found within the other."""


def photo_in(picture: Picture) -> Box:
    """Return where the photo lies in a picture: all of it, but for bars and frames of one colour or of none.

    Args:
        picture: uint8, uint16, or float32 in [0, 1]; what is fully transparent has no colour.
    """
    box = Box(0, 0, *picture.pixels.shape[:2])
    for _ in range(_ROUNDS):
        part = picture.part(*box.slices)
        (top, bottom), (left, right) = (_borders(part, axis) for axis in (0, 1))
        inner = Box(box.top + top, box.left + left, box.bottom - bottom, box.right - right)
        if inner == box or min(inner.size) < LEAST_PX:
            break
        box = inner
    return box


def _borders(picture: Picture, axis: int) -> tuple[int, int]:
    """Return how many rows (axis 0) or columns (axis 1) at either end are a border, with what is mixed with it."""
    lines = picture.each(lambda array: np.moveaxis(array, axis, 0))
    return _border(lines), _border(lines.each(lambda array: array[::-1]))


def _border(lines: Picture) -> int:
    """Return how many of some lines, from the first on, are a border; 0 where there is no step behind them."""
    colour = np.median(_values(lines.part(slice(1))), axis=1)[0]
    even, length = 0, len(lines.pixels)
    while even < length and float(_distance(lines, even, colour).mean()) <= _EVEN:
        even += 1
    is_thin = even < _THINNEST_PX
    for count in range(even, 0 if is_thin else min(even + _WAVES_PX, length - _FARTHER_PX)):
        here, behind, farther = (_distance(lines, count + px, colour) for px in (0, _BEHIND_PX, _FARTHER_PX))
        height = float(farther.mean())
        if float(here.mean()) > _LITTLE * height:
            is_step = float(np.median(behind)) > _STEP and float(behind.mean()) >= _ABRUPT * height
            return count + _MIXED_PX if is_step else 0
    return 0


def _distance(lines: Picture, number: int, colour: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return how far each pixel of a line is from a colour, in the channel that differs most."""
    values = _values(lines.part(slice(number, number + 1)))[0]
    return np.asarray(np.abs(values - colour).max(axis=1), np.float32)


def _values(lines: Picture) -> npt.NDArray[np.float32]:
    """Return lines `n w c` as floats, with their opacity as a further channel; colours count as far as they show."""
    values = to_float(lines.pixels)
    if lines.alpha is None:
        return values
    opacity = to_float(lines.alpha)[..., np.newaxis]
    return np.concatenate([values * opacity, opacity], axis=2)
