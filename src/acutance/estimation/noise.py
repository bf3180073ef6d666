"""Noise that hangs together: grain, and what noise reduction or an enlargement leaves of noise, told from white noise.

How much noise there is, the estimator tells. White noise is alone in each pixel; grain covers two or three. In the
flattest places of a picture there is hardly anything but noise, and what two neighbours there have in common tells the
two apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.estimation.verdict import LEAST_NOISE

LEAST_LEVELS: Final = 1.5
"""With less noise, its neighbours cannot be told from the photo's."""
_BLOCK_PX: Final = 12
_FLAT_SHARE: Final = 0.1
_LEAST_BLOCKS: Final = 8
_MIDTONES: Final = (0.05, 0.95)
CURVE: Final = (12.85, 0.395)
"""Slope and middle of the logistic curve from the neighbours' correlation to the probability; `benchmarks/looks.py
--fit` finds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatPlaces:
    """What the flattest places of a picture show."""

    levels: float
    """Standard deviation in levels of 255: of the noise, and of what little else there is."""
    correlation: float
    """Of neighbouring pixels, right and lower ones together, −1 … 1."""


def flat_places(planes: Iterable[npt.NDArray[np.float32]]) -> FlatPlaces | None:
    """Measure noise in the flattest blocks of some planes.

    A plane through each block is taken out first: a ramp is no noise.

    Args:
        planes: `h w` each, one channel, in [0, 1]: in brightness, the noise of three channels is less. Blocks with NaN
            do not count.

    Returns:
        None where there are fewer than eight blocks in the midtones.
    """
    blocks = np.concatenate([_blocks(plane) for plane in planes])
    means = blocks.mean(axis=(1, 2))
    blocks = blocks[(means > _MIDTONES[0]) & (means < _MIDTONES[1])]
    if len(blocks) < _LEAST_BLOCKS:
        return None
    left = _without_plane(blocks)
    power = (left**2).mean(axis=(1, 2))
    count = max(round(_FLAT_SHARE * len(left)), _LEAST_BLOCKS)
    left = left[np.argsort(power, kind="stable")[:count]]
    together = float((left**2).mean())
    if together <= 0:
        return FlatPlaces(levels=0.0, correlation=0.0)
    across, down = (float((left[:, :, 1:] * left[:, :, :-1]).mean()), float((left[:, 1:] * left[:, :-1]).mean()))
    return FlatPlaces(levels=255 * math.sqrt(together), correlation=(across + down) / 2 / together)


def correlation_chance(correlation: float) -> float:
    """Return the probability that noise hangs together, calibrated on drawn noise of 1.5 levels and more."""
    return 1 / (1 + math.exp(-CURVE[0] * (correlation - CURVE[1])))


def _blocks(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Cut a plane into whole blocks: `n h w`."""
    rows, columns = (side // _BLOCK_PX for side in plane.shape)
    cut = plane[: rows * _BLOCK_PX, : columns * _BLOCK_PX].reshape(rows, _BLOCK_PX, columns, _BLOCK_PX)
    return cut.transpose(0, 2, 1, 3).reshape(-1, _BLOCK_PX, _BLOCK_PX).astype(np.float64)


def _without_plane(blocks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Take the best plane out of each block."""
    axis = np.arange(_BLOCK_PX) - (_BLOCK_PX - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    basis = np.stack([np.ones_like(x) / _BLOCK_PX, y / np.linalg.norm(y), x / np.linalg.norm(x)]).reshape(3, -1)
    flat = blocks.reshape(len(blocks), -1)
    return np.asarray(flat - (flat @ basis.T) @ basis).reshape(blocks.shape)


_WHITE, _TEXTURE = 0.2, 0.55
"""Up to this correlation what flat places show is noise, from that one on it may be texture."""
_FLATTEST: Final = 1.07
"""The flattest of many blocks have a little less noise than all."""
WHITE_WITHIN, GRAIN_WITHIN = 0.2, 0.8
"""Nine of ten drawn noises of 1.5 levels and more lay so near to what is told, as a share of it."""


def noise_levels(told: float, flat: FlatPlaces | None) -> float:
    """Return the noise in levels of 255, from the estimator and from flat places together, calibrated on drawn noise.

    The estimator tells noise from texture, but now and then takes strong noise for texture; what flat places show is
    never less than the noise, but more where no place is flat. Where neighbours there have nothing in common it is
    noise, and more exact (6 % in the median, on drawn white noise, where the estimator has 18 %).

    Args:
        told: By the estimator.
        flat: What flat places show.
    """
    if flat is None:
        return told
    share = min(max((flat.correlation - _WHITE) / (_TEXTURE - _WHITE), 0.0), 1.0)
    seen = math.log(_FLATTEST * flat.levels + LEAST_NOISE)
    return max(math.exp(share * math.log(told + LEAST_NOISE) + (1 - share) * seen) - LEAST_NOISE, 0.0)
