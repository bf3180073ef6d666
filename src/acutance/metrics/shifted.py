"""PSNR at the best shift: for results that are right but lie aside, as those of unknown motion may.

R. Köhler et al., "Recording and playback of camera shake", ECCV 2012, measure so. Whole pixels are searched at once, by
the FFT; from the best valleys among them the search goes down in halves and quarters, which misses hardly a best shift
(measured against all 1681 on blurred photos: by 0.02 dB at most).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from acutance.imaging.kernels import fast_length
from acutance.metrics.pair import Pixels, require_pair
from acutance.metrics.psnr import psnr

REACH_PX = 5
"""Largest shift on either axis; of a photo with a side below 11 px, as much as leaves half of it."""

FINENESS = (0.5, 0.25)
"""Steps in px in which the best whole shifts are refined."""

NUM_VALLEYS = 3
"""Whole shifts that are refined: at most so many, each better than its neighbours."""

Shift = tuple[float, float]
"""Down and right, in px."""

AROUND = tuple(product((-1, 0, 1), repeat=2))

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

    It is taken over the part of the reference that the moved photo still covers. Shifts by parts of a pixel are
    interpolated (Lanczos, beyond the border the mirror image) and clipped to 0 … 255, but not rounded; they blur noise
    a little, so a noisy photo may gain some tenths of a dB without lying aside.

    Args:
        restored: `h w 3` uint8 RGB.
        reference: The same size.

    Raises:
        InputError: When the two cannot be compared.
    """
    require_pair(restored, reference)
    # In float32: eight digits are enough for an error, and it halves the time.
    ours, truth = restored.astype(np.float32), reference.astype(np.float32)
    reach = [min(REACH_PX, (side - 1) // 2) for side in truth.shape[:2]]
    errors: dict[Shift, float] = {}
    for valley in _valleys(_errors_of_whole_shifts(ours, truth, reach)):
        place = valley
        for step in FINENESS:
            while True:
                around = [(place[0] + step * down, place[1] + step * right) for down, right in AROUND]
                around = [one for one in around if abs(one[0]) <= reach[0] and abs(one[1]) <= reach[1]]
                _measure(ours, truth, [one for one in around if one not in errors], errors)
                place, before = min(around, key=errors.__getitem__), place
                if place == before:
                    break
    best = min(errors, key=errors.__getitem__)
    unmoved = psnr(restored, reference)
    found = 10 * math.log10(255**2 / errors[best]) if errors[best] else math.inf
    return ShiftedPsnr(found, *best) if found > unmoved else ShiftedPsnr(unmoved, 0.0, 0.0)


def _valleys(errors: dict[Shift, float]) -> list[Shift]:
    """Return the shifts with a lower error than all whole shifts around them, the lowest first."""
    lowest = [
        (down, right)
        for (down, right), error in errors.items()
        if error <= min(errors.get((down + one, right + other), math.inf) for one, other in AROUND)
    ]
    return sorted(lowest, key=errors.__getitem__)[:NUM_VALLEYS]


def _errors_of_whole_shifts(ours: Planes, truth: Planes, reach: list[int]) -> dict[Shift, float]:
    """Return mean squared errors: Σ x² + Σ y² − 2 Σ x y over what is covered, the last for all shifts from one FFT."""
    height, width, channels = truth.shape
    shape = (fast_length(height + REACH_PX), fast_length(width + REACH_PX))
    spectrum: npt.NDArray[np.complex128] = np.zeros((shape[0], shape[1] // 2 + 1), np.complex128)
    for channel in range(channels):  # one at a time: memory, and the cache
        x, y = (np.fft.rfft2(one[:, :, channel].astype(np.float64), s=shape) for one in (ours, truth))
        spectrum += y * np.conj(x)
    products = np.fft.irfft2(spectrum, s=shape)  # [down, right]; negative shifts count from the end
    sums = [np.einsum("hwc,hwc->hw", one, one, dtype=np.float64) for one in (ours, truth)]
    ours_table, truth_table = (np.pad(one.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0))) for one in sums)
    errors: dict[Shift, float] = {}
    for down in range(-reach[0], reach[0] + 1):
        for right in range(-reach[1], reach[1] + 1):
            rows, columns = _covered(down, height), _covered(right, width)
            squares = _sum_within(truth_table, rows, columns)
            squares += _sum_within(ours_table, _less(rows, down), _less(columns, right))
            area = (rows.stop - rows.start) * (columns.stop - columns.start)
            errors[float(down), float(right)] = (squares - 2 * products[down, right]) / area
    return errors


def _measure(ours: Planes, truth: Planes, shifts: list[Shift], errors: dict[Shift, float]) -> None:
    """Add the errors of some shifts."""
    for down in {shift[0] for shift in shifts}:
        moved = _moved(ours, down, 0)
        errors |= {shift: _error(moved, truth, shift) for shift in shifts if shift[0] == down}


def _covered(shift: float, length: int) -> slice:
    """Return which places of the reference a photo covers that was moved towards the end."""
    return slice(math.ceil(max(shift, 0)), length - math.ceil(max(-shift, 0)))


def _less(places: slice, shift: int) -> slice:
    return slice(places.start - shift, places.stop - shift)


def _sum_within(table: npt.NDArray[np.float64], rows: slice, columns: slice) -> float:
    """Return the sum within a box from a table of the sums above and left of each corner."""
    top, bottom, left, right = rows.start, rows.stop, columns.start, columns.stop
    return float(table[bottom, right] - table[bottom, left] - table[top, right] + table[top, left])


def _error(moved_down: Planes, truth: Planes, shift: Shift) -> float:
    """Return the mean squared difference to the truth when the photo is moved right, too."""
    covered = tuple(_covered(*one) for one in zip(shift, truth.shape[:2], strict=True))
    difference = np.clip(_moved(moved_down, shift[1], 1)[covered], 0, 255)
    difference -= truth[covered]
    return float(np.square(difference, out=difference).mean(dtype=np.float64))


def _moved(planes: Planes, shift: float, axis: int) -> Planes:
    """Move planes along an axis towards its end."""
    if shift == 0:
        return planes
    length, margin = planes.shape[axis], REACH_PX + LOBES
    padding = [(margin, margin) if one == axis else (0, 0) for one in range(3)]
    wide = np.pad(planes, padding, mode="reflect")
    whole = math.floor(margin - shift)
    share = margin - shift - whole
    if share == 0:
        return _cut(wide, whole, length, axis)
    taps = np.arange(1 - LOBES, LOBES + 1)
    weights = np.sinc(taps - share) * np.sinc((taps - share) / LOBES)
    weights = (weights / weights.sum()).astype(np.float32)
    return np.asarray(sum(w * _cut(wide, whole + int(tap), length, axis) for tap, w in zip(taps, weights, strict=True)))


def _cut(wide: Planes, start: int, length: int, axis: int) -> Planes:
    return wide[start : start + length] if axis == 0 else wide[:, start : start + length]
