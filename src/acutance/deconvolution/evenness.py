"""Whether what a block went through was an even blur, as far as that can be told: what is not so is not corrected."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.even_blurs import blurs, rings
from acutance.deconvolution.residuals import JPEG_BLOCK_PX, Powers

_UNEXPLAINED: Final = (0.05, 0.12)
"""Share of what the network changed that the blur does not explain: all is corrected up to the first, nothing from the
second on. Even blur has .003 to .04 (.14 in a JPEG of quality 60), motion and seams of depth .16 and more. Of weak blur
the network changes so little that its own errors are as much."""

_RESIDUAL: Final = (0.01, 0.02)
_MIDDLE: Final = (0.12, 0.3)
"""Of weak blur it is the power of what was restored, at middle frequencies in cycles a pixel, of which the residual has
to be a small share: .002 to .006 where the blur is even, .02 to 1 where it is not."""

_WEAK_PX: Final = (0.38, 0.48)
"""σ, or half the radius. A sharp picture is told to have up to .35: there is nothing to correct."""

_LEAST_FREQUENCY: Final = 0.03
"""Cycles a pixel; below, the network changes nothing that could be explained."""

_COMPRESSED: Final = (1.9, 2.3)
"""How much larger differences are across the borders of JPEG's blocks than within them: 1.1 without, 1.4 at quality 92,
2.0 at 75, 2.6 at 60, where a network's errors follow those of the compression."""

_ENLARGED: Final = (0.08, 0.2)
"""How differences at even places differ from those at odd ones, as a logarithm: .03 at most, .07 in a JPEG, .2 and
more where a picture was enlarged twice, which is no blur."""


def faded(value: npt.NDArray[np.floating], limits: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Return 1 up to the first limit, 0 from the second on."""
    return np.asarray(np.clip((limits[1] - value) / (limits[1] - limits[0]), 0, 1), np.float32)


def evenness(powers: Powers, blur: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return how much of a correction is to be trusted in each block, 0 to 1, by how well the blur explains it."""
    by_change = faded(unexplained(powers, blur), _UNEXPLAINED)
    middle = rings().counts * ((rings().centres > _MIDDLE[0]) & (rings().centres < _MIDDLE[1]))
    restored = rings().over_directions(powers.restored)
    residual = (powers.residual(blur) * middle).sum(1) / (restored * middle).sum(1)
    by_residual = faded(residual, _RESIDUAL) * (1 - faded(blurs().widths_px[blur], _WEAK_PX))
    return np.asarray(np.maximum(by_change, by_residual))


def unexplained(powers: Powers, blur: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the share of what was changed that the blur does not explain."""
    counts = rings().counts * (rings().centres > _LEAST_FREQUENCY).astype(np.float32)
    changed = np.maximum(rings().over_directions(powers.seen - 2 * powers.common + powers.restored), 0)
    total = np.maximum((changed * counts).sum(1), np.float32(1e-9))
    return np.asarray((powers.residual(blur) * counts).sum(1) / total)


def compression(powers: Powers) -> npt.NDArray[np.float32]:
    """Return how much larger differences are where JPEG's blocks meet, of down and across the less."""
    most = powers.steps.max(axis=2)
    others = (powers.steps.sum(axis=2) - most) / (JPEG_BLOCK_PX - 1)
    return np.asarray((most / np.maximum(others, np.float32(1e-6))).min(axis=1))


def intactness(powers: Powers) -> npt.NDArray[np.float32]:
    """Return how much of a correction is to be trusted in each block of a file, 0 to 1, after what was done to it."""
    return faded(compression(powers), _COMPRESSED) * faded(_enlargement(powers), _ENLARGED)


def _enlargement(powers: Powers) -> npt.NDArray[np.float32]:
    """Return how differences at even places differ from those at odd ones, of down and across the less: a logarithm."""
    even, odd = (powers.steps[..., begin::2].sum(axis=2) + np.float32(1e-6) for begin in (0, 1))
    return np.asarray(np.abs(np.log(even / odd)).min(axis=1))
