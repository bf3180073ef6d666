"""What generators are built from: activations, the SAME convolution, and the kinds of block of the paper.

All hold two 3×3 convolutions and the same activation, so that they cost the same and look equally far:

    stacked-bn   conv → BN → act → conv → BN → act    StackedG: the classical block without its skip
    classical    conv → BN → act → conv → BN, + input  ResG: the block of fig. 3a
    improved     conv → act → conv, + input            NonBN-ResG: the block of fig. 3b
    stacked      conv → act → conv → act              a plain stack: neither skip nor normalisation

Without a skip, two convolutions in a row would be one, so the stacked blocks have an activation after each.

All blocks start alike: what a block adds to its input is a tenth of what He's start would give (`RESIDUAL_INIT_GAIN`),
by the weights of its last convolution, or by γ where that is normalised. The start decides more than the block does
(docs/ablation.md), so no kind has one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

BlockKind = Literal["stacked", "stacked-bn", "classical", "improved"]
ActivationKind = Literal["prelu", "relu", "leaky-relu"]
Activation = nn.PReLU | nn.ReLU | nn.LeakyReLU

KERNEL_PX: Final = 3
"""Side of the convolutions inside the blocks."""

LAYERS_PER_BLOCK: Final = 2
"""Convolutions in a block of any kind."""

RESIDUAL_INIT_GAIN: Final = 0.1
"""Each block with a skip starts near the identity, which keeps large learning rates calm. Both kinds gain by it: after
2 500 steps at 5e-4 ResG 1.0 dB and NonBN-ResG 1.7 dB over a gain of 1 (docs/ablation.md)."""

LEAKY_SLOPE: Final = 0.2
"""Slope of LeakyReLU below 0, in the generator as in the discriminator (SRGAN's)."""


SLOPE_STRIDE: Final = 17
"""On a CPU the slope's gradient is estimated from every so manieth value: prime, so that all channels count."""


class _LeakyWithSlope(torch.autograd.Function):
    """LeakyReLU forward and backward, and the gradient of its one slope from a sample of the values.

    torch's own backward pass of PReLU works value by value on a CPU and takes three times as long as all of this: a
    quarter of a training step. Of a million values every seventeenth tells the slope as much.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(values, slope)
        return functional.leaky_relu(values, float(slope))

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        values, slope = ctx.saved_tensors  # type: ignore[attr-defined]
        of_values = torch.ops.aten.leaky_relu_backward(gradient, values, float(slope), False)
        # In the order of memory, whichever layout the values have: a view, not a copy.
        dense = values.is_contiguous(memory_format=torch.channels_last)
        flat = [part.permute(0, 2, 3, 1) if dense else part for part in (values, gradient)]
        seen, pull = (part.reshape(-1)[::SLOPE_STRIDE].float() for part in flat)
        share = values.numel() / seen.numel()
        return of_values, (seen.clamp_max(0.0) * pull).sum().mul(share).view(1).to(slope.dtype)


class SharedPReLU(nn.PReLU):
    """PReLU of one slope, whose training on a CPU does not wait for the slope's gradient."""

    def forward(self, input: Tensor) -> Tensor:
        """Return `input` where it is positive, and `slope · input` elsewhere."""
        is_sampled = self.training and input.device.type == "cpu" and input.ndim == 4 and torch.is_grad_enabled()
        if not is_sampled or input.numel() < SAMPLED_FROM:
            return super().forward(input)
        activated: Tensor = _LeakyWithSlope.apply(input, self.weight)  # type: ignore[no-untyped-call]
        return activated


SAMPLED_FROM: Final = 65_536
"""Values from which on the slope's gradient is sampled: of fewer, all are asked."""


def prelu() -> nn.PReLU:
    """Build the paper's activation: PReLU with one learned slope per layer.

    He et al. (2015) define PReLU per channel and channel-shared; the paper does not say which. Shared is
    taken because it is exactly a LeakyReLU once trained, which engines fuse into the convolution before it.
    """
    return SharedPReLU(num_parameters=1, init=0.25)


_ACTIVATIONS: Final[Mapping[ActivationKind, Callable[[], Activation]]] = MappingProxyType(
    {
        "prelu": prelu,
        "relu": lambda: nn.ReLU(inplace=True),
        "leaky-relu": lambda: nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
    }
)


def activation(kind: ActivationKind) -> Activation:
    """Build one activation. The paper found that the choice hardly matters; PReLU is its default (section 2.3)."""
    return _ACTIVATIONS[kind]()


def same_conv(
    in_channels: int,
    out_channels: int,
    kernel_px: int = KERNEL_PX,
    *,
    stride: int = 1,
    gain: float = 1.0,
    has_bias: bool = True,
) -> nn.Conv2d:
    """Build a SAME convolution (zero padding; size / stride, rounded up), Kaiming-initialised, zero bias.

    The start is the same for all activations (made for a slope of 0.25), so that they can be compared.

    Args:
        in_channels: Channels taken.
        out_channels: Channels given.
        kernel_px: Odd side of the kernel.
        stride: 1 keeps the size.
        gain: Factor on the initial weights.
        has_bias: Whether a bias is added; useless before a normalisation, which takes it away again.
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel_px, stride, padding=kernel_px // 2, bias=has_bias)
    nn.init.kaiming_normal_(conv.weight, a=0.25, nonlinearity="leaky_relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    conv.weight.data.mul_(gain)
    return conv


class StackedBlock(nn.Module):
    """Two plain layers: conv, activation, conv, activation; nothing is skipped, nothing normalised."""

    def __init__(self, width: int, kind: ActivationKind = "prelu", *, has_bias: bool = True) -> None:
        super().__init__()
        self.conv1 = same_conv(width, width, has_bias=has_bias)
        self.activation = activation(kind)
        self.conv2 = same_conv(width, width, has_bias=has_bias)
        self.activation2 = activation(kind)

    def forward(self, features: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Return `activation2(conv2(activation(conv1(features))))`."""
        output: Tensor = self.activation2(self.conv2(self.activation(self.conv1(features))))
        return output


class NormalisedStackBlock(nn.Module):
    """Two layers of StackedG: the classical block without its skip, an activation in the skip's place.

    Its last γ starts as the classical block's does; the next normalisation takes that away again, so it is felt behind
    the last block alone.
    """

    def __init__(self, width: int, kind: ActivationKind = "prelu", *, has_bias: bool = True) -> None:
        super().__init__()
        assert has_bias  # `GeneratorConfig` has checked it
        self.conv1 = same_conv(width, width, has_bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.activation = activation(kind)
        self.conv2 = same_conv(width, width, has_bias=False)
        self.norm2 = gentle_norm(width)
        self.activation2 = activation(kind)

    def forward(self, features: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Return `activation2(norm2(conv2(activation(norm1(conv1(features))))))`."""
        inner = self.activation(self.norm1(self.conv1(features)))
        output: Tensor = self.activation2(self.norm2(self.conv2(inner)))
        return output


def gentle_norm(width: int) -> nn.BatchNorm2d:
    """Build the normalisation at the end of a block: its γ starts as low as the improved block's last weights."""
    norm = nn.BatchNorm2d(width)
    nn.init.constant_(norm.weight, RESIDUAL_INIT_GAIN)
    return norm


class ClassicalBlock(nn.Module):
    """The classical residual block (fig. 3a): conv, BN, activation, conv, BN, plus the input.

    Its convolutions never have a bias: the normalisation would take it away again, and has one of its own.
    """

    def __init__(self, width: int, kind: ActivationKind = "prelu", *, has_bias: bool = True) -> None:
        super().__init__()
        assert has_bias  # `GeneratorConfig` has checked it
        self.conv1 = same_conv(width, width, has_bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.activation = activation(kind)
        self.conv2 = same_conv(width, width, has_bias=False)
        self.norm2 = gentle_norm(width)

    def forward(self, features: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Return `features + norm2(conv2(activation(norm1(conv1(features)))))`."""
        inner = self.activation(self.norm1(self.conv1(features)))
        residual: Tensor = self.norm2(self.conv2(inner))
        return features + residual


class ImprovedBlock(nn.Module):
    """The paper's improved residual block (fig. 3b): conv, activation, conv, plus the input; no normalisation."""

    def __init__(self, width: int, kind: ActivationKind = "prelu", *, has_bias: bool = True) -> None:
        super().__init__()
        self.conv1 = same_conv(width, width, has_bias=has_bias)
        self.activation = activation(kind)
        self.conv2 = same_conv(width, width, gain=RESIDUAL_INIT_GAIN, has_bias=has_bias)

    def forward(self, features: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Return `features + conv2(activation(conv1(features)))`."""
        residual: Tensor = self.conv2(self.activation(self.conv1(features)))
        return features + residual


Block = StackedBlock | NormalisedStackBlock | ClassicalBlock | ImprovedBlock

BLOCKS: Final[Mapping[BlockKind, type[Block]]] = MappingProxyType(
    {
        "stacked": StackedBlock,
        "stacked-bn": NormalisedStackBlock,
        "classical": ClassicalBlock,
        "improved": ImprovedBlock,
    }
)
"""The rows: what a generator's `block` setting names."""
