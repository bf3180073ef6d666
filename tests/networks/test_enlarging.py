"""A network that enlarges, begun from one that does not: its first answer is the other's."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig, enlarge, enlarging

SHAPES = [
    GeneratorConfig(width=6, num_blocks=1),
    GeneratorConfig(width=6, num_blocks=1, unshuffle=2),
    GeneratorConfig(width=6, num_blocks=1, unshuffle=4),
    GeneratorConfig(width=6, num_blocks=1, unshuffle=2, coarser=(CoarserScale(width=4, num_blocks=1),)),
    GeneratorConfig(width=6, num_blocks=1, head_kernel=9, tail_kernel=9, global_residual=False),
    GeneratorConfig(width=6, num_blocks=1, unshuffle=2, global_residual=False),
    GeneratorConfig(width=6, num_blocks=1, block="classical", unshuffle=2),
    GeneratorConfig(width=6, num_blocks=1, block="stacked", activation="relu", tail_kernel=1),
]


def loud(config):
    """Build a generator whose every weight matters."""
    torch.manual_seed(3)
    generator = Generator(config)
    for parameter in generator.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return generator.eval()


def twice(images):
    """Enlarge by repeating pixels."""
    return images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_what_it_adds_to_the_enlarged_input_is_what_the_other_adds_each_pixel_four_times(config):
    small = loud(config)
    degraded = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer, larger_answer = small(degraded), enlarging(small)(degraded)
    assert larger_answer.shape == (2, 3, 32, 48)
    expected = enlarge(degraded, 2) + twice(answer - degraded) if config.global_residual else twice(answer)
    torch.testing.assert_close(larger_answer, expected, atol=1e-5, rtol=0)
    assert (answer - degraded).abs().max() > 0.01


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_all_layers_but_the_last_are_the_same(config):
    small = loud(config)
    larger = enlarging(small)
    assert larger.config == replace(config, scale=2)
    for name, tensor in larger.state_dict().items():
        before = small.state_dict()[name]
        if name.startswith("tail."):
            assert tensor.shape == (4 * before.shape[0], *before.shape[1:])
            assert torch.equal(tensor.unique(dim=0), before.unique(dim=0))
        else:
            assert torch.equal(tensor, before)
            assert tensor.data_ptr() != before.data_ptr()  # training the one leaves the other alone


@pytest.mark.parametrize("is_training", [True, False])
def test_it_can_be_trained_and_is_in_the_same_mode(is_training):
    small = loud(SHAPES[1]).train(is_training)
    larger = enlarging(small)
    assert larger.training == is_training
    larger(torch.rand(1, 3, 8, 8)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in larger.parameters())
    gradient = larger.tail.weight.grad.view(3, 4, 4, -1)
    assert not torch.equal(gradient[:, 0, 0], gradient[:, 0, 1])  # the four pixels part company
