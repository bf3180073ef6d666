"""Whether a picture was enlarged before: pixels that were computed from their neighbours repeat a pattern.

An enlarged picture's pixels lie now on the old ones and now between them, where they are means: so how much neighbours
differ goes up and down with the period of the enlargement, in rows and in columns alike (A. Gallagher, Detection of
linear and cubic interpolation in JPEG compressed images, 2005). Little else that happens to photos does that; JPEG's
blocks do, and a pattern of theirs counts only where it is stronger than what blocks leave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

_LEAST_PX: Final = 128
_LINES: Final = 128
"""Rows, and columns, that are looked at: more tell hardly more."""
_LOWEST: Final = 0.075
"""In periods per pixel; below, the scene has its own."""
_NEAR_BINS: Final = 16
"""What is usual is measured this far around a peak."""
_BLOCK_PX: Final = 8
_LARGEST: Final = 4.2
"""Factors above this are not believed."""
_EMPTY: Final = 0.2
"""Of two factors with one pattern the larger is believed where the band between their limits holds less than this
share of the energy below."""
CURVE: Final = (0.83, 5.348)
"""Slope and middle of the logistic curve from the height of the peak to the probability; `benchmarks/looks.py --fit`
finds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlargement:
    """The likeliest enlargement of a picture."""

    factor: float
    """How many times each side was made longer."""
    peak: float
    """How far its pattern stands out: times what is usual."""

    @property
    def chance(self) -> float:
        """Probability, 0 … 1, that the picture was enlarged at all; calibrated on drawn factors."""
        return 1 / (1 + math.exp(-CURVE[0] * (self.peak - CURVE[1])))


def enlargement(grey: npt.NDArray[Any]) -> Enlargement | None:
    """Look for an enlargement.

    Args:
        grey: `h w`, numbers of any type and range; some hundred rows and columns are read.

    Returns:
        The likeliest, however unlikely it is; None for pictures below 128 px a side.

    Determinism: the same for the same input.
    """
    side = min(grey.shape) // _BLOCK_PX * _BLOCK_PX
    if side < _LEAST_PX:
        return None
    lines = [_lines(plane)[:, :side] for plane in (grey, grey.T)]
    peaks = np.sqrt(_pattern(lines[0]) * _pattern(lines[1]))
    peaks[: math.ceil(_LOWEST * side)] = 0
    number = int(peaks.argmax())
    if number == 0:  # one colour
        return Enlargement(factor=1.0, peak=0.0)
    return Enlargement(factor=_factor(number / side, lines), peak=float(peaks[number]))


def _lines(plane: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return rows from all over a plane: `n w`."""
    return np.ascontiguousarray(plane[:: max(plane.shape[0] // _LINES, 1)], dtype=np.float32)


def _pattern(lines: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return how far each frequency of the differences' size stands out: times what is usual near it.

    Of first and second differences the clearer ones count: enlarged to twice the size, a picture's second differences
    are all alike.
    """
    first = np.diff(lines, axis=1)
    return np.maximum(_peaks(first, lines.shape[1]), _peaks(np.diff(first, axis=1), lines.shape[1]))


def _peaks(differences: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float64]:
    """Return how far each frequency stands out in the mean size of differences, of lines of a length."""
    steps = np.abs(differences)
    # A few strong edges are not to outweigh all else.
    steps = np.minimum(steps, 3 * steps.mean())
    mean = np.pad(steps.mean(axis=0, dtype=np.float64), (0, length - steps.shape[1]), mode="edge")
    spectrum = np.abs(np.fft.rfft((mean - mean.mean()) * np.hanning(len(mean))))
    padded = np.pad(spectrum, _NEAR_BINS, mode="reflect")
    usual = np.median(sliding_window_view(padded, 2 * _NEAR_BINS + 1), axis=1)
    blocks = [round(len(mean) * number / _BLOCK_PX) for number in range(1, _BLOCK_PX // 2 + 1)]
    # The pattern of JPEG's blocks is about as strong at each multiple of its frequency.
    for bin_ in blocks:
        others = [spectrum[max(other - 1, 0) : other + 2].max() for other in blocks if other != bin_]
        near = slice(max(bin_ - 2, 0), bin_ + 3)
        usual[near] = np.maximum(usual[near], max(others))
    return np.asarray(spectrum / np.maximum(usual, 1e-12 + 1e-6 * spectrum.max()))


def _factor(frequency: float, lines: list[npt.NDArray[np.float32]]) -> float:
    """Return the factor of a pattern's frequency: two have one, of which the spectrum rules one out."""
    large, small = 1 / frequency, 1 / (1 - frequency)
    if large - small < 0.1 or large > _LARGEST:
        return large if large <= _LARGEST else small
    inside = between = 0.0
    for rows in lines:
        window = np.hanning(rows.shape[1])
        power = (np.abs(np.fft.rfft((rows - rows.mean(axis=1, keepdims=True)) * window, axis=1)) ** 2).mean(axis=0)
        # Weighed as what an edge has: its energy falls with the square of the frequency.
        power = power * np.arange(len(power)) ** 2
        limits = [round(rows.shape[1] * 0.5 / factor) for factor in (large, small)]
        inside += float(power[: limits[0]].mean())
        between += float(power[limits[0] + (limits[1] - limits[0]) // 3 : limits[1]].mean())
    return large if between < _EMPTY * inside else small
