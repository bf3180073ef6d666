"""One step: down the gradient, clipped, and never on a gradient that is not finite."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.losses.content import l1
from acutance.losses.objective import ObjectiveConfig
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.training.batch import Batch
from acutance.training.step import Player, train_step

CONFIG = GeneratorConfig(width=4, num_blocks=1)


def build(learning_rate=0.1):
    torch.manual_seed(0)
    generator = Generator(CONFIG)
    return generator, torch.optim.SGD(generator.parameters(), lr=learning_rate)


def batch(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 8, 8, generator=generator)


def weights_of(generator):
    return torch.nn.utils.parameters_to_vector(generator.parameters()).detach().clone()


def step(fabric, generator, optimizer, pair, *, weight=1.0, clip_norm=0.0):
    placed, placed_optimizer = fabric.setup(generator, optimizer)
    player = Player(placed, [placed_optimizer], clip_norm)
    return train_step(fabric, player, None, Batch(pair), objective=ObjectiveConfig(content=weight))


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_a_step_goes_down_the_gradient(fabric, weight):
    generator, optimizer = build()
    degraded, reference = batch()
    before = weights_of(generator)
    loss = l1(generator(degraded), reference)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(generator.parameters()))])
    record = step(fabric, generator, optimizer, (degraded, reference), weight=weight)
    torch.testing.assert_close(weights_of(generator), before - 0.1 * weight * gradient)
    assert record.was_applied
    assert float(record.terms["content"]) == pytest.approx(float(loss.detach()), rel=1e-6)  # unweighted
    assert float(record.gradient_norm) == pytest.approx(weight * float(gradient.norm()), rel=1e-5)
    assert not record.terms["content"].requires_grad


def test_a_long_gradient_is_clipped_and_its_length_reported(fabric):
    generator, optimizer = build()
    before = weights_of(generator)
    record = step(fabric, generator, optimizer, batch(), clip_norm=0.01)
    assert float(record.gradient_norm) > 0.1
    assert float((weights_of(generator) - before).norm()) == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_a_short_gradient_is_left_alone(fabric):
    first, second = build(), build()
    step(fabric, *first, batch(), clip_norm=0.0)
    step(fabric, *second, batch(), clip_norm=1e6)
    torch.testing.assert_close(weights_of(first[0]), weights_of(second[0]))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_is_not_applied(fabric, value):
    generator, optimizer = build()
    with torch.no_grad():
        generator.tail.bias[0] = value
    before = weights_of(generator)
    record = step(fabric, generator, optimizer, batch())
    assert not record.was_applied
    assert torch.equal(weights_of(generator).nan_to_num(7.0), before.nan_to_num(7.0))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_refused_step_leaves_no_trace_in_moving_statistics(fabric, value):
    """One patch that is not finite would stay in them for ever, and in every photo that the model restores."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=4, num_blocks=1, block="classical"))
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    assert step(fabric, generator, optimizer, batch()).was_applied
    before = {name: buffer.clone() for name, buffer in generator.named_buffers()}
    degraded, reference = batch(seed=2)
    degraded[0, 0, 0, 0] = value
    assert not step(fabric, generator, optimizer, (degraded, reference)).was_applied
    after = dict(generator.named_buffers())
    assert before.keys() == after.keys() != set()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert step(fabric, generator, optimizer, batch(seed=3)).was_applied
    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_gradients_do_not_add_up_over_steps(fabric):
    generator, optimizer = build(learning_rate=0.0)
    norms = [float(step(fabric, generator, optimizer, batch()).gradient_norm) for _ in range(2)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-6)
