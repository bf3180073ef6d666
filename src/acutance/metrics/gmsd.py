"""Gradient magnitude similarity deviation, a full-reference index that follows edges.

W. Xue, L. Zhang, X. Mou, A. C. Bovik, "Gradient magnitude similarity deviation: a highly efficient perceptual
image quality index", IEEE Transactions on Image Processing 23 (2), 2014. The steps, constants and borders are
those of the authors' published program: luminance, 2×2 means at every second pixel, Prewitt gradients over
three, zeros beyond the border, T = 170.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.metrics.pair import LUMA, Pixels, require_pair

STABILISER = 170.0
"""T of the paper, for luminance in 0 … 255."""

MIN_SIDE_PX = 3
"""Below this nothing but border is left after halving."""

Plane = npt.NDArray[np.float64]


def gmsd(restored: Pixels, reference: Pixels) -> float:
    """Return the deviation of gradient similarity over the photo: 0 for equal photos, lower is better.

    GMS = (2 m_r m_d + T) / (m_r² + m_d² + T) with m the gradient magnitudes; the result is the standard
    deviation of GMS over all positions.

    Args:
        restored: `h w 3` uint8 RGB, at least 3 px on each side.
        reference: The same size.

    Raises:
        InputError: When the two cannot be compared or are too small.
    """
    require_pair(restored, reference, min_side_px=MIN_SIDE_PX)
    ours, truth = (_squared_gradient(_halved_luminance(pixels)) for pixels in (restored, reference))
    similarity = (2 * np.sqrt(ours * truth) + STABILISER) / (ours + truth + STABILISER)
    return float(similarity.std(ddof=1))


def _halved_luminance(pixels: Pixels) -> Plane:
    """Average the luminance over 2×2 px at every second pixel; beyond the border are zeros."""
    height, width, _ = pixels.shape
    # The program rounds luminance to whole levels, as rgb2gray of an 8-bit photo does.
    luminance = np.rint(pixels @ np.array(LUMA))
    even = np.pad(luminance, ((0, height % 2), (0, width % 2)))
    return np.asarray(even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3)))


def _squared_gradient(plane: Plane) -> Plane:
    """Return the squared magnitude of the Prewitt gradient over three, zeros beyond the border: `h w`."""
    wide = np.pad(plane, 1)
    columns = wide[:-2] + wide[1:-1] + wide[2:]  # h w+2: sums of three rows
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]  # h+2 w: sums of three columns
    across = (columns[:, 2:] - columns[:, :-2]) / 3
    down = (rows[2:] - rows[:-2]) / 3
    return np.asarray(across**2 + down**2)
