"""Reduce a batch smaller by a whole factor: what super-resolution is trained to undo."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.degradations.rescale import cubic


@lru_cache(maxsize=32)
def _reduction_matrix(side: int, factor: int, device: torch.device) -> Float[Tensor, "small side"]:
    """Build the matrix from `side` samples to `side // factor`, as Pillow does: antialiased, cut at the border."""
    large = torch.arange(side, device=device, dtype=torch.float32)
    centre = (torch.arange(side // factor, device=device, dtype=torch.float32) + 0.5) * factor - 0.5
    weights = cubic((large[None, :] - centre[:, None]) / factor)
    return weights / weights.sum(dim=1, keepdim=True)


def reduce(images: Float[Tensor, "n c h w"], factor: int) -> Float[Tensor, "n c hs ws"]:
    """Reduce by bicubic interpolation with antialiasing; sides must be multiples of the factor."""
    assert images.shape[-2] % factor == images.shape[-1] % factor == 0
    rows = _reduction_matrix(images.shape[-2], factor, images.device)
    columns = _reduction_matrix(images.shape[-1], factor, images.device)
    small: Tensor = rows @ images @ columns.T
    return small
