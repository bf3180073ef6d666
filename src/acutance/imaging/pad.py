"""Images continued beyond their border as their mirror image, so that a network accepts their size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box, ceil_to_multiple
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
    padded[:height, width:] = image[:, _mirrored(width, width, padded_width)]
    padded[height:] = padded[_mirrored(height, height, padded_height)]
    return padded


def mirrored_part(image: npt.NDArray[Scalar], box: Box) -> npt.NDArray[Scalar]:
    """Return a part of an image that is continued on all sides as its mirror image, as `reflect_to_multiple` does it.

    Args:
        image: `h w` or `h w c`, any dtype, at least 1×1.
        box: In the image's frame; it may begin before it, end behind it, or both.

    Returns:
        The part: a view where the box lies within the image, else a copy.
    """
    height, width = image.shape[:2]
    if box == box.within(Box(0, 0, height, width)):
        return image[box.slices]
    rows, columns = _mirrored(height, box.top, box.bottom), _mirrored(width, box.left, box.right)
    return image[rows[:, None], columns[None, :]]


def _mirrored(length: int, start: int, stop: int) -> npt.NDArray[np.intp]:
    """Return where positions `start … stop - 1` of a mirrored axis are found within `0 … length - 1`."""
    if length == 1:
        return np.zeros(stop - start, dtype=np.intp)
    period = 2 * (length - 1)
    phase = np.arange(start, stop, dtype=np.intp) % period
    return np.minimum(phase, period - phase)
