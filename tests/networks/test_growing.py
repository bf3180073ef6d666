"""Networks that begin where smaller ones stand."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.networks.growing import deepening

FIRST, SECOND, THIRD = (CoarserScale(width=width, num_blocks=count) for width, count in ((6, 3), (5, 2), (4, 1)))


def build(*coarser, **settings):
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=8, num_blocks=2, unshuffle=2, coarser=coarser, **settings)).eval()
    for parameter in generator.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return generator


@pytest.mark.parametrize(("known", "added"), [((), (FIRST,)), ((FIRST,), (SECOND,)), ((FIRST, SECOND), (THIRD,))])
@pytest.mark.parametrize("block", ["improved", "classical"])
def test_it_begins_by_giving_the_same(known, added, block):
    small = build(*known, block=block)
    large = deepening(small, (*known, *added))
    degraded = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(large(degraded), small(degraded))
    assert large.config.coarser == (*known, *added)
    assert not large.training


def test_every_new_weight_can_learn():
    large = deepening(build(FIRST), (FIRST, SECOND)).train()
    degraded = torch.rand(2, 3, 32, 32)
    optimizer = torch.optim.SGD(large.parameters(), lr=0.1)
    for _ in range(2):  # the way up is 0 at first, so what lies below it moves from the second step on
        optimizer.zero_grad()
        large(degraded).square().mean().backward()
        optimizer.step()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in large.parameters())


@pytest.mark.parametrize("coarser", [(SECOND,), (SECOND, FIRST), (FIRST,), ()])
def test_what_does_not_continue_is_refused(coarser):
    with pytest.raises(ConfigError, match="does not continue"):
        deepening(build(FIRST), coarser)
