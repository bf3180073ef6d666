"""The focal frequency loss (Jiang et al. 2021): spectra are to agree, those parts most that are farthest apart.

    w = (|F(G) − F(T)| / max |F(G) − F(T)|)^α,   loss = mean of w · |F(G) − F(T)|²

F is the discrete Fourier transform of a whole patch, with the scale that keeps sums of squares. With α = 0 it is L2
(Parseval); the larger α, the less counts but the frequencies that are restored worst. w carries no gradient, and is
taken for each channel of each patch by itself.

Not in the paper. Networks fit coarse shapes first and fine texture last; this says where in the spectrum it lacks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.errors import ConfigError
from acutance.losses.precision import full_precision

SMALLEST_MAXIMUM = 1e-12
"""Divided by where patches are equal: then nothing is left to weigh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyConfig:
    """How spectra are compared; the weight is `objective.frequency`."""

    alpha: float = 1.0
    """How strongly it looks at what is worst; 0 is L2, the authors have 1."""

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.alpha < math.inf:
            raise ConfigError(f"frequency_loss.alpha = {self.alpha}: must be a number from 0 on.")


def focal_frequency(
    restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"], *, alpha: float = 1.0
) -> Float[Tensor, ""]:
    """Return the mean over all frequencies, channels and patches of `w · |F(restored) − F(reference)|²`.

    Args:
        restored: `G(I_B)`.
        reference: `I_T`, of the same size.
        alpha: Power of the weights.

    Returns:
        A scalar from 0 on; computed in float32 at least. A difference of one frequency alone costs its mean square,
        whatever `alpha` is.
    """
    difference = full_precision(restored) - full_precision(reference)
    width = difference.shape[-1]
    spectrum = torch.fft.rfft2(difference, norm="ortho")
    power = spectrum.real.square() + spectrum.imag.square()
    with torch.no_grad():
        share = power / power.amax(dim=(-2, -1), keepdim=True).clamp_min(SMALLEST_MAXIMUM)
        weight = share.pow(alpha / 2)
    # A real picture's spectrum is given by half; columns but the first, and of an even width the last, stand for two.
    twice = torch.full((spectrum.shape[-1],), 2.0, device=power.device, dtype=power.dtype)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    mean: Tensor = (weight * power * twice).sum(dim=-1).mean() / width
    return mean
