"""What is around a region may tell what blurred it: a camera that moved, moved the whole picture.

A plate of 150×110 px holds too little for a curved path, and what it seems to tell is then a short, straight one. A
larger part tells the path; but the region may have moved by itself, so its kernel is held against the region alone.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Psf
from acutance.deconvolution.shake import Evidence
from acutance.deconvolution.texture import CROP_PIXELS
from acutance.geometry import Box, with_halo

_BORDER_PX: Final = 16
"""Of a part that is looked at so much counts for the deconvolution alone."""
_LEAST_MORE: Final = 2.0
"""Less around it tells nothing new: so many times the region's pixels."""
LEAST_GAIN: Final = 1.1
"""Of sparseness, in the region: of curved paths in photos it was 1.16 to 1.40, where another one was right below 1."""
CLEARLY: Final = 1.05
"""So many times as much it must gain where the region's own spectrum has the bands of another motion. Four regions of
90×50 to 150×110 px that moved along a curve had such bands: theirs gained 1.03 to 1.17, the right path 1.25 to 1.38."""
LARGEST_EXCESS: Final = 0.02
LARGEST_MISFIT: Final = 0.8
MISFIT_PER_LEVEL: Final = 0.4
"""Noise does not fit any picture: so much more misfit is no sign against the kernel for each level of it."""


def surroundings_of(place: Box, whole: Box) -> Box | None:
    """Return a part of a picture around a place that is large enough to look for a kernel.

    Args:
        place: The region.
        whole: The picture.

    Returns:
        The part, the same distance away on all sides but at the picture's border; None where it is hardly more.
    """
    height, width = place.size
    margin = (math.sqrt((height - width) ** 2 + 4 * CROP_PIXELS) - height - width) / 4
    if margin < 1:
        return None
    around = with_halo(place, within=whole, halo_px=math.ceil(margin)).source
    return around if around.size.pixels >= _LEAST_MORE * place.size.pixels else None


def gated_part(grey: npt.NDArray[np.float32], place: Box, psf: Psf) -> npt.NDArray[np.float32]:
    """Cut out what a kernel is held against: a place, and the border that is left out of the measures."""
    within, border = Box(0, 0, *grey.shape), max(_BORDER_PX, len(psf))
    return np.ascontiguousarray(grey[with_halo(place, within=within, halo_px=border).source.slices])


def explains(evidence: Evidence, *, before: float, noise_levels: float) -> bool:
    """Whether a kernel from around a place is the place's, too.

    Args:
        evidence: Of the kernel, on the place.
        before: Sparseness gained there by what the place itself told; 1 where it told nothing.
        noise_levels: Standard deviation of the noise, of 255.
    """
    return (
        evidence.gain >= max(LEAST_GAIN, before)
        and evidence.excess <= LARGEST_EXCESS
        and evidence.misfit <= LARGEST_MISFIT + MISFIT_PER_LEVEL * noise_levels
    )
