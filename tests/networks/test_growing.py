"""Networks that begin where smaller ones stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.networks.blocks import BLOCKS
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.networks.growing import GROWABLE, can_grow, growing

FIRST, SECOND, THIRD = (CoarserScale(width=width, num_blocks=count) for width, count in ((6, 3), (5, 2), (4, 1)))
MORE = CoarserScale(width=6, num_blocks=6)


def build(*coarser, **settings):
    torch.manual_seed(0)
    config = GeneratorConfig(width=8, num_blocks=2, unshuffle=2, coarser=coarser)
    generator = Generator(replace(config, **settings)).eval()
    for parameter in generator.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return generator


@pytest.mark.parametrize(
    ("known", "coarser", "num_blocks"),
    [
        ((), (FIRST,), 2),
        ((FIRST,), (FIRST, SECOND), 2),
        ((FIRST, SECOND), (FIRST, SECOND, THIRD), 2),
        ((), (), 5),
        ((FIRST,), (FIRST,), 3),
        ((FIRST,), (MORE,), 4),
        ((FIRST,), (MORE, SECOND), 7),
        ((FIRST, SECOND), (MORE, SECOND), 2),
    ],
)
@pytest.mark.parametrize("block", ["improved", "classical"])
def test_it_begins_by_giving_the_same(known, coarser, num_blocks, block):
    small = build(*known, block=block)
    config = replace(small.config, coarser=coarser, num_blocks=num_blocks)
    large = growing(small, config)
    degraded = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(large(degraded), small(degraded))
    assert large.config == config
    assert not large.training


@pytest.mark.parametrize("block", ["stacked", "stacked-bn"])
def test_more_blocks_without_skips_around_them_are_refused_and_scales_are_not(block):
    small = build(block=block)
    degraded = torch.rand(2, 3, 32, 32)
    assert torch.equal(growing(small, replace(small.config, coarser=(FIRST,)))(degraded), small(degraded))
    with pytest.raises(ConfigError, match="more blocks"):
        growing(small, replace(small.config, num_blocks=3))


def test_blocks_of_a_kind_that_is_not_declared_growable_are_not_inserted(monkeypatch):
    """A kind that somebody adds is in no list yet: it must not pass for one that can be made silent."""
    small = build()
    assert set(GROWABLE) < set(BLOCKS)
    monkeypatch.setattr("acutance.networks.growing.GROWABLE", ())
    assert can_grow(small.config, replace(small.config, coarser=(FIRST,)))
    assert not can_grow(small.config, replace(small.config, num_blocks=3))


@pytest.mark.parametrize(("coarser", "num_blocks"), [((FIRST, SECOND), 2), ((MORE,), 4)])
def test_every_new_weight_can_learn(coarser, num_blocks):
    small = build(FIRST)
    large = growing(small, replace(small.config, coarser=coarser, num_blocks=num_blocks)).train()
    degraded = torch.rand(2, 3, 32, 32)
    optimizer = torch.optim.SGD(large.parameters(), lr=0.1)
    for _ in range(2):  # the last layers are 0 at first, so what lies below them moves from the second step on
        optimizer.zero_grad()
        large(degraded).square().mean().backward()
        optimizer.step()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in large.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {"coarser": (SECOND,)},
        {"coarser": (SECOND, FIRST)},
        {"coarser": ()},
        {"num_blocks": 1},
        {"width": 16},
        {"head_kernel": 9},
    ],
    ids=str,
)
def test_what_is_not_the_old_one_with_more_is_refused(changes):
    small = build(FIRST)
    with pytest.raises(ConfigError, match="with more blocks or scales"):
        growing(small, replace(small.config, **changes))
