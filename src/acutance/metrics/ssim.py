"""Structural similarity, at one scale and at several.

With μ, σ², σ_xy the mean, variance and covariance of two photos x, y under a window, C₁ = (0.01 · 255)² and
C₂ = (0.03 · 255)²,

    SSIM = l · cs,   l = (2 μ_x μ_y + C₁) / (μ_x² + μ_y² + C₁),   cs = (2 σ_xy + C₂) / (σ_x² + σ_y² + C₂).

The window is an 11×11 Gaussian of σ = 1.5; variances are those of the population. The mean is taken over
the positions at which the window lies wholly inside the photo, then over the three channels. That is what
Wang et al. (2004) do and what scikit-image returns: nothing of the photo is cropped, every pixel is under
windows, but no window is centred within 5 px of the border, where it would need pixels that do not exist.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from acutance.metrics.pair import Pixels, require_pair

WINDOW_PX = 11
"""Side of the window, and of the smallest photo that SSIM can measure."""

WINDOW_SIGMA_PX = 1.5
"""Standard deviation of the window's weights."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003)."""

MS_SSIM_MIN_SIDE_PX = WINDOW_PX * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
"""Side of the smallest photo that MS-SSIM can measure: 176 px."""

_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2

Plane = npt.NDArray[np.float64]


def ssim(restored: Pixels, reference: Pixels) -> float:
    """Return the structural similarity, −1 … 1, 1 for equal photos.

    Equal to `skimage.metrics.structural_similarity(…, gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255, channel_axis=2)`.

    Args:
        restored: `h w 3` uint8 RGB, at least 11 px on each side.
        reference: The same size.

    Raises:
        InputError: When the two cannot be compared or are too small.
    """
    require_pair(restored, reference, min_side_px=WINDOW_PX)
    return float(np.mean([_similarity(x, y)[0] for x, y in _channels(restored, reference)]))


def ms_ssim(restored: Pixels, reference: Pixels) -> float:
    """Return the multi-scale structural similarity, 0 … 1, 1 for equal photos.

    Π cs_j^w_j over the scales but the coarsest, times SSIM^w at the coarsest, of each channel; then the mean
    of the three. From scale to scale the photo is averaged over 2×2 px; an odd last row or column is left
    out. A negative factor counts as 0, since its power would not be a real number.

    Args:
        restored: `h w 3` uint8 RGB, at least 176 px on each side.
        reference: The same size.

    Raises:
        InputError: When the two cannot be compared or are too small.
    """
    require_pair(restored, reference, min_side_px=MS_SSIM_MIN_SIDE_PX)
    return float(np.mean([_multi_scale(x, y) for x, y in _channels(restored, reference)]))


def _channels(restored: Pixels, reference: Pixels) -> list[tuple[Plane, Plane]]:
    return [(restored[:, :, c].astype(np.float64), reference[:, :, c].astype(np.float64)) for c in range(3)]


def _multi_scale(x: Plane, y: Plane) -> float:
    product = 1.0
    last = len(MS_SSIM_WEIGHTS) - 1
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        similarity, contrast = _similarity(x, y)
        product *= max(similarity if scale == last else contrast, 0.0) ** weight
        if scale < last:
            x, y = _halved(x), _halved(y)
    return product


def _similarity(x: Plane, y: Plane) -> tuple[float, float]:
    """Return the means of SSIM and of its contrast-and-structure factor cs over one channel."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    product_of_means = mean_x * mean_y
    squares_of_means = mean_x**2 + mean_y**2
    variances = _windowed(x**2 + y**2) - squares_of_means  # the sum of both: one filtering for two
    covariance = _windowed(x * y) - product_of_means
    contrast = (2 * covariance + _C2) / (variances + _C2)
    luminance = (2 * product_of_means + _C1) / (squares_of_means + _C1)
    return float((luminance * contrast).mean()), float(contrast.mean())


def _window() -> list[float]:
    weights = [math.exp(-0.5 * (k / WINDOW_SIGMA_PX) ** 2) for k in range(-(WINDOW_PX // 2), WINDOW_PX // 2 + 1)]
    return [weight / sum(weights) for weight in weights]


_WEIGHTS = _window()


def _windowed(plane: Plane) -> Plane:
    """Return the window's weighted mean at each position inside: `h w` → `h−10 w−10`."""
    radius = WINDOW_PX // 2
    height, width = plane.shape[0] - 2 * radius, plane.shape[1] - 2 * radius
    down = _weighted_sum([plane[k : k + height] for k in range(WINDOW_PX)])
    return _weighted_sum([down[:, k : k + width] for k in range(WINDOW_PX)])


def _weighted_sum(shifted: list[Plane]) -> Plane:
    """Sum the shifted planes with the window's weights; the two of a mirrored pair share a multiplication."""
    middle = WINDOW_PX // 2
    total = shifted[middle] * _WEIGHTS[middle]
    pair = np.empty_like(total)
    for k in range(middle):
        np.add(shifted[k], shifted[-1 - k], out=pair)
        pair *= _WEIGHTS[k]
        total += pair
    return total


def _halved(plane: Plane) -> Plane:
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    return np.asarray(plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3)))
