r"""The data-consistency step: what a network that was told the blur gives, made to explain the picture it was given.

A network that cleans deconvolutions smooths away detail that the blurred picture still holds. What is left over tells
of it: R = Y − K·X, with Y what was seen, X what the network made of it, and K the kernel. A Wiener filter,
X + conj(K) / (|K|² + λ) · R, puts it back where the kernel lets pass more than noise. It is the data step of
half-quadratic splitting, taken once, behind the network. `training.guides` is the same in torch: the network learns
through it, so that it need not learn what two FFTs do.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Planes, Psf, continued, plane_of, spectrum_of, transfer_of

LACKED_LEVELS: Final = 5.0
"""Root mean square, in levels of 255, of what a network lacks at each frequency: λ is the noise's power over that."""
BLIND_POWER: Final = 0.01
"""|K|² up to which a frequency tells of the noise alone."""
BLIND_SHARE: Final = 0.1
"""And so large a share of the frequencies does at least, those that the kernel passes least of: of weak blur they tell
of the picture as well, so that λ is too large there, never too small."""


def consistent(
    restored: Planes, seen: Planes, psf: Psf, *, origin: tuple[float, float] = (0.0, 0.0)
) -> npt.NDArray[np.float32]:
    """Correct what was restored by what it does not explain.

    Args:
        restored: `c h w` in [0, 1].
        seen: `c h w`, what it was restored from.
        psf: The blur.
        origin: `(y, x)` of the psf's origin, in px from its middle.

    Returns:
        `c h w`, not clipped.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    height, width = seen.shape[-2:]
    spectra = []
    for plane, truth in zip(restored, seen, strict=True):
        wide = continued(plane, psf.shape[0] - 1)
        transfer = transfer_of(psf, wide.shape, origin)
        left = np.zeros_like(wide)
        left[:height, :width] = truth - plane_of(transfer * spectrum_of(wide), wide.shape)[:height, :width]
        spectra.append(spectrum_of(left))
    energy = transfer.real**2 + transfer.imag**2
    blind = energy <= max(BLIND_POWER, float(np.quantile(energy, BLIND_SHARE)))
    noise = np.mean([np.mean(part.real[blind] ** 2 + part.imag[blind] ** 2) for part in spectra]) / (height * width)
    inverse = np.conj(transfer) / (energy + np.float32(noise * (255 / LACKED_LEVELS) ** 2))
    return np.stack(
        [
            plane + plane_of(inverse * part, wide.shape)[:height, :width]
            for plane, part in zip(restored, spectra, strict=True)
        ]
    )
