"""A picture deconvolved in closed form with a known kernel, for a network to clean: three answers, crisp to smooth.

A Wiener filter with the spectrum of natural pictures for its prior, conj(K) / (|K|² + λ·|D|²), costs two FFTs a
channel, where `known_kernel` takes some hundred; what it leaves (ringing, noise) a network removes. `training.guides`
is the same in torch.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Plane, Psf, continued, difference_power, plane_of, spectrum_of, transfer_of
from acutance.imaging.response import Response

PENALTIES: Final = (5e-4, 5e-3, 5e-2)
"""λ: the noise's variance over that of the picture's gradients. For gradients of 0.05 these are rounding to 8 bits,
noise of 1 level and noise of 3 levels. The networks are trained with them."""

BORDER_STEPS: Final = 4
"""How often what lies beyond the border is taken anew from the deconvolved picture, blurred again."""


def wiener_guides(
    seen: Plane, psf: Psf, *, origin: tuple[float, float] = (0.0, 0.0), response: Response = Response.NONE
) -> npt.NDArray[np.float32]:
    """Deconvolve one channel, once for each of `PENALTIES`.

    Args:
        seen: `h w` in [0, 1], larger than a few px.
        psf: Its blur.
        origin: `(y, x)` of the psf's origin, in px from its middle.
        response: How the values come from what was blurred.

    Returns:
        `3 h w`, from the crispest to the smoothest; not clipped, but for light that a response has no values for.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    height, width = seen.shape
    seen = response.light(seen)
    wide = continued(seen, psf.shape[0] - 1)
    transfer = transfer_of(psf, wide.shape, origin)
    energy, roughness = transfer.real**2 + transfer.imag**2, difference_power(wide.shape)
    inverses = [np.conj(transfer) / (energy + np.float32(penalty) * roughness) for penalty in PENALTIES]
    again = transfer * inverses[len(PENALTIES) // 2]
    for _ in range(BORDER_STEPS):
        wide = plane_of(again * spectrum_of(wide), wide.shape)
        wide[:height, :width] = seen
    spectrum = spectrum_of(wide)
    guides = np.stack([plane_of(inverse * spectrum, wide.shape)[:height, :width] for inverse in inverses])
    return response.values(guides)
