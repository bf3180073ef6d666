"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

from acutance.metrics.pair import Pixels, require_pair


def psnr(restored: Pixels, reference: Pixels) -> float:
    """Return the PSNR in dB over all RGB values: 10 log₁₀(255² / mean squared error). No border is cropped.

    Args:
        restored: `h w 3` uint8 RGB.
        reference: The same size.

    Returns:
        dB, higher is better; infinity for equal photos.

    Raises:
        InputError: When the two cannot be compared.
    """
    require_pair(restored, reference)
    difference = np.subtract(restored, reference, dtype=np.int32)
    squared = int(np.einsum("hwc,hwc->", difference, difference, dtype=np.int64))  # whole numbers: exact
    if squared == 0:
        return math.inf
    return 10 * math.log10(255**2 * reference.size / squared)
