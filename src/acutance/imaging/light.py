"""From gamma space to light and back: the curve of sRGB, and the tone curve of a plain camera. NumPy.

Light adds up where a shutter is open or a lens is out of focus; values of a file do not, since its curve bends them.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Values = TypeVar("Values", npt.NDArray[np.float32], npt.NDArray[np.float64])
"""Of any shape."""


def to_linear(values: Values) -> Values:
    """Return the light of values in sRGB's gamma space: 0 … 1 both; the straight part goes on below 0."""
    curved = ((np.maximum(values, 0.0) + 0.055) / 1.055) ** 2.4
    return np.asarray(np.where(values <= 0.04045, values / 12.92, curved))


def to_gamma(light: Values) -> Values:
    """Return the values of sRGB's gamma space for light: the inverse of `to_linear`."""
    curved = 1.055 * np.maximum(light, 0.0) ** (1 / 2.4) - 0.055
    return np.asarray(np.where(light <= 0.0031308, 12.92 * light, curved))


def with_tone_curve(values: Values) -> Values:
    """Return values in 0 … 1 with more contrast: 3v² − 2v³ (Brooks et al. 2019); what lies outside is clipped."""
    inside = np.clip(values, 0.0, 1.0)
    return np.asarray(inside**2 * (3.0 - 2.0 * inside))


def without_tone_curve(values: Values) -> Values:
    """Return what `with_tone_curve` gives these values, 0 … 1, for: its exact inverse."""
    return np.asarray(0.5 - np.sin(np.arcsin(1.0 - 2.0 * np.clip(values, 0.0, 1.0)) / 3.0))
