"""How far out of focus a picture is, by its spectrum: the disk whose dark rings it has.

A lens out of focus multiplies a picture's spectrum by that of a disk, which has rings of zeros. Their place tells the
radius to some hundredths of a pixel, where an estimator that learnt from photos is 1 to 7 % off, and takes small disks
for Gaussians. `spectrum` does the same for straight motion.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from acutance.deconvolution.planes import Plane
from acutance.estimation.spectrum import LEAST_SIDE_PX, BandedSpectrum
from acutance.imaging.kernels import disk_psf

SMALLEST_RADIUS_PX: Final = 1.85
"""The first ring of a smaller one lies where pictures have little."""
LARGEST_RADIUS_PX: Final = 16.0
_LEAST_SIDES: Final = 10.0
"""Disks are looked for up to the crop's shorter side over this, or `_SMALL_PX` if that is more."""
_SMALL_PX: Final = 6.5
_STEP: Final = 1.04
"""Radii that are tried first lie so far apart."""
_ROUNDS: Final = 5
CLEAR_RINGS: Final = 0.55
"""Of disks of 2 to 5.5 px the score was 0.69 to 0.9 (8 bit, noise of 2 levels, or softened by σ = 0.7 px besides), but
for one photo of five with a disk of 2 px, and as JPEG of quality 75 0.56 to 0.72 from 4 px on. Of straight and curved
motion and sharp photos it was at most 0.4, of wide Gaussians and enlarged photos up to 0.7."""
_LEAD: Final = 0.04
"""The score must be so much above that of a Gaussian or an enlargement. Of disks from 2 px it was 0.07 to 0.6, of what
was enlarged three or four times at most 0.02."""
FAINT_RINGS: Final = 0.35
"""Enough with a larger lead. Of disks of 8 to 15 px it was 0.4 to 0.75, as JPEG of quality 80 0.32 to 0.65."""
_LARGE_LEAD: Final = 0.1
"""Theirs was 0.12 to 0.46. Of 100 other blurs nothing had a score of 0.3 and a lead above 0.03."""


def disk_radius(crop: Plane) -> float | None:
    """Return the radius in px of the disk whose rings a crop's spectrum has.

    Args:
        crop: `h w` in [0, 1], gamma space; up to all of a picture.

    Returns:
        1.85 to 16 px; None where there are no clear rings, or a Gaussian or an enlargement has nearly the same.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    if min(crop.shape) < LEAST_SIDE_PX:
        return None
    spectrum = BandedSpectrum(crop, beyond_gaps=True)
    largest = min(LARGEST_RADIUS_PX, max(min(crop.shape) / _LEAST_SIDES, _SMALL_PX))
    count = int(np.log(largest / SMALLEST_RADIUS_PX) / np.log(_STEP)) + 1
    tried = [SMALLEST_RADIUS_PX * _STEP**number for number in range(count)]
    score, radius = max((spectrum.score_of(disk_psf(one)), one) for one in tried)
    step = radius * (_STEP - 1) / 2
    for _ in range(_ROUNDS):
        around = (radius - step, radius + step)
        score, radius = max((score, radius), *((spectrum.score_of(disk_psf(one)), one) for one in around))
        step /= 2
    if score < FAINT_RINGS:
        return None
    lead = score - spectrum.score_without_disk(radius)
    return radius if lead >= (_LEAD if score >= CLEAR_RINGS else _LARGE_LEAD) else None
