"""Mixtures of blurs and other damage: ranges as values, and what one image draws from them.

The blind mixture's ranges are written down here once more, since a row of the protocol must stay what it is when a
preset of training changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from acutance.data.blurs import (
    AnisotropicBlur,
    DefocusBlur,
    GaussianBlur,
    KnownBlur,
    LineBlur,
    Origin,
    PathBlur,
    hand_path,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Ranges that each image's own degradation is drawn from; as they stand, those the first `fast` was trained with.

    Today's preset draws shake less often and shorter, from the midpoint of its path, rescaling and JPEG less often, and
    more noise; it has straight motion, blur in linear light, grain and sharpening by the camera besides. The row stays
    as it is, so that its figures can be compared.

    Training leaves a share of the patches untouched. Here none is: of an untouched photo the PSNR of the input is
    infinite, and with it the mean over all photos; what becomes of sharp photos, row `none` measures by itself.
    """

    kinds: tuple[float, ...] = (0.5, 0.08, 0.17, 0.15, 0.1)
    """Shares of isotropic Gaussians, anisotropic ones, defocus, shake of either inertia, and straight motion."""
    sigma_px: tuple[float, float] = (0.3, 4.2)
    """Standard deviation of the isotropic Gaussian in px, drawn evenly in its logarithm."""
    long_sigma_px: tuple[float, float] = (0.8, 4.2)
    """The same of the longer axis of the anisotropic one."""
    anisotropy: float = 3.0
    """Largest ratio of its axes, drawn evenly from 1."""
    disk_radius_px: tuple[float, float] = (0.5, 4.5)
    """Radius of the disk of defocus."""
    length_px: tuple[float, float] = (3.0, 26.0)
    """Longer side of the box around a path of camera shake, or length of straight motion."""
    inertia: tuple[float, float] = (0.9, 0.98)
    """Share of its velocity that the camera keeps from one point of its path to the next, of either kind of shake."""
    origin: Origin = "box"
    """Where the sharp picture of shake lies."""
    noise_share: float = 0.2
    """Share of the images with noise."""
    noise_sigma: tuple[float, float] = (0.0, 0.015)
    """Standard deviation of the noise in the dark, of the range [0, 1]."""
    signal_gain: tuple[float, float] = (0.0, 0.0002)
    """Variance of the noise per unit of brightness."""
    rescale_share: float = 0.08
    """Share of the images that are reduced and enlarged again."""
    rescale: tuple[float, float] = (1.0, 2.0)
    """Factor of the reduction."""
    jpeg_share: float = 0.2
    """Share of the images with a JPEG round trip."""
    jpeg_quality: tuple[float, float] = (35.0, 95.0)
    """Quality, rounded to a whole number."""
    subsampled: float = 0.7
    """Share of the JPEG images whose chroma is halved."""


def drawn_blur(mixture: Mixture, random: np.random.Generator) -> KnownBlur:
    """Draw a kind of blur and its numbers."""
    kind = int(random.choice(len(mixture.kinds), p=mixture.kinds))
    size, ratio, angle, softness = (float(share) for share in random.random(4))
    match kind:
        case 0:
            return GaussianBlur(_log_between(mixture.sigma_px, size))
        case 1:
            ratio = between((1.0, mixture.anisotropy), ratio)
            return AnisotropicBlur(_log_between(mixture.long_sigma_px, size), ratio, math.pi * angle)
        case 2:
            return DefocusBlur(between(mixture.disk_radius_px, size))
        case 3 | 4:
            path = hand_path(mixture.inertia[kind - 3], between(mixture.length_px, size), random)
            return PathBlur(path, softness, mixture.origin)
        case _:
            return LineBlur(between(mixture.length_px, size), math.pi * angle)


def between(bounds: tuple[float, float], share: float) -> float:
    """Return the number at a share of the way from one bound to the other."""
    return bounds[0] + float(share) * (bounds[1] - bounds[0])


def _log_between(bounds: tuple[float, float], share: float) -> float:
    return math.exp(between((math.log(bounds[0]), math.log(bounds[1])), share))
