"""The classical restorers that stand in every table, so that a model's figures can be judged.

*input* does nothing; *unsharp* knows how wide the blur is; *Wiener* and *polynomial* are told the very
kernel, which a blind sharpener has to find out. None of them has anything to say about an unblurred photo, nor, but
for *input*, which enlarges it bicubically, about one that was made smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.data.blurs import GaussianBlur, Psf
from acutance.data.protocol import Degraded, brightened
from acutance.evaluation.restorers import Trial
from acutance.geometry import Size
from acutance.imaging.kernels import convolve_mirror, optical_transfer, psf_sigma_px, with_unsharp_mask
from acutance.imaging.resize import enlarge_bicubic

NOISE_TO_SIGNAL = 1e-3
"""K of the Wiener filter in every table."""

UNSHARP_AMOUNT = 1.0
"""Amount of the unsharp mask in every table."""


def unsharp_mask(degraded: Degraded, *, sigma_px: float, amount: float = UNSHARP_AMOUNT) -> Degraded:
    """Add what a Gaussian blur takes away: y + amount · (y − g_σ ∗ y), mirror boundary.

    Args:
        degraded: `h w 3` RGB, uint8 or uint16; the result has its type.
        sigma_px: Standard deviation of the Gaussian in px.
        amount: How much is added.
    """
    return _rounded(with_unsharp_mask(degraded.astype(np.float64), sigma_px=sigma_px, amount=amount), degraded)


def wiener(degraded: Degraded, psf: Psf, *, noise_to_signal: float = NOISE_TO_SIGNAL) -> Degraded:
    """Divide by the blur where it left something: H* / (|H|² + K) in the frequency domain.

    The photo is continued by its whole mirror image, which makes it periodic without a seam: for a symmetric
    psf that is exactly how the protocol's blur saw it, so nothing rings at the border.

    Args:
        degraded: `h w 3` RGB, uint8 or uint16; the result has its type.
        psf: The kernel it was blurred with.
        noise_to_signal: K, the power of the noise over that of the picture.
    """
    height, width, channels = degraded.shape
    # abcd → abcdcb: the period of the mirror without repeated ends; a single row or column is its own.
    padding = ((0, max(height - 2, 0)), (0, max(width - 2, 0)))
    size = Size(height + padding[0][1], width + padding[1][1])
    transfer = optical_transfer(psf, size)
    inverse = np.conj(transfer) / (np.abs(transfer) ** 2 + noise_to_signal)
    restored = np.empty((height, width, channels))
    for channel in range(channels):
        period = np.pad(degraded[:, :, channel].astype(np.float64), padding, mode="reflect")
        restored[:, :, channel] = np.fft.irfft2(np.fft.rfft2(period) * inverse, s=size)[:height, :width]
    return _rounded(restored, degraded)


def reblur_polynomial(degraded: Degraded, psf: Psf) -> Degraded:
    """Blur the photo again and combine: 3 − 3k + k², k its blur, as in Polyblur (Delbracio et al. 2021).

    It is 1 + (1 − k) + (1 − k)², the first terms of the series of 1/k.

    Args:
        degraded: `h w 3` RGB, uint8 or uint16; the result has its type.
        psf: The kernel it was blurred with.
    """
    values = degraded.astype(np.float64)
    once = convolve_mirror(values, psf)
    return _rounded(3 * values - 3 * once + convolve_mirror(once, psf), degraded)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A classical restorer under a name."""

    name: str
    """Its column in the tables."""
    function: Callable[[Degraded, Trial], Degraded | None]
    """What it does with a photo and the truth about its blur."""

    def restore(self, degraded: Degraded, trial: Trial) -> Degraded | None:
        """Restore one photo."""
        return self.function(degraded, trial)


def _input(degraded: Degraded, trial: Trial) -> Degraded:
    factor = trial.row.reduction
    return degraded if factor == 1 else enlarge_bicubic(brightened(degraded, trial.row), factor)


def _unsharp(degraded: Degraded, trial: Trial) -> Degraded | None:
    if trial.psf is None or trial.row.reduction > 1:
        return None
    # A blur that is no Gaussian is met by the Gaussian that spreads light as far.
    blur = trial.row.blur
    sigma_px = blur.sigma_px if isinstance(blur, GaussianBlur) else psf_sigma_px(trial.psf)
    return unsharp_mask(degraded, sigma_px=sigma_px)


def _wiener(degraded: Degraded, trial: Trial) -> Degraded | None:
    return None if trial.psf is None or trial.row.reduction > 1 else wiener(degraded, trial.psf)


def _polynomial(degraded: Degraded, trial: Trial) -> Degraded | None:
    return None if trial.psf is None or trial.row.reduction > 1 else reblur_polynomial(degraded, trial.psf)


BASELINES: tuple[Baseline, ...] = (
    Baseline("input", _input),
    Baseline("unsharp", _unsharp),
    Baseline("Wiener, true kernel", _wiener),
    Baseline("polynomial, true kernel", _polynomial),
)
"""The first columns of every table."""


def _rounded(values: npt.NDArray[np.float64], like: Degraded) -> Degraded:
    return np.clip(np.rint(values), 0, np.iinfo(like.dtype).max).astype(like.dtype)
