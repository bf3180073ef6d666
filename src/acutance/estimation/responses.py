"""In what light a picture was blurred: that in which its spectrum has the deepest bands of the kernel.

A curve between light and the file's values fills the zeros of a blur's spectrum. Bent back, they are deep again. So the
blur itself tells what a camera did to the light, where it has zeros: straight motion, disks and paths have, a Gaussian
has none.
"""

from __future__ import annotations

from functools import reduce
from typing import Final

import numpy as np

from acutance.deconvolution.planes import Plane, Psf
from acutance.estimation.spectrum import LEAST_SIDE_PX, BandedSpectrum
from acutance.imaging.response import Response

LEAST_SCORE: Final = 0.5
"""Of the best one. Below it the bands lie in the noise, and what leads is chance: disks of 2.2 px under noise of 2 to 6
levels had 0.12 at most, and light led in up to two thirds of them."""
LEAST_LEAD: Final = 0.015
"""Before the values themselves. Of photos blurred in their values none had more without noise, but for motion of 24 px
(0.019)."""


def response_in(crop: Plane, psf: Psf, *, beyond_gaps: bool = False) -> Response:
    """Return how a crop's values come from the light that a kernel blurred.

    Args:
        crop: `h w` in [0, 1], gamma space; from some 10 000 px to all of a picture.
        psf: What blurred it.
        beyond_gaps: Whether frequencies count beyond a ring in which the picture vanishes in its noise: of disks.

    Returns:
        The response behind which the bands are deepest; `NONE` where none are clear.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    if min(crop.shape) < LEAST_SIDE_PX:
        return Response.NONE
    spectra = {
        response: BandedSpectrum(np.asarray(response.light(crop)), beyond_gaps=beyond_gaps) for response in Response
    }
    # What is above the noise differs from light to light, and so would the scores.
    kept = reduce(np.logical_and, (spectrum.kept for spectrum in spectra.values()))
    scores = {response: spectrum.within(kept).score_of(psf) for response, spectrum in spectra.items()}
    best = max(scores, key=lambda response: scores[response])
    is_clear = scores[best] >= LEAST_SCORE and scores[best] >= scores[Response.NONE] + LEAST_LEAD
    return best if is_clear else Response.NONE
