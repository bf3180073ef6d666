"""Which windows of a picture are asked about its blur, where parts of it are transparent.

What lies under full transparency is no picture: often black, cut off at a hard edge. Asked about it, the estimator
calls a soft photo sharp as soon as its background has been erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.estimation.verdict import STRIDE_PX, WINDOW_PX, BlurField
from acutance.geometry import Box

Mask = npt.NDArray[np.bool_]

_HIDDEN: Final = 0.02
"""Windows with no larger hidden share are asked; where all have a larger one, those that have the least."""


def hidden_in(alpha: npt.NDArray[np.generic] | None) -> Mask | None:
    """Return what of a picture is fully transparent, `h w`; None where nothing or all of it is, which tells nothing."""
    if alpha is None or alpha.all():
        return None
    hidden: Mask = alpha == 0
    return None if hidden.all() else hidden


def shown_windows(hidden: Mask | None, boxes: Sequence[Box], fields: Sequence[BlurField]) -> list[Mask]:
    """Return for each place, by row and column, which of its windows are to be asked: at least one in all.

    Args:
        hidden: `h w` of the picture: what is fully transparent; None where nothing is.
        boxes: The places.
        fields: What the estimator said of their windows.
    """
    shapes = [field.noise_levels.shape for field in fields]
    if hidden is None:
        return [np.ones(shape, np.bool_) for shape in shapes]
    shares = [_hidden_shares(hidden[box.slices], *shape) for box, shape in zip(boxes, shapes, strict=True)]
    limit = max(_HIDDEN, min(float(one.min()) for one in shares))
    return [one <= limit for one in shares]


def asked(field: BlurField, windows: Mask) -> BlurField | None:
    """Return those windows of a place as one row; None where there is none."""
    if not windows.any():
        return None
    return BlurField(field.log_shares[:, windows][:, np.newaxis], field.noise_levels[windows][np.newaxis])


def _hidden_shares(hidden: Mask, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return how much of each window is hidden, 0 … 1: `rows columns`."""
    sums = np.pad(hidden.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    top, left = (np.arange(count) * STRIDE_PX for count in (rows, columns))
    bottom, right = (np.minimum(start + WINDOW_PX, side) for start, side in zip((top, left), hidden.shape, strict=True))
    inside = sums[bottom][:, right] - sums[bottom][:, left] - sums[top][:, right] + sums[top][:, left]
    return np.asarray(inside / np.outer(bottom - top, right - left))
