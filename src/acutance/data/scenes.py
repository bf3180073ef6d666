"""A photo as two layers that move differently while the shutter is open, in linear light.

A random smooth mask cuts an object out of the photo; it moves along one path, what is behind it along another and rolls
besides. Both paths have their origin at half of the exposure, so that the sharp picture is the photo itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.data.blurs import HandMotion, Path, blur_psf, drawn_path
from acutance.geometry import Size
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, temporal_midpoint, trajectory_psf
from acutance.imaging.light import to_gamma, to_linear

Values = npt.NDArray[np.float64]

MASK_SHARE = 1 / 12
"""σ of the noise that the mask is cut from, of the photo's shorter side."""

EDGE_SIGMA_PX = 1.0
"""σ of the mask's soft edge."""

NUM_COPIES = 15
"""Copies that the rolling background is the mean of: odd, so that one lies at half of the exposure."""

POINTS_PER_COPY = 33
"""Points of its path that each copy is blurred along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionScene:
    """How far the layers move."""

    path: HandMotion
    """Of either layer; each draws its own."""
    roll_degrees: float
    """Most that the background rolls during the exposure, either way, about the middle of the photo."""


def moving_scene(values: Values, scene: MotionScene, random: np.random.Generator) -> Values:
    """Render the photo as it comes out when its two layers move.

    Args:
        values: `h w 3` in gamma space, 0 … 1.
        scene: How far the layers move.
        random: Draws the object's path, the background's, the roll, then the mask.

    Returns:
        `h w 3`, the same space.
    """
    object_path, background_path = (drawn_path(scene.path, random) for _ in range(2))
    roll = math.radians(scene.roll_degrees) * (2 * float(random.random()) - 1)
    light = to_linear(values)
    mask = random_mask(Size(*values.shape[:2]), random)
    psf = blur_psf(object_path)
    cover = convolve_mirror(mask, psf)
    background = _rolling(light, background_path.points, roll)
    return to_gamma(convolve_mirror(mask * light, psf) + (1 - cover) * background)


def random_mask(size: Size, random: np.random.Generator) -> Values:
    """Draw the object's place: `h w 1`, 0 … 1, about half of it 1, with a soft edge."""
    noise = random.standard_normal((*size, 1))
    smooth = convolve_mirror(noise, gaussian_psf(MASK_SHARE * min(size)))
    mask = (smooth > np.median(smooth)).astype(np.float64)
    return convolve_mirror(mask, gaussian_psf(EDGE_SIGMA_PX))


def _rolling(light: Values, path: Path, roll: float) -> Values:
    """Average copies along the path, each blurred along its own part of it and turned as far as the roll has got."""
    vertices = np.array(path) - temporal_midpoint(path)
    moments = np.linspace(0, len(vertices) - 1, NUM_COPIES * (POINTS_PER_COPY - 1) + 1)
    points = np.stack([np.interp(moments, np.arange(len(vertices)), vertices[:, axis]) for axis in (0, 1)], axis=1)
    total = np.zeros_like(light)
    for copy in range(NUM_COPIES):
        first = copy * (POINTS_PER_COPY - 1)
        psf = trajectory_psf(points[first : first + POINTS_PER_COPY], origin=(0.0, 0.0))
        total += _turned(convolve_mirror(light, psf), roll * ((copy + 0.5) / NUM_COPIES - 0.5))
    return total / NUM_COPIES


def _turned(values: Values, angle: float) -> Values:
    """Turn a picture about its middle, from x towards y; bilinear, beyond its border its mirror image."""
    height, width, _ = values.shape
    y, x = (np.arange(length) - (length - 1) / 2 for length in (height, width))
    rows = math.cos(angle) * y[:, None] - math.sin(angle) * x[None, :] + (height - 1) / 2
    columns = math.sin(angle) * y[:, None] + math.cos(angle) * x[None, :] + (width - 1) / 2
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = (rows - top)[:, :, None], (columns - left)[:, :, None]
    (above, below), (before, after) = (
        (_mirrored(low, length), _mirrored(low + 1, length)) for low, length in ((top, height), (left, width))
    )
    upper = (1 - right) * values[above, before] + right * values[above, after]
    lower = (1 - right) * values[below, before] + right * values[below, after]
    return np.asarray((1 - down) * upper + down * lower)


def _mirrored(places: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Fold places beyond the border back inside: `dcb|abcd|cba`."""
    period = max(2 * (length - 1), 1)
    folded = places % period
    return np.asarray(np.minimum(folded, period - folded) if length > 1 else np.zeros_like(places))
