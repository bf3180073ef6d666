"""How strongly the blocks of a generator speak at first: one number for all kinds of block."""

from __future__ import annotations

import torch

from acutance.networks.blocks import RESIDUAL_INIT_GAIN, ClassicalBlock, ImprovedBlock, NormalisedStackBlock
from acutance.networks.generators import Generator, NestedScale


@torch.no_grad()
def start_branches(generator: Generator, gain: float) -> None:
    """Have the last layer of every block's branch start with a gain, in place of `RESIDUAL_INIT_GAIN`.

    Where that layer is normalised the gain is its γ, else a factor on He's random weights. A plain stack has neither:
    there the signal would fall by the gain in every block, so it is left as it is.

    Args:
        generator: Freshly built.
        gain: 0 starts every block as the identity; 1 is He's start, and γ as it starts everywhere.
    """
    for module in generator.modules():
        match module:
            case ClassicalBlock(norm2=norm) | NormalisedStackBlock(norm2=norm):
                norm.weight.fill_(gain)
            case ImprovedBlock(conv2=conv) | NestedScale(up=conv):
                conv.weight.mul_(gain / RESIDUAL_INIT_GAIN)
