"""NAFNet (Chen et al., ECCV 2022), as a peer to be timed: the graph with random weights, written from the paper.

The configuration is the one published for GoPro: width 32, blocks 1-1-1-28 down, 1 in the middle, 1-1-1-1 up;
17.1 million parameters. It is here for its speed alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm2d(nn.Module):
    """Normalise every pixel over its channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features."""
        centred = features - features.mean(1, keepdim=True)
        variance = (centred * centred).mean(1, keepdim=True)
        return centred / torch.sqrt(variance + 1e-6) * self.weight + self.bias


def simple_gate(features: Tensor) -> Tensor:
    """Multiply one half of the channels by the other."""
    first, second = features.chunk(2, dim=1)
    return first * second


class NafBlock(nn.Module):
    """Depth-wise convolution and channel attention, then a feed-forward part; gates instead of activations."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm2d(width), LayerNorm2d(width)
        self.conv1 = nn.Conv2d(width, 2 * width, 1)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Conv2d(width, width, 1)
        self.conv3 = nn.Conv2d(width, width, 1)
        self.conv4 = nn.Conv2d(width, 2 * width, 1)
        self.conv5 = nn.Conv2d(width, width, 1)
        self.beta = nn.Parameter(torch.full((1, width, 1, 1), 0.1))
        self.gamma = nn.Parameter(torch.full((1, width, 1, 1), 0.1))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after both parts."""
        inner = simple_gate(self.conv2(self.conv1(self.norm1(features))))
        inner = inner * self.attention(inner.mean((2, 3), keepdim=True))
        features = features + self.conv3(inner) * self.beta
        inner = simple_gate(self.conv4(self.norm2(features)))
        output: Tensor = features + self.conv5(inner) * self.gamma
        return output


class NafNet(nn.Module):
    """The U-shaped network; sizes must be multiples of 16."""

    def __init__(
        self,
        width: int = 32,
        down: tuple[int, ...] = (1, 1, 1, 28),
        middle: int = 1,
        up: tuple[int, ...] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        self.intro, self.ending = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.decoders, self.ups = nn.ModuleList(), nn.ModuleList()
        for count in down:
            self.encoders.append(nn.Sequential(*(NafBlock(width) for _ in range(count))))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, 2))
            width *= 2
        self.middle = nn.Sequential(*(NafBlock(width) for _ in range(middle)))
        for count in up:
            self.ups.append(nn.Conv2d(width, 2 * width, 1, bias=False))
            width //= 2
            self.decoders.append(nn.Sequential(*(NafBlock(width) for _ in range(count))))

    def forward(self, degraded: Tensor) -> Tensor:
        """Return the restored image."""
        features = self.intro(degraded)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        features = self.middle(features)
        for decoder, up, skip in zip(self.decoders, self.ups, reversed(skips), strict=True):
            features = decoder(functional.pixel_shuffle(up(features), 2) + skip)
        output: Tensor = self.ending(features)
        return output + degraded
