"""The data-consistency step: what a network that was told the blur gives, made to explain the picture it was given.

A network that cleans deconvolutions smooths away detail that the blurred picture still holds. What is left over tells
of it: R = Y − K·X, with Y what was seen, X what the network made of it, and K the kernel. A Wiener filter,
X + conj(K) / (|K|² + λ) · R, puts it back where the kernel lets pass more than noise. It is the data step of
half-quadratic splitting, taken once, behind the network. `training.guides` is the same in torch: the network learns
through it, so that it need not learn what two FFTs do.

Of a blur of light K·X is taken in light, and R in the values of the file, where noise and rounding are alike all over:
in light, what is lacked in the shadows would vanish beside the noise of what is bright (1.5 dB at 4 px).
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import (
    Plane,
    Planes,
    Psf,
    Spectrum,
    continued,
    continued_shape,
    plane_of,
    spectrum_of,
    transfer_of,
)
from acutance.imaging.response import Response

BLIND_POWER: Final = 0.01
"""|K|² up to which a frequency tells of the noise alone."""
BLIND_SHARE: Final = 0.1
"""And so large a share of the frequencies does at least, those that the kernel passes least of: of weak blur they tell
of the picture as well, so that λ is too large there, never too small."""
TELLING_POWER: Final = (0.02, 0.5)
"""|K|² of the frequencies that tell how much the network lacks: with less, noise outweighs it, with more, the coarse
shapes do, which it lacks least."""
UNDERSTATED: Final = 2.0
"""The residual tells so much less than is lacked: noise that the network let through is taken off it, too."""
MOST_LACKED: Final = (5 / 255) ** 2
"""Variance of what a network lacks at a frequency, at most: where the residual tells of more, the kernel is wrong, or
the blur was one of light while it is undone in the file's own values."""
LARGEST_REST: Final = 8 / 255
"""Residuals are clipped at this: edges of high contrast tell more of what is wrong with the kernel than of detail."""
FAINT: Final = 1e-3
"""Elements of a kernel below this share of the largest do not count for how far it reaches."""


def consistent(
    restored: Planes,
    seen: Planes,
    psf: Psf,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    response: Response = Response.NONE,
    pool: Executor | None = None,
) -> npt.NDArray[np.float32]:
    """Correct what was restored by what it does not explain.

    Beyond the border nothing is known, so within a kernel's reach of it nothing is corrected.

    Args:
        restored: `c h w` in [0, 1].
        seen: `c h w`, what it was restored from.
        psf: The blur.
        origin: `(y, x)` of the psf's origin, in px from its middle.
        response: How the values come from what was blurred.
        pool: Where channels are worked on side by side; None is one after the other.

    Returns:
        `c h w`, not clipped.

    Determinism: the same bits for the same input on one build of NumPy, with any pool.
    """
    height, width = seen.shape[-2:]
    inner = _inner(psf, origin, height, width)
    pixels = (inner[0].stop - inner[0].start) * (inner[1].stop - inner[1].start)
    if not pixels:
        return restored
    shape = continued_shape((height, width), psf.shape[0] - 1)
    transfer = transfer_of(psf, shape, origin)

    def left_over(plane: Plane, truth: Plane) -> Spectrum:
        again = plane_of(transfer * spectrum_of(continued(response.light(plane), psf.shape[0] - 1)), shape)
        rest = np.zeros(shape, np.float32)
        rest[inner] = np.clip(truth[inner] - response.values(again[inner]), -LARGEST_REST, LARGEST_REST)
        return spectrum_of(rest)

    each = map if pool is None else pool.map
    rests = list(each(left_over, restored, seen))
    power = np.mean([np.abs(rest) ** 2 for rest in rests], axis=0) / pixels
    inverse = np.conj(transfer) * _share_of_lacked(transfer.real**2 + transfer.imag**2, power)
    added = each(lambda rest: plane_of(inverse * rest, shape)[:height, :width], rests)
    return np.asarray(restored + np.stack(list(added)))


def _share_of_lacked(energy: Plane, power: Plane) -> Plane:
    """Return 1 / (|K|² + λ), 0 where nothing is lacked.

    Args:
        energy: |K|².
        power: |R|², so that white noise has its variance everywhere.
    """
    blind = energy <= max(BLIND_POWER, float(np.quantile(energy, BLIND_SHARE)))
    noise = float(power[blind].mean())
    telling = (energy > TELLING_POWER[0]) & (energy < TELLING_POWER[1])
    told = float((power[telling] - noise).sum()) / max(float(energy[telling].sum()), 1e-12)
    lacked = min(max(UNDERSTATED * told, 0.0), MOST_LACKED)
    return np.asarray(lacked / np.maximum(energy * lacked + noise, 1e-20), dtype=np.float32)


def _inner(psf: Psf, origin: tuple[float, float], height: int, width: int) -> tuple[slice, slice]:
    """Return the part of a plane whose blurred pixels come from within it alone."""
    parts = []
    for places, moved, length in zip(np.nonzero(psf > FAINT * psf.max()), origin, (height, width), strict=True):
        offsets = places - psf.shape[0] // 2 - moved
        first, beyond = max(math.ceil(offsets.max()), 0), max(math.ceil(-offsets.min()), 0)
        parts.append(slice(min(first, length), max(length - beyond, min(first, length))))
    return parts[0], parts[1]
