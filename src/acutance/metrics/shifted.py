"""PSNR at the best shift: for results that are right but lie aside, as those of unknown motion may.

R. Köhler et al., "Recording and playback of camera shake", ECCV 2012, measure so. Whole pixels are searched at once, by
the FFT; then halves and quarters around the best of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.imaging.kernels import fast_length
from acutance.metrics.pair import Pixels, require_pair
from acutance.metrics.psnr import psnr

REACH_PX = 5
"""Largest shift on either axis."""

FINENESS = (0.5, 0.25)
"""Steps in px in which the best whole shift is refined."""

LOBES = 3
"""Of the windowed sinc (Lanczos) that moves a photo by parts of a pixel."""

Planes = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ShiftedPsnr:
    """The best shift, and how right the photo is there."""

    psnr_db: float
    """Infinite for equal photos; never below the PSNR without a shift."""
    down_px: float
    """By how much the restored photo was moved down, in quarters of a pixel."""
    right_px: float
    """By how much it was moved to the right."""


def psnr_at_best_shift(restored: Pixels, reference: Pixels) -> ShiftedPsnr:
    """Return the highest PSNR over shifts of the restored photo by up to ± 5 px on either axis, in quarter pixels.

    All of the reference counts: what a shift leaves uncovered is the restored photo's mirror image. Shifts by parts of
    a pixel are interpolated (Lanczos) and clipped to 0 … 255, but not rounded.

    Args:
        restored: `h w 3` uint8 RGB.
        reference: The same size.

    Raises:
        InputError: When the two cannot be compared.
    """
    require_pair(restored, reference)
    margin = REACH_PX + LOBES
    # In float32: eight digits are enough for an error, and it halves the time.
    wide = np.pad(restored.astype(np.float32), ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    truth = reference.astype(np.float32)
    best = _best_whole_shift(wide, truth, margin)
    errors = {best: _squared_error(_moved(wide, best[0], truth.shape[0], 0), truth, best[1])}
    for step in FINENESS:
        for down in (best[0] - step, best[0], best[0] + step):
            rights = [best[1] + step * way for way in (-1, 0, 1)]
            new = [right for right in rights if (down, right) not in errors and _is_within(down, right)]
            if new:
                moved = _moved(wide, down, truth.shape[0], 0)
                errors |= {(down, right): _squared_error(moved, truth, right) for right in new}
        best = min(errors, key=lambda shift: errors[shift])
    unmoved = psnr(restored, reference)
    found = 10 * math.log10(255**2 * truth.size / errors[best]) if errors[best] else math.inf
    return ShiftedPsnr(found, *best) if found > unmoved else ShiftedPsnr(unmoved, 0.0, 0.0)


def _best_whole_shift(wide: Planes, truth: Planes, margin: int) -> tuple[float, float]:
    """Return the whole shift of least squared error: Σ x² − 2 Σ x y is known for all from one correlation."""
    height, width, _ = truth.shape
    shape = (fast_length(wide.shape[0]), fast_length(wide.shape[1]))
    spectrum: npt.NDArray[np.complex128] = np.zeros((shape[0], shape[1] // 2 + 1), np.complex128)
    for channel in range(3):  # one at a time: memory, and the cache
        ours, theirs = (np.fft.rfft2(one[:, :, channel].astype(np.float64), s=shape) for one in (wide, truth))
        spectrum += ours * np.conj(theirs)
    products = np.fft.irfft2(spectrum, s=shape)
    squared = np.einsum("hwc,hwc->hw", wide, wide, dtype=np.float64)
    table = np.pad(squared.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    starts = np.arange(margin - REACH_PX, margin + REACH_PX + 1)  # where the window on `wide` begins
    low, high = table[starts], table[starts + height]
    squares = high[:, starts + width] - high[:, starts] - low[:, starts + width] + low[:, starts]
    errors = squares - 2 * products[np.ix_(starts, starts)]
    row, column = np.unravel_index(np.argmin(errors), errors.shape)
    return float(REACH_PX - row), float(REACH_PX - column)  # a window further down moves the photo up


def _is_within(down: float, right: float) -> bool:
    return max(abs(down), abs(right)) <= REACH_PX


def _squared_error(moved_down: Planes, truth: Planes, right: float) -> float:
    """Return the sum of squared differences to the truth when the photo is moved right, too."""
    difference = np.clip(_moved(moved_down, right, truth.shape[1], 1), 0, 255)
    difference -= truth
    return float(np.square(difference, out=difference).sum(dtype=np.float64))


def _moved(wide: Planes, shift: float, length: int, axis: int) -> Planes:
    """Move planes along an axis towards its end, and cut `length` out of its middle."""
    start = (wide.shape[axis] - length) / 2 - shift
    whole = math.floor(start)
    share = start - whole
    if share == 0:
        return _cut(wide, whole, length, axis)
    taps = np.arange(1 - LOBES, LOBES + 1)
    weights = np.sinc(taps - share) * np.sinc((taps - share) / LOBES)
    weights = (weights / weights.sum()).astype(np.float32)
    return np.asarray(sum(w * _cut(wide, whole + int(tap), length, axis) for tap, w in zip(taps, weights, strict=True)))


def _cut(wide: Planes, start: int, length: int, axis: int) -> Planes:
    return wide[start : start + length] if axis == 0 else wide[:, start : start + length]
