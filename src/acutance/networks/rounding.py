"""A generator that rounds as its graph of 8-bit integers will: what quantisation-aware training trains.

Everything that the integer graph keeps in bytes (`exporting/int8.py`) is rounded to 256 steps: what comes out of every
convolution but the last, of every activation and of every skip, with one step per tensor; and the weights, with one
step per output channel. Gradients pass through the rounding as if it were not there (the straight-through estimator).

Steps come from the smallest and largest value of the tensor at hand, so there is nothing to keep in a checkpoint, and
the numbers trained are those of an ordinary generator: its state has the same names, and it may be loaded as one.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from acutance.networks.blocks import ImprovedBlock
from acutance.networks.generators import Generator, NestedScale

BYTE_MAX, SIGNED_MAX = 255, 127
SMALLEST_STEP = 1e-8
"""Keeps a tensor of zeros from a step of zero."""

_ROUNDED_OUTPUTS = (nn.PReLU, nn.ReLU, nn.LeakyReLU, ImprovedBlock, NestedScale)


class RoundedConv2d(nn.Conv2d):
    """A convolution with weights of 8 bits."""

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """Convolve with the rounded weights."""
        output: Tensor = self._conv_forward(input, round_weights(self.weight), self.bias)
        return output


def round_weights(weight: Float[Tensor, "d c k k"]) -> Float[Tensor, "d c k k"]:
    """Round weights to signed bytes, one step per output channel."""
    step = (weight.detach().abs().amax(dim=(1, 2, 3)) / SIGNED_MAX).clamp_min(SMALLEST_STEP)
    zero = torch.zeros_like(step, dtype=torch.int32)
    rounded: Tensor = torch.fake_quantize_per_channel_affine(weight, step, zero, 0, -SIGNED_MAX, SIGNED_MAX)
    return rounded


def round_values(values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Round values to unsigned bytes with one step, so that 0 stays 0."""
    low, high = torch.aminmax(values.detach().float())
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    step = ((high - low) / BYTE_MAX).clamp_min(SMALLEST_STEP)
    zero = torch.round(-low / step).clamp(0, BYTE_MAX).to(torch.int32)
    rounded: Tensor = torch.fake_quantize_per_tensor_affine(values.float(), step, zero, 0, BYTE_MAX)
    return rounded.to(values.dtype)


def round_like_bytes(generator: Generator) -> None:
    """Make a generator round, in place; its parameters stay the same objects under the same names."""
    tail = generator.tail
    for parent in list(generator.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and child is not tail:
                setattr(parent, name, _rounded(child))
    for module in generator.modules():
        if isinstance(module, (RoundedConv2d, *_ROUNDED_OUTPUTS)):
            module.register_forward_hook(_round_output)


def _rounded(conv: nn.Conv2d) -> RoundedConv2d:
    """Return the convolution that rounds, with the same parameters."""
    side = conv.kernel_size[0]
    with torch.device("meta"):
        rounded = RoundedConv2d(
            conv.in_channels, conv.out_channels, side, padding=side // 2, bias=conv.bias is not None
        )
    rounded.weight, rounded.bias = conv.weight, conv.bias
    return rounded


def _round_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    del module, inputs
    return round_values(output)
