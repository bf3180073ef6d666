"""Folding: the same pictures from fewer numbers, and nothing else is touched."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.networks.folding import fold_batch_norm
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig

NESTED = (CoarserScale(width=5, num_blocks=2), CoarserScale(width=4, num_blocks=1))

CONFIGS = [
    GeneratorConfig(width=8, num_blocks=3, block="classical", global_residual=False),
    GeneratorConfig(width=6, num_blocks=2, block="classical", unshuffle=2, activation="relu"),
    GeneratorConfig(width=4, num_blocks=0, block="classical"),
    GeneratorConfig(block="classical", head_kernel=3, tail_kernel=3, global_residual=False),
    GeneratorConfig(width=6, num_blocks=1, block="classical", coarser=NESTED, global_residual=False),
    GeneratorConfig(width=4, num_blocks=0, block="classical", unshuffle=2, coarser=NESTED[:1]),
    GeneratorConfig(width=6, num_blocks=2, block="stacked-bn", activation="relu", global_residual=False),
    GeneratorConfig(width=6, num_blocks=2, block="stacked-bn", long_skip=False),
]


def trained(config):
    """Build a generator with a past: some passes in training mode, then random gains and shifts."""
    torch.manual_seed(0)
    generator = Generator(config).train()
    with torch.no_grad():
        for _ in range(20):
            generator(torch.rand(4, 3, 12, 12))
        for name, parameter in generator.named_parameters():
            if "norm" in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return generator


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_gives_what_the_normalised_one_gives(config):
    generator = trained(config)
    folded = fold_batch_norm(generator)
    assert generator.training, "the original was switched"
    degraded = torch.rand(2, 3, 16, 24)
    with torch.no_grad():
        expected, result = generator.eval()(degraded), folded(degraded)
        plain = Generator(folded.config).eval()(degraded)
    size = expected.abs().max()  # untrained, far more than the 1 of a picture
    assert (result - expected).abs().max() <= 1e-5 * size
    assert not any(scale.num_blocks for scale in config.scales) or (plain - expected).abs().max() > 1e-2 * size


def test_is_an_improved_generator_in_eval_mode():
    generator = trained(CONFIGS[0])
    folded = fold_batch_norm(generator)
    assert folded.config == GeneratorConfig(width=8, num_blocks=3, global_residual=False)
    assert not folded.training
    assert folded.state_dict().keys() == Generator(folded.config).state_dict().keys()
    assert {tensor.device.type for tensor in folded.state_dict().values()} == {"cpu"}
    assert folded.config.halo_px == generator.config.halo_px


def test_blocks_of_coarser_scales_are_folded_too():
    folded = fold_batch_norm(trained(CONFIGS[4]))
    assert folded.config == GeneratorConfig(width=6, num_blocks=1, coarser=NESTED, global_residual=False)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert folded.state_dict().keys() == Generator(folded.config).state_dict().keys()


def test_shares_nothing_and_changes_nothing():
    generator = trained(CONFIGS[0])
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    random = torch.get_rng_state()
    folded = fold_batch_norm(generator)
    assert torch.equal(torch.get_rng_state(), random)
    for parameter in folded.parameters():
        parameter.data.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[4]], ids=["flat", "nested"])
def test_in_float64_it_is_exact(config):
    generator = trained(config).double().eval()
    degraded = torch.rand(1, 3, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(fold_batch_norm(generator)(degraded), generator(degraded), atol=1e-13, rtol=0)


def test_synchronised_normalisation_folds_too():
    generator = trained(CONFIGS[0])
    expected = fold_batch_norm(generator).state_dict()
    synchronised = torch.nn.SyncBatchNorm.convert_sync_batchnorm(generator)
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in synchronised.modules())
    folded = fold_batch_norm(synchronised).state_dict()
    assert all(torch.equal(folded[name], expected[name]) for name in expected)


@pytest.mark.parametrize("block", ["stacked", "improved"])
def test_without_normalisation_there_is_nothing_to_do(block):
    generator = Generator(GeneratorConfig(width=4, num_blocks=1, block=block))
    assert fold_batch_norm(generator) is generator
