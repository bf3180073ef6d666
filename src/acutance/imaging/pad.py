"""Padding of images at the bottom and the right, so that a network accepts their size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.geometry import ceil_to_multiple
from acutance.imaging.convert import Scalar


def reflect_to_multiple(image: npt.NDArray[Scalar], multiple: int) -> npt.NDArray[Scalar]:
    """Pad an image by mirroring until both sides are multiples of `multiple`.

    The mirror does not repeat the edge (`abc` → `abcba`, SciPy's `mode="mirror"`). An image too small to
    fill the padding with one reflection is reflected back and forth; one pixel is simply repeated.

    Args:
        image: `h w` or `h w c`, any dtype, at least 1×1.
        multiple: Positive.

    Returns:
        The image with rows added at the bottom and columns at the right, so that
        `padded[:height, :width]` is the image again. The image itself (not a copy) if nothing is missing.
    """
    height, width = image.shape[:2]
    padded_height, padded_width = ceil_to_multiple(height, multiple), ceil_to_multiple(width, multiple)
    if (padded_height, padded_width) == (height, width):
        return image
    padded = np.empty((padded_height, padded_width, *image.shape[2:]), dtype=image.dtype)
    padded[:height, :width] = image
    padded[:height, width:] = image[:, _mirrored(width, padded_width)]
    padded[height:] = padded[_mirrored(height, padded_height)]
    return padded


def _mirrored(length: int, padded: int) -> npt.NDArray[np.intp]:
    """Return where positions `length … padded - 1` of a mirrored axis are found within `0 … length - 1`."""
    if length == 1:
        return np.zeros(padded - 1, dtype=np.intp)
    period = 2 * (length - 1)
    phase = np.arange(length, padded, dtype=np.intp) % period
    return np.minimum(phase, period - phase)
