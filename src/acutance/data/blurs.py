"""What can blur a photo of the protocol: kinds of blur as values, and the kernel that each stands for.

Some are drawn anew for each image, by its index: `drawn_motion` makes known ones of them.

It does not know which photo is blurred, nor what else becomes of it: that is the protocol's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from acutance.imaging.kernels import (
    anisotropic_gaussian_psf,
    disk_psf,
    gaussian_psf,
    line_psf,
    softened_psf,
    temporal_midpoint,
    trajectory_psf,
)

Psf = npt.NDArray[np.float64]
"""A blur kernel: `kh kw`, unit sum."""

Path = tuple[tuple[float, float], ...]
"""Vertices `(y, x)` in px, equally spaced in time."""

Origin = Literal["box", "midpoint"]
"""Where a path's sharp picture lies: in the middle of its bounding box, as measured kernels have it, or where the
camera is at half of the exposure, so that half of the light falls before and half behind."""

PATH_POINTS = 128
"""Vertices of a path of camera shake, as in training."""


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Isotropic Gaussian."""

    sigma_px: float
    """Standard deviation in px."""


@dataclass(frozen=True, slots=True)
class DefocusBlur:
    """Antialiased disk."""

    radius_px: float
    """Radius in px."""


@dataclass(frozen=True, slots=True)
class AnisotropicBlur:
    """Gaussian of two widths."""

    sigma_px: float
    """Standard deviation of the longer axis in px."""
    ratio: float
    """Of the longer axis to the shorter."""
    angle: float
    """Of the longer axis, in radians from x towards y."""


@dataclass(frozen=True, slots=True)
class PathBlur:
    """Camera shake along a path."""

    points: Path
    softness: float
    """How much of each point is spread over its 3×3 neighbourhood, 0 … 1, as a lens does."""
    origin: Origin = "box"


@dataclass(frozen=True, slots=True)
class LineBlur:
    """Straight motion of constant speed; the sharp picture lies at its middle."""

    length_px: float
    """Length in px."""
    angle: float
    """Its direction, in radians from x towards y, 0 … π."""


@dataclass(frozen=True, slots=True)
class StraightMotion:
    """Straight motion of constant speed, in another direction for each image."""

    length_px: float
    """Length in px."""


@dataclass(frozen=True, slots=True)
class HandMotion:
    """A hand's path, another one for each image; the sharp picture lies where it is at half of the exposure."""

    length_px: tuple[float, float]
    """Longer side of the box around the path, drawn evenly."""
    inertia: float
    """Share of its velocity that the camera keeps from one point of its path to the next."""


@dataclass(frozen=True, slots=True)
class MeasuredBlur:
    """Measured kernels that the user gives: image i is blurred with kernel i mod their number."""


KnownBlur = GaussianBlur | DefocusBlur | AnisotropicBlur | PathBlur | LineBlur
"""A blur that says its kernel itself."""

DrawnMotion = StraightMotion | HandMotion
"""Motion that is drawn for each image."""

Blur = KnownBlur | DrawnMotion | MeasuredBlur
"""What can blur a row's images."""


def blur_psf(blur: KnownBlur) -> Psf:
    """Return the kernel of a blur."""
    match blur:
        case GaussianBlur(sigma_px):
            return gaussian_psf(sigma_px)
        case DefocusBlur(radius_px):
            return disk_psf(radius_px)
        case AnisotropicBlur(sigma_px, ratio, angle):
            return anisotropic_gaussian_psf(sigma_px, sigma_px / ratio, angle)
        case LineBlur(length_px, angle):
            return line_psf(length_px, angle)
        case PathBlur(points, softness, origin):
            middle = temporal_midpoint(points) if origin == "midpoint" else None
            return softened_psf(trajectory_psf(points, origin=middle), softness)


def drawn_motion(motion: DrawnMotion, random: np.random.Generator) -> KnownBlur:
    """Draw the angle of straight motion, evenly from 0 to π; or the length of a hand's path, then the path."""
    match motion:
        case StraightMotion(length_px):
            return LineBlur(length_px, math.pi * float(random.random()))
        case HandMotion():
            return drawn_path(motion, random)


def drawn_path(motion: HandMotion, random: np.random.Generator) -> PathBlur:
    """Draw a hand's path as it is, without a lens to soften it."""
    least, most = motion.length_px
    length_px = least + (most - least) * float(random.random())
    return PathBlur(hand_path(motion.inertia, length_px, random), 0.0, "midpoint")


def hand_path(inertia: float, length_px: float, random: np.random.Generator) -> Path:
    """Draw the path of a hand: white accelerations, a velocity that decays, scaled to its length.

    Args:
        inertia: Share of its velocity that the camera keeps from one point to the next.
        length_px: Longer side of the box around the path.
        random: Gives `PATH_POINTS` · 2 normal numbers.
    """
    velocity, position, points = np.zeros(2), np.zeros(2), []
    for acceleration in random.standard_normal((PATH_POINTS, 2)):
        velocity = inertia * velocity + acceleration
        position = position + velocity
        points.append(position)
    path = np.array(points)
    path *= length_px / np.ptp(path, axis=0).max()
    return tuple((float(y), float(x)) for y, x in path)
