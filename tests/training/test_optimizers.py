"""Muon against its definition by singular values; every parameter in one optimiser; rates by share."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch import nn

from acutance.errors import ConfigError
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.training.optimizers import (
    MemoryOrderAdam,
    Muon,
    OptimizerConfig,
    build_optimizers,
    orthogonalised,
    set_share,
)


def matrices(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 36), (2, 36, 4), (1, 64, 576), (1, 1, 5)])
def test_orthogonalised_keeps_singular_vectors_and_evens_values(shape):
    given = matrices(*shape)
    result = orthogonalised(given)
    u, values, v = torch.linalg.svd(given, full_matrices=False)
    inner = u.transpose(1, 2) @ result @ v.transpose(1, 2)  # diagonal, if the vectors are kept
    diagonal = torch.diagonal(inner, dim1=1, dim2=2)
    torch.testing.assert_close(inner, torch.diag_embed(diagonal), atol=2e-3, rtol=0)
    is_seen = values > 0.02 * values.norm(dim=1, keepdim=True)  # fainter ones are raised, but not up to 1
    assert diagonal[is_seen].min() > 0.5
    assert diagonal.max() < 1.3


def test_orthogonalised_does_not_depend_on_size():
    given = matrices(2, 6, 10)
    torch.testing.assert_close(orthogonalised(given * 1e-3), orthogonalised(given), atol=1e-2, rtol=0)


def test_orthogonalised_zero_is_zero():
    assert torch.equal(orthogonalised(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(8, 2, 3, 3), (4, 8, 3, 3)])
def test_muon_follows_its_definition(shape, layout):
    """Two steps by hand: Nesterov momentum, orthogonalised, scaled by √(out / in) where out exceeds in."""
    weight = nn.Parameter(matrices(*shape).to(memory_format=layout))
    expected = weight.detach().clone()
    muon, momentum = Muon([weight], lr=0.1, momentum=0.9), torch.zeros(shape)
    for step in range(2):
        gradient = matrices(*shape, seed=step + 1)
        weight.grad = gradient.to(memory_format=layout)
        muon.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        direction = 0.1 * gradient + 0.9 * momentum
        rows, columns = shape[0], shape[1] * 9
        matrix = orthogonalised(direction.reshape(1, rows, columns))[0] * math.sqrt(max(1.0, rows / columns))
        expected -= 0.1 * matrix.view(shape)
    torch.testing.assert_close(weight.detach(), expected, atol=1e-5, rtol=1e-4)


def test_muon_leaves_weights_without_gradient_alone():
    weights = [nn.Parameter(matrices(4, 2, 3, 3, seed=seed)) for seed in range(2)]
    weights[0].grad = matrices(4, 2, 3, 3, seed=5)
    before = weights[1].detach().clone()
    Muon(weights, lr=0.1, momentum=0.9).step()
    assert torch.equal(weights[1].detach(), before)


@pytest.mark.parametrize("gradients", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_adam_is_adam_however_weights_and_gradients_lie_in_memory(layout, gradients):
    start = matrices(8, 6, 3, 3)
    ours, plain = nn.Parameter(start.to(memory_format=layout)), nn.Parameter(start.clone())
    idle = nn.Parameter(matrices(3))
    adam = MemoryOrderAdam([ours, idle], lr=0.1, betas=(0.9, 0.99))
    expected = torch.optim.Adam([plain], lr=0.1, betas=(0.9, 0.99), foreach=False)
    for step in range(3):
        gradient = matrices(8, 6, 3, 3, seed=step + 1)
        ours.grad, plain.grad = gradient.to(memory_format=gradients), gradient.clone()
        adam.step()
        expected.step()
    torch.testing.assert_close(ours.detach(), plain.detach(), rtol=1e-5, atol=1e-6)
    assert torch.equal(idle.detach(), matrices(3))
    adam.zero_grad(set_to_none=False)
    assert ours.grad.abs().max() == 0
    adam.zero_grad()
    assert ours.grad is None


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_every_parameter_has_one_optimiser(kind):
    generator = Generator(GeneratorConfig(width=4, num_blocks=2))
    optimizers = build_optimizers(OptimizerConfig(kind=kind), generator, last=generator.tail.weight)
    held = [p.data_ptr() for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(p.data_ptr() for p in generator.parameters())


def test_muon_takes_the_convolutions_before_the_last():
    generator = Generator(GeneratorConfig(width=4, num_blocks=2))
    muon, adam = build_optimizers(OptimizerConfig(kind="muon"), generator, last=generator.tail.weight)
    names = {parameter.data_ptr(): name for name, parameter in generator.named_parameters()}
    taken = {names[p.data_ptr()] for p in muon.param_groups[0]["params"]}
    assert taken == {
        "head.weight", "body_conv.weight",
        "blocks.0.conv1.weight", "blocks.0.conv2.weight", "blocks.1.conv1.weight", "blocks.1.conv2.weight",
    }  # fmt: skip
    assert "tail.weight" in {names[p.data_ptr()] for p in adam.param_groups[0]["params"]}


def test_rates_are_shares_of_their_height():
    generator = Generator(GeneratorConfig(width=4, num_blocks=1))
    config = OptimizerConfig(kind="muon", learning_rate=1e-3, muon_learning_rate=0.02)
    muon, adam = build_optimizers(config, generator, last=generator.tail.weight)
    for share in (1.0, 0.1, 0.5):  # not a product of shares
        set_share((muon, adam), share)
        assert muon.param_groups[0]["lr"] == pytest.approx(share * 0.02)
        assert adam.param_groups[0]["lr"] == pytest.approx(share * 1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, r"optimizer\.learning_rate = 0\.0"),
        ({"learning_rate": math.inf}, r"optimizer\.learning_rate = inf"),
        ({"muon_learning_rate": -1.0}, r"muon_learning_rate = -1\.0"),
        ({"muon_learning_rate": math.nan}, r"muon_learning_rate = nan"),
        ({"momentum": 1.0}, r"momentum = 1\.0"),
        ({"betas": (0.9, -0.1)}, r"betas = \[0\.9, -0\.1\]"),
        ({"clip_norm": -1.0}, r"clip_norm = -1\.0"),
        ({"clip_norm": math.nan}, r"clip_norm = nan"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, message):
    with pytest.raises(ConfigError, match=message):
        OptimizerConfig(**settings)
