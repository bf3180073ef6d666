"""How sharp a restored photo is, beside how right it is: the energy of its gradients."""

from __future__ import annotations

import math

import numpy as np

from acutance.metrics.pair import Pixels, require_pair, require_photo


def gradient_energy(pixels: Pixels) -> float:
    """Return the mean squared gradient: the sum of squared differences of neighbours, per RGB value.

    Differences are taken to the right and downwards, inside the photo, in the file's own gamma space.

    Args:
        pixels: `h w 3` uint8 RGB.

    Returns:
        In squared levels (of 255) per px²; 0 for a photo of one colour.

    Raises:
        InputError: When it is no photo.
    """
    require_photo(pixels)
    values = pixels.astype(np.int32)
    total = 0
    for axis in (0, 1):
        steps = np.diff(values, axis=axis)
        total += int(np.einsum("hwc,hwc->", steps, steps, dtype=np.int64))
    return total / values.size


def gradient_energy_ratio(restored: Pixels, reference: Pixels) -> float:
    """Return gradient energy, restored over reference: 1 is as sharp as the truth, above 1 over-sharpened.

    It says nothing of whether the gradients are the right ones: noise raises it too.

    Args:
        restored: `h w 3` uint8 RGB.
        reference: The same size.

    Returns:
        0 or more. Where the reference is of one colour: 1 when the restored photo is, too, else infinity.

    Raises:
        InputError: When the two cannot be compared.
    """
    require_pair(restored, reference)
    ours, truth = gradient_energy(restored), gradient_energy(reference)
    if truth == 0:
        return 1.0 if ours == 0 else math.inf
    return ours / truth
