"""What can blur a photo of the protocol: kinds of blur as values, and the kernel that each stands for.

It does not know which photo is blurred, nor what else becomes of it: that is the protocol's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.imaging.kernels import anisotropic_gaussian_psf, disk_psf, gaussian_psf, softened_psf, trajectory_psf

Psf = npt.NDArray[np.float64]
"""A blur kernel: `kh kw`, unit sum."""


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

    points: tuple[tuple[float, float], ...]
    """Vertices `(y, x)` in px, equally spaced in time."""
    softness: float
    """How much of each point is spread over its 3×3 neighbourhood, 0 … 1, as a lens does."""


@dataclass(frozen=True, slots=True)
class MeasuredBlur:
    """Measured kernels that the user gives: image i is blurred with kernel i mod their number."""


KnownBlur = GaussianBlur | DefocusBlur | AnisotropicBlur | PathBlur
"""A blur that says its kernel itself."""

Blur = KnownBlur | MeasuredBlur
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
        case PathBlur(points, softness):
            return softened_psf(trajectory_psf(points), softness)
