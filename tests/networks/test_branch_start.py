"""One start for all kinds of block: what it changes, and that the presets of the ablation share it."""

from __future__ import annotations

import pytest
import torch

from acutance.networks.blocks import RESIDUAL_INIT_GAIN
from acutance.networks.branch_start import start_branches
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig


def build(block, **settings):
    torch.manual_seed(3)
    return Generator(GeneratorConfig(width=8, num_blocks=2, block=block, **settings))


def branch_rms(generator):
    """Return how much the first block adds, relative to what it is given."""
    features = torch.rand(4, 8, 12, 12, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        added = generator.blocks[0](features.clone()) - features
    return float(added.square().mean().sqrt() / features.square().mean().sqrt())


@pytest.mark.parametrize("block", ["classical", "improved"])
def test_what_a_block_adds_at_first_is_the_gain(block):
    given = {}
    for gain in (0.0, 0.1, 1.0):
        generator = build(block)
        start_branches(generator, gain)
        given[gain] = branch_rms(generator)
    assert given[0.0] == 0.0
    assert given[1.0] == pytest.approx(10 * given[0.1], rel=1e-4)
    assert branch_rms(build(block)) == pytest.approx(given[RESIDUAL_INIT_GAIN], rel=1e-6)


def test_both_kinds_start_about_as_strongly():
    """Before, ResG's blocks spoke ten times as loudly as NonBN-ResG's, which decided the ablation."""
    loud, quiet = branch_rms(build("classical")), branch_rms(build("improved"))
    assert 0.2 < loud / quiet < 5.0


def test_a_stack_takes_the_gain_as_gamma_and_a_plain_one_not_at_all():
    generator = build("stacked-bn")
    start_branches(generator, 0.5)
    assert set(generator.blocks[1].norm2.weight.tolist()) == {0.5}
    assert set(generator.blocks[1].norm1.weight.tolist()) == {1.0}
    plain = build("stacked")
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    start_branches(plain, 0.5)
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())


def test_nested_scales_are_branches_too_and_the_default_changes_no_bit():
    settings = {"block": "improved", "coarser": (CoarserScale(width=6, num_blocks=1),)}
    generator, again = build(**settings), build(**settings)
    start_branches(generator, RESIDUAL_INIT_GAIN)
    assert all(torch.equal(a, b) for a, b in zip(generator.parameters(), again.parameters(), strict=True))
    start_branches(generator, 0.0)
    assert not generator.blocks[1].up.weight.any()
