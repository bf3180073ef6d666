"""Sensor noise."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def add_noise(
    images: Float[Tensor, "n c h w"],
    noise_sigma: Float[Tensor, " n"],
    signal_gain: Float[Tensor, " n"],
    generator: torch.Generator,
) -> Float[Tensor, "n c h w"]:
    """Add white noise whose variance is `noise_sigma² + signal_gain · image`.

    Args:
        images: In [0, 1].
        noise_sigma: Standard deviation in the dark (read noise), in [0, 1] units: 2 of 255 is 0.0078.
        signal_gain: Variance per unit of brightness (photon noise, in its Gaussian approximation).
        generator: Source of the noise.

    Returns:
        The noisy images, not clipped.
    """
    variance = noise_sigma.view(-1, 1, 1, 1) ** 2 + signal_gain.view(-1, 1, 1, 1) * images.clamp(0.0, 1.0)
    white = torch.randn(images.shape, generator=generator, device=generator.device)
    return images + torch.sqrt(variance) * white
