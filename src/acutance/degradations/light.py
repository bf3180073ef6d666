"""Between gamma space and linear light, by sRGB's curve."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def to_linear(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Turn sRGB values in [0, 1] into linear light in [0, 1] (IEC 61966-2-1)."""
    return torch.where(images <= 0.04045, images / 12.92, ((images.clamp_min(0.0) + 0.055) / 1.055) ** 2.4)


def to_gamma(light: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Turn linear light in [0, 1] into sRGB values in [0, 1]; the inverse of `to_linear`."""
    curve = 1.055 * light.clamp_min(0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, curve)
