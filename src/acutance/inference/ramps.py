"""Smooth ramps of 8-bit pictures stay smooth: a network may move them by one level, not make stripes of their steps.

A sky, a wall out of focus or a drawn gradient has steps of one level in 8 bits, which rounding made. A network that
undoes blur takes them for faint edges, and steepens them to steps of six levels. Where a picture shows nothing but
rounding there is nothing to restore.

All is counted in whole numbers, so that a pixel is the same in every tile and strip.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box, with_halo
from acutance.imaging.convert import PixelType

_RADIUS_PX: Final = 6
_SIDE: Final = 2 * _RADIUS_PX + 1
_AREA: Final = _SIDE**2
_BORDER_PX: Final = 2 * _RADIUS_PX
"""Nearer to the picture's border counts what is seen so far from it."""

REACH_PX: Final = 2 * _BORDER_PX
"""So far around a pixel, at most, counts what is seen."""

_ROUNDING: Final = (0.2, 0.4)
"""Mean square, in levels, of what is left of a place without its mean over 13 px, by the channel that has most: .08 to
.19 of a rounded ramp. Up to the first limit a place is a ramp, from the second on it is not. What is as smooth beside a
blurred edge lacks a part of a level, of blur up to σ = 4 px."""

_MOST_LEVELS: Final = 1.0
"""By how much a ramp may change."""

_ROWS: Final = 128
"""At once: what is at work stays in the processor's cache, which makes it three times as fast."""

_CUT: Final = 4 * _AREA
"""Four levels, in 169ths: more is no ramp, however much it is. So all sums fit into 32 bits."""


def kept_on_ramps(
    pixels: npt.NDArray[PixelType], box: Box, restored: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return a restored part of a picture with its smooth ramps as they were, to one level.

    Args:
        pixels: RGB `h w 3`: the picture, or rows of it that hold `REACH_PX` around the part where the picture does. Of
            more than 8 bits nothing is kept: small steps may be all that there is.
        box: The part, in the frame of `pixels`.
        restored: The same part by a network, `3 h w` in [0, 1].

    Returns:
        `3 h w`; `restored` itself where nothing in it is a ramp.
    """
    around = with_halo(box, within=Box(0, 0, *pixels.shape[:2]), halo_px=REACH_PX).source
    if pixels.dtype != np.uint8 or min(around.size) <= 2 * _BORDER_PX:
        return restored
    seen = pixels[around.slices]
    tops = range(0, seen.shape[0] - 2 * _BORDER_PX, _ROWS)
    share = np.concatenate([_ramp_share(seen[top : top + _ROWS + 2 * _BORDER_PX]) for top in tops])
    if not share.any():
        return restored
    rows, columns = (
        np.clip(np.arange(begin, end) - from_ - _BORDER_PX, 0, count - 1)
        for begin, end, from_, count in (
            (box.top, box.bottom, around.top, share.shape[0]),
            (box.left, box.right, around.left, share.shape[1]),
        )
    )
    share = share[rows[:, np.newaxis], columns]
    shown = pixels[box.slices].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    change = restored - shown
    most = np.float32(_MOST_LEVELS / 255)
    change += share * (np.clip(change, -most, most) - change)
    change += shown
    return change


def _ramp_share(seen: npt.NDArray[PixelType]) -> npt.NDArray[np.float32]:
    """Return how surely pixels lie on a ramp, `h - 24 w - 24`: 1 where they do, 0 where there is something."""
    rest = np.zeros((seen.shape[0] - 2 * _RADIUS_PX, seen.shape[1] - 2 * _RADIUS_PX), np.int32)
    for channel in range(seen.shape[2]):
        plane = seen[..., channel].astype(np.int32)
        left = _AREA * plane[_RADIUS_PX:-_RADIUS_PX, _RADIUS_PX:-_RADIUS_PX] - _sums(plane)
        np.maximum(rest, np.minimum(np.abs(left), _CUT), out=rest)
    # By the channel that varies most, so that letters on a ground of the same brightness count.
    energy = _sums(np.square(rest)) * np.float32(1 / _AREA**3)
    low, high = _ROUNDING
    return np.asarray(np.clip((high - energy) / (high - low), 0, 1), np.float32)


def _sums(plane: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the sums over squares of `_SIDE` px, `h - 12 w - 12`; sums along the way may wrap, which undoes itself."""
    down = np.zeros((plane.shape[0] + 1, plane.shape[1]), np.int32)
    np.cumsum(plane, axis=0, dtype=np.int32, out=down[1:])
    rows = down[_SIDE:] - down[:-_SIDE]
    across = np.zeros((rows.shape[0], rows.shape[1] + 1), np.int32)
    np.cumsum(rows, axis=1, dtype=np.int32, out=across[:, 1:])
    return across[:, _SIDE:] - across[:, :-_SIDE]
