"""Down-and-up scaling: the picture loses resolution, keeps its size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def cubic(distance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Keys' cubic kernel with a = −0.5 (Pillow's bicubic)."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x**2 + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, torch.zeros_like(x)))


def _down_and_up_matrix(side: int, factor: Float[Tensor, " n"]) -> Float[Tensor, "n side side"]:
    """Build, per image, the matrix that reduces `side` samples by `factor`, antialiased, and enlarges back.

    The small grid has `side / factor` samples; since that differs between the images of a batch, it is laid
    in `side` rows, of which the surplus ones are zero.
    """
    index = torch.arange(side, device=factor.device, dtype=torch.float32)
    stretch = factor.view(-1, 1, 1)
    small_centre = (index.view(1, -1, 1) + 0.5) * stretch - 0.5  # small sample's centre on the large grid
    present = (small_centre <= side - 1.0 + 1e-3).to(torch.float32)
    down = cubic((index.view(1, 1, -1) - small_centre) / stretch) * present
    down = down / down.sum(dim=-1, keepdim=True).clamp_min(1e-6)
    large_on_small = (index.view(1, -1, 1) + 0.5) / stretch - 0.5
    up = cubic(large_on_small - index.view(1, 1, -1)) * present.transpose(-1, -2)
    up = up / up.sum(dim=-1, keepdim=True)
    return up @ down


def rescale(images: Float[Tensor, "n c h w"], factor: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Reduce every image by its own factor (≥ 1), antialiased and bicubic, and enlarge it back bicubically.

    Both steps are linear and separable, so they are one matrix from the left and one from the right.
    """
    rows = _down_and_up_matrix(images.shape[-2], factor).unsqueeze(1)
    columns = _down_and_up_matrix(images.shape[-1], factor).unsqueeze(1)
    return rows @ images @ columns.transpose(-1, -2)
