"""What a camera does to the light of its sensor before it writes a JPEG: noise reduction, sharpening, a tone curve.

The photo that it is fed is taken for the camera's own result: its tone curve and gamma are undone first, so that
without blur and noise the photo comes out again, but for what noise reduction and sharpening do to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from acutance.imaging.kernels import with_unsharp_mask
from acutance.imaging.light import to_gamma, to_linear, with_tone_curve, without_tone_curve

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """A camera's settings."""

    likeness_sigma: float
    """Noise reduction averages 3×3 px weighed by 1 2 1 and by how like the middle they are: σ of the difference of
    colours, of the range [0, 1]."""
    sharpening_sigma_px: float
    """Radius of the unsharp mask."""
    sharpening_amount: float
    """Its amount."""


def sensor_light(values: Values) -> Values:
    """Return the light that a camera makes these values of: `h w 3` in gamma space, 0 … 1, to linear light."""
    return to_linear(without_tone_curve(values))


def developed(light: Values, processing: Processing) -> Values:
    """Return what a camera makes of linear light `h w 3`: values in gamma space, 0 … 1."""
    values = to_gamma(np.clip(light, 0.0, 1.0))
    values = _less_noisy(values, processing.likeness_sigma)
    values = with_unsharp_mask(values, sigma_px=processing.sharpening_sigma_px, amount=processing.sharpening_amount)
    return with_tone_curve(values)


def _less_noisy(values: Values, likeness_sigma: float) -> Values:
    """Average each pixel with those of its eight neighbours that are like it (a bilateral filter)."""
    height, width, _ = values.shape
    wide = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    total, weights = np.zeros_like(values), np.zeros((height, width, 1))
    for down, right in product((-1, 0, 1), repeat=2):
        neighbour = wide[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        difference = np.mean((neighbour - values) ** 2, axis=2, keepdims=True)
        weight = 0.5 ** (abs(down) + abs(right)) * np.exp(-difference / (2 * likeness_sigma**2))
        total += weight * neighbour
        weights += weight
    return np.asarray(total / weights)
