"""What JPEG did to a picture: the quality it was saved with, and whether it had been saved before with a lower one.

The quality is read from the file's own tables. A picture that was quantised twice, first coarsely and then finely, has
values in its DCT coefficients that hardly occur, and others that occur too often: the multiples of the first step, as
the second one rounds them. What a picture that was saved once would have is told by the picture itself, moved by half a
block, where the first quantisation has left no trace (J. Lukáš and J. Fridrich, Estimation of primary quantization
matrix in double compressed JPEG images, 2003).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

_STANDARD: Final = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float64,
)
"""Table of the luminance at quality 50, ITU-T T.81, K.1."""
_BLOCK_PX: Final = 8
_MODES: Final = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1))
"""The coefficients that are looked at: rows and columns of the table; coarser ones are nearly all 0."""
_LARGEST: Final = 20
"""Multiples of the step that are counted."""
_LARGEST_STEP: Final = 32
_LEAST_BLOCKS: Final = 400
CURVE: Final = (19.29, 0.235)
"""Slope and middle of the logistic curve from how much better two steps explain the coefficients; `benchmarks/looks.py
--fit` finds them."""


def table_of(quality: int) -> npt.NDArray[np.float64]:
    """Return the luminance table of the usual encoders at a quality of 1 … 100: `8 8`."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return np.clip(np.floor((_STANDARD * scale + 50) / 100), 1, 255)


def quality_of(table: Sequence[int]) -> int:
    """Return the quality, 1 … 100, whose table is nearest to the one of a file, in the usual encoders' terms.

    Args:
        table: 64 steps of the luminance, row by row. Encoders with tables of their own get the quality that is as fine.
    """
    own = np.log(np.maximum(np.array(table, np.float64).reshape(8, 8), 1))
    return min(range(100, 0, -1), key=lambda quality: float(np.abs(own - np.log(table_of(quality))).sum()))


def doubling(planes: Iterable[npt.NDArray[np.float32]], table: Sequence[int]) -> float | None:
    """Measure how much better two quantisations explain the picture than one.

    Args:
        planes: `h w` each: parts of the luminance in levels of 255, each from a corner of the file's blocks on.
        table: 64 steps of the luminance, row by row.

    Returns:
        0: no better; 1: fully. None where there are fewer than 400 blocks that tell.
    """
    kept = [plane for plane in planes if min(plane.shape) >= 3 * _BLOCK_PX]
    if not kept:
        return None
    basis = _basis()
    seen = np.concatenate([_coefficients(plane, basis) for plane in kept])
    once = np.concatenate([_coefficients(plane[4:-4, 4:-4], basis) for plane in kept])
    steps = np.array(table, np.float64).reshape(8, 8)
    gains, weights = [], []
    for row, column in _MODES:
        step = steps[row, column]
        multiples = np.rint(seen[:, row, column] / step)
        told = np.abs(multiples) > 0
        if told.sum() < _LEAST_BLOCKS / 4:
            continue
        have = _histogram(multiples)
        alone = _distance(have, _histogram(np.rint(once[:, row, column] / step)))
        firsts = [first for first in range(2, _LARGEST_STEP + 1) if first > step and first % step]
        twice = [
            _distance(have, _histogram(np.rint(np.rint(once[:, row, column] / first) * first / step)))
            for first in firsts
        ]
        if not twice or alone <= 0:
            continue
        gains.append(max(1 - min(twice) / alone, 0.0))
        weights.append(alone)
    if len(seen) < _LEAST_BLOCKS or not gains:
        return None
    return float(np.average(gains, weights=weights))


def doubling_chance(measured: float) -> float:
    """Return the probability that a picture was saved before, more coarsely; calibrated on drawn qualities."""
    return 1 / (1 + math.exp(-CURVE[0] * (measured - CURVE[1])))


def _basis() -> npt.NDArray[np.float32]:
    """Return the cosines of the DCT: `8 8`, by frequency and place."""
    place, frequency = np.arange(8), np.arange(8)[:, None]
    cosines = np.cos((2 * place + 1) * frequency * math.pi / 16) / 2
    cosines[0] /= math.sqrt(2)
    return cosines.astype(np.float32)


def _coefficients(plane: npt.NDArray[np.float32], basis: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the DCT of all whole blocks, the few lowest frequencies: `n 3 3`."""
    rows, columns = (side // _BLOCK_PX for side in plane.shape)
    cut = plane[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    low = basis[:3]
    # Blocks that are cut off at black or white are not what was quantised.
    flat = cut.reshape(-1, 64)
    inside = (flat.min(axis=1) > 0) & (flat.max(axis=1) < 255)
    return np.asarray(low @ (cut[inside] - 128) @ low.T)


def _histogram(multiples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the shares of the absolute multiples 1 to 20 among themselves."""
    counts = np.bincount(np.minimum(np.abs(multiples), _LARGEST + 1).astype(np.int64), minlength=_LARGEST + 2)
    counts = counts[1 : _LARGEST + 1].astype(np.float64)
    return np.asarray(counts / max(float(counts.sum()), 1.0))


def _distance(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Return how far two distributions are apart, 0 … 2."""
    return float(np.abs(one - other).sum())
