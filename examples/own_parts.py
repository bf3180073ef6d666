"""A loss, a degradation and a network of one's own, to be named in the settings; see docs/how-to/train.md.

acutance train examples/own_parts.toml --data my-photos/ --out run/
acutance train examples/own_network.toml --data my-photos/ --out run/
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def edges(restored: Tensor, reference: Tensor) -> Tensor:
    """Compare differences of neighbours: edges count, flat places do not."""
    across = restored.diff(dim=3) - reference.diff(dim=3)
    down = restored.diff(dim=2) - reference.diff(dim=2)
    return across.abs().mean() + down.abs().mean()


def haze(images: Tensor, generator: torch.Generator) -> Tensor:
    """Lay a veil of light over each picture, 5 to 40 % thick, as mist and dirty lenses do."""
    thickness = 0.05 + 0.35 * torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
    return images * (1 - thickness) + 0.8 * thickness


class FarLooking(nn.Module):
    """A network of another kind than acutance's: blocks of 7×7 depthwise and of pointwise convolutions.

    They work on cells of 2×2 px; what they give is added to the picture.
    """

    scale = 1
    size_multiple = 2

    def __init__(self, width: int = 32, num_blocks: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(12, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 7, padding=3, groups=width),
                nn.Conv2d(width, 2 * width, 1),
                nn.GELU(),
                nn.Conv2d(2 * width, width, 1),
            )
            for _ in range(num_blocks)
        )
        self.tail = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(self.tail.weight)  # it begins by giving the picture back, or nearly
        # A 3×3 convolution looks one cell far, a 7×7 one three; a pixel may lie at the far side of its own cell.
        self.reach_px = 2 * (1 + 3 * num_blocks + 1) + 1
        self.macs_per_pixel = (2 * 9 * 12 * width + num_blocks * (49 * width + 4 * width * width)) // 4

    def forward(self, degraded: Tensor) -> Tensor:
        """Restore RGB in [0, 1], n 3 h w, whose sides are multiples of 2."""
        features = self.head(functional.pixel_unshuffle(degraded, 2))
        for block in self.blocks:
            features = features + block(features)
        return degraded + functional.pixel_shuffle(self.tail(features), 2)
