"""Batch normalisation folded into the convolutions before it: how a trained ResG gets rid of it.

Once trained, batch normalisation is y = γ · (x − μ) / √(σ² + ε) + β with constants per channel, and the convolution
before it can do that itself. What is left of a classical block is an improved one, so a folded ResG *is* a NonBN-ResG,
and a folded StackedG a plain stack: it costs the same, tiles as exactly, and needs no node of its own in an export.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from acutance.networks.blocks import BlockKind, ClassicalBlock, NormalisedStackBlock
from acutance.networks.generators import Generator

FOLDED: Mapping[BlockKind, BlockKind] = MappingProxyType({"classical": "improved", "stacked-bn": "stacked"})
"""What is left of each kind of block that normalises."""


@torch.no_grad()
def fold_batch_norm(generator: Generator) -> Generator:
    """Return a generator without normalisation that gives what this one gives in eval mode.

    The new one is in eval mode, has the kind of block that is left (`FOLDED`) in its config and shares no numbers with
    the old one. Computed in float64, so it differs from the original only by the rounding of its new weights. A
    generator that has nothing to fold is returned as it is.

    Args:
        generator: Is not changed, whatever mode it is in; its moving statistics are what counts.
    """
    left = FOLDED.get(generator.config.block)
    if left is None:
        return generator
    state = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    for prefix, block in generator.named_modules():
        if not isinstance(block, ClassicalBlock | NormalisedStackBlock):
            continue
        for number, conv, norm in ((1, block.conv1, block.norm1), (2, block.conv2, block.norm2)):
            for name in norm.state_dict():
                del state[f"{prefix}.norm{number}.{name}"]
            weight, bias = _folded(conv, norm)
            state |= {f"{prefix}.conv{number}.weight": weight, f"{prefix}.conv{number}.bias": bias}
    with torch.device("meta"):  # no weights are drawn only to be thrown away: the global randomness stays untouched
        folded = Generator(replace(generator.config, block=left))
    folded.load_state_dict(state, assign=True)
    return folded.eval()


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | nn.SyncBatchNorm) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of the convolution that does both."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = conv.weight.double() * scale[:, None, None, None]
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return weight.to(conv.weight), bias.to(conv.weight)
