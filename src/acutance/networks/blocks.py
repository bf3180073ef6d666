"""The residual block of the paper and the activation it is built with."""

from __future__ import annotations

from typing import Final

from jaxtyping import Float
from torch import Tensor, nn

KERNEL_PX: Final = 3
"""Side of the convolutions inside the blocks."""

RESIDUAL_INIT_GAIN: Final = 0.1
"""Each block starts near the identity: without normalisation, that keeps large learning rates calm."""


def prelu() -> nn.PReLU:
    """Build the paper's activation: PReLU with one learned slope per layer.

    He et al. (2015) define PReLU per channel and channel-shared; the paper does not say which. Shared is
    taken because it is exactly a LeakyReLU once trained, which engines fuse into the convolution before it.
    """
    return nn.PReLU(num_parameters=1, init=0.25)


def same_conv(in_channels: int, out_channels: int, kernel_px: int = KERNEL_PX, *, gain: float = 1.0) -> nn.Conv2d:
    """Build a convolution that keeps the size (SAME, zero padding), Kaiming-initialised, zero bias.

    Args:
        in_channels: Channels taken.
        out_channels: Channels given.
        kernel_px: Odd side of the kernel.
        gain: Factor on the initial weights.
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel_px, padding=kernel_px // 2)
    nn.init.kaiming_normal_(conv.weight, a=0.25, nonlinearity="leaky_relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    conv.weight.data.mul_(gain)
    return conv


class ImprovedBlock(nn.Module):
    """The paper's improved residual block (fig. 3b): conv, PReLU, conv, plus the input; no normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = same_conv(width, width)
        self.activation = prelu()
        self.conv2 = same_conv(width, width, gain=RESIDUAL_INIT_GAIN)

    def forward(self, features: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Return `features + conv2(activation(conv1(features)))`."""
        residual: Tensor = self.conv2(self.activation(self.conv1(features)))
        return features + residual
