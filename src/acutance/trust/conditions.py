"""What a picture suffered, place by place, in the few numbers that say how far a result may be off.

The estimator's answers (`estimation`) are condensed to the width of the blur, how sure of it they are, its kind and the
noise. Of a large picture a sample of windows is asked, so that the cost does not grow with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.estimation.blocks import BLOCK_PX, first_block
from acutance.estimation.classes import (
    CLASSES,
    FIRST_LINE,
    FIRST_PATH,
    FIRST_RADIUS,
    LINES_PX,
    PATH_LENGTHS_PX,
    RADII_PX,
    SIGMAS_PX,
)
from acutance.estimation.verdict import STRIDE_PX, WINDOW_PX, BlurField
from acutance.geometry import Box
from acutance.imaging.convert import PixelType, to_float
from acutance.imaging.pad import mirrored_part
from acutance.inference.belief import grey_of
from acutance.inference.looking import blur_field
from acutance.trust.traces import TRACES, traces_of

WHOLE_PX: Final = 256
"""Pictures whose sides are no longer are looked at window by window; of larger ones a sample is taken."""
SAMPLES: Final = (3, 5)
"""Windows on each side of the sample: at least, and at most."""
SAMPLES_PER_PX: Final = 26e-6
"""So many windows cost a sixth of what the default network costs."""
MIDDLE_PX: Final = 700
_SURENESS: Final = 2.0
"""Neighbouring windows share what the estimator gets wrong: all together count as so many."""

CONDITIONS: Final = ("width", "doubt", "defocus", "line", "path", "noise", *TRACES)
"""log₂ of the blur's standard deviation on one axis in px; the standard deviation of that; shares of the kinds, what is
left is Gaussian; log₂ of the noise in levels of 255, and a quarter; and what the file went through (`traces`), which is
one number for all of it."""


def _log_widths() -> npt.NDArray[np.float64]:
    """Return log₂ of each class's standard deviation on one axis, the mean of both axes."""
    lengths = np.concatenate([np.hypot(*LINES_PX.T), PATH_LENGTHS_PX])
    widths = np.concatenate([SIGMAS_PX, RADII_PX / 2, lengths / np.sqrt(24)])
    return np.asarray(np.log2(np.maximum(widths, SIGMAS_PX[0])))


_LOG_WIDTHS: Final = _log_widths()


def conditions_of(pixels: npt.NDArray[PixelType], *, threads: int | None = None) -> npt.NDArray[np.float32]:
    """Say what a picture suffered, on a coarse grid that covers it evenly.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey, gamma space, at least 1×1; uint8, uint16 or float32 in [0, 1].
        threads: None is one per core.

    Returns:
        `n rows columns`, by `CONDITIONS`.

    Determinism: that of `blur_field`.
    """
    grey = grey_of(to_float(pixels))
    start = first_block(pixels)
    is_large = max(grey.shape) > WHOLE_PX
    field = _sampled(grey, start, threads) if is_large else blur_field(grey, start=start, threads=threads)
    means = _smooth(field.log_shares) * _SURENESS
    shares = np.exp(means - means.max(axis=0))
    shares /= shares.sum(axis=0)
    width = np.tensordot(_LOG_WIDTHS, shares, 1)
    doubt = np.sqrt(np.maximum(np.tensordot(_LOG_WIDTHS**2, shares, 1) - width**2, 0))
    kinds = [shares[first:last].sum(axis=0) for first, last in _spans()]
    noise = np.log2(_smooth(field.noise_levels[None])[0] + 0.25)
    traces = [np.full(width.shape, trace) for trace in traces_of(to_float(middle_of(pixels)))]
    return np.stack([width, doubt, *kinds, noise, *traces]).astype(np.float32)


def _spans() -> tuple[tuple[int, int], ...]:
    return (FIRST_RADIUS, FIRST_LINE), (FIRST_LINE, FIRST_PATH), (FIRST_PATH, CLASSES)


def _sampled(grey: npt.NDArray[np.float32], start: tuple[int, int], threads: int | None) -> BlurField:
    """Look at some windows on each side, spread evenly."""
    height, width = grey.shape
    count = min(max(round((SAMPLES_PER_PX * height * width) ** 0.5), SAMPLES[0]), SAMPLES[1])
    shares, noises = [], []
    for top in _spread(height, count, start[0]):
        for left in _spread(width, count, start[1]):
            window = mirrored_part(grey, Box(top, left, top + WINDOW_PX, left + WINDOW_PX))
            field = blur_field(window, start=(0, 0), threads=threads)
            shares.append(field.log_shares[:, 0, 0])
            noises.append(field.noise_levels[0, 0])
    grid = (count, count)
    return BlurField(np.stack(shares, 1).reshape(CLASSES, *grid), np.array(noises).reshape(grid))


def _spread(side: int, count: int, start: int) -> list[int]:
    """Spread windows evenly over a side, each from the block on that begins at or before it."""
    places = np.linspace(0, max(side - WINDOW_PX, 0), count).round().astype(int)
    return [int(place) for place in np.maximum(places - (places - start) % BLOCK_PX, start)]


def _smooth(planes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Average each window with its neighbours, `c h w`: weights 1 2 1 on both axes."""
    for axis in (1, 2):
        length = planes.shape[axis]
        place = np.arange(length)
        before, after = (
            planes.take(np.maximum(place - 1, 0), axis),
            planes.take(np.minimum(place + 1, length - 1), axis),
        )
        planes = (before + 2 * planes + after) / 4
    return planes


def at_blocks(grid: npt.NDArray[np.float32], size: tuple[int, int], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Spread conditions over a picture's blocks, linearly between the middles of the windows.

    Args:
        grid: `n rows columns`, as `conditions_of` gives it.
        size: Of the picture, `h w`.
        shape: How many blocks there are, `rows columns`.

    Returns:
        `n rows columns` of blocks.
    """
    spread = grid
    for axis, (side, count) in enumerate(zip(size, shape, strict=True), start=1):
        windows = grid.shape[axis]
        is_sampled = max(size) > WHOLE_PX
        step = max(side - WINDOW_PX, 0) / max(windows - 1, 1) if is_sampled else STRIDE_PX
        middles = (np.arange(count) + 0.5) * side / count
        place = np.clip((middles - WINDOW_PX / 2) / max(step, 1), 0, windows - 1)
        low = np.minimum(place.astype(int), max(windows - 2, 0))
        high = np.minimum(low + 1, windows - 1)
        share = (place - low).astype(np.float32)
        share = share[:, None] if axis == 1 else share
        spread = spread.take(low, axis) * (1 - share) + spread.take(high, axis) * share
    return np.ascontiguousarray(spread, dtype=np.float32)


def middle_of(pixels: npt.NDArray[PixelType]) -> npt.NDArray[PixelType]:
    """Return the middle of a picture `h w c`, at most `MIDDLE_PX` a side: of it is said what is said in words."""
    top, left = (max(side - MIDDLE_PX, 0) // 2 // BLOCK_PX * BLOCK_PX for side in pixels.shape[:2])
    return pixels[top : top + MIDDLE_PX, left : left + MIDDLE_PX]
