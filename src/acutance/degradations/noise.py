"""Sensor noise."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.degradations.blur import smoothed


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


def add_grain(
    images: Float[Tensor, "n 3 h w"],
    grain_sigma: Float[Tensor, " n"],
    size_px: Float[Tensor, " n"],
    colour: Float[Tensor, " n"],
    generator: torch.Generator,
) -> Float[Tensor, "n 3 h w"]:
    """Add noise whose neighbours are alike: white noise, blurred, scaled back to its standard deviation.

    Args:
        images: In [0, 1].
        grain_sigma: Standard deviation of the grain, in [0, 1] units.
        size_px: σ of the Gaussian that the noise is blurred with, in px.
        colour: Share of the standard deviation that differs between the channels; the rest is common to them.
        generator: Source of the noise.

    Returns:
        The grainy images, not clipped.
    """
    count, _, height, width = images.shape
    white = torch.randn(count, 4, height, width, generator=generator, device=generator.device)
    grain = smoothed(white, size_px)
    grain = grain / grain.square().mean(dim=(-2, -1), keepdim=True).sqrt().clamp_min(1e-6)
    own = colour.view(-1, 1, 1, 1)
    mixed = own * grain[:, :3] + torch.sqrt(1.0 - own**2) * grain[:, 3:]
    return images + grain_sigma.view(-1, 1, 1, 1) * mixed
