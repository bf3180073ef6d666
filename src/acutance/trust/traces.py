"""Traces of what a file went through, as numbers of the whole picture: JPEG's blocks, noise in grey and in colour."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.known_kernel import noise_sigma

TRACES: Final = ("blocks", "white noise", "colour noise")
"""log₂, in levels of 255: how much larger steps are between JPEG's blocks than inside them; the standard deviation of
white noise in grey, and in the difference of red and blue, which grain has not."""

_BLOCK_PX: Final = 8
_LEAST_STEP: Final = 0.05
_LEAST_NOISE: Final = 0.25


def traces_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Measure the traces of a picture.

    Args:
        values: `h w 3` RGB or `h w 1` grey, in [0, 1]: the picture or a part of it.

    Returns:
        By `TRACES`.
    """
    grey = values.mean(axis=2)
    colour = values[..., 0] - values[..., 2] if values.shape[2] == 3 else np.zeros_like(grey)
    return np.array(
        [
            np.log2(255 * max(_between_blocks(grey), 0.0) + _LEAST_STEP),
            np.log2(255 * noise_sigma(grey) + _LEAST_NOISE),
            np.log2(255 * noise_sigma(colour) + _LEAST_NOISE),
        ],
        np.float32,
    )


def _between_blocks(grey: npt.NDArray[np.float32]) -> float:
    """Return by how much steps exceed the usual one at the likeliest place of the grid, the mean of both axes."""
    excesses = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis))
        if steps.shape[axis] < 3 * _BLOCK_PX:
            return 0.0
        means = steps.mean(axis=1 - axis, dtype=np.float64)
        inner = means[1:-1] - (means[:-2] + means[2:]) / 2
        phases = np.array([np.median(inner[phase::_BLOCK_PX]) for phase in range(_BLOCK_PX)])
        excesses.append(float(phases.max() - np.median(phases)))
    return sum(excesses) / 2
