"""Whitening: the head's first answers are equally strong, uncorrelated and centred."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.networks.whitening import GAIN, whiten_head


@pytest.fixture(scope="module")
def degraded(photo):
    """Photos with the noise of 8 bits and more, so that no direction is empty: `n 3 h w`."""
    pictures = np.stack([photo(48, 48, seed=seed) for seed in range(6)]) / 255.0
    noise = np.random.default_rng(0).normal(0, 0.02, pictures.shape)
    return torch.from_numpy((pictures + noise).transpose(0, 3, 1, 2).astype(np.float32))


def answers(generator, degraded):
    """Collect the head's answers away from the border: values × filters."""
    cells = torch.nn.functional.pixel_unshuffle(degraded, generator.config.unshuffle)
    inner = generator.head(cells)[..., 1:-1, 1:-1]
    return inner.permute(0, 2, 3, 1).flatten(0, 2).detach().double()


@pytest.mark.parametrize(
    "config",
    [
        GeneratorConfig(width=16, unshuffle=2),
        GeneratorConfig(width=12),
        GeneratorConfig(width=12, num_blocks=1, block="classical"),
        GeneratorConfig(width=12, num_blocks=1, block="stacked", activation="relu"),
        GeneratorConfig(width=16, unshuffle=2, num_blocks=1, coarser=(CoarserScale(width=4, num_blocks=1),)),
    ],
    ids=str,
)
def test_answers_are_white(config, degraded):
    generator = Generator(config)
    whiten_head(generator, degraded)
    answered, half = answers(generator, degraded), config.width // 2
    torch.testing.assert_close(answered.mean(dim=0), torch.zeros(config.width).double(), atol=1e-3, rtol=0)
    covariance = torch.cov(answered[:, :half].T) / GAIN**2
    torch.testing.assert_close(covariance, torch.eye(half).double(), atol=0.01, rtol=0)
    torch.testing.assert_close(answered[:, half:], -answered[:, :half], atol=1e-4, rtol=0)


def test_a_random_start_is_far_from_white(degraded):
    torch.manual_seed(0)
    answered = answers(Generator(GeneratorConfig(width=16, unshuffle=2)), degraded)
    correlation = torch.corrcoef(answered.T)
    assert (correlation - torch.eye(16)).abs().mean() > 0.3


def test_more_filters_than_directions_leaves_the_rest_random(degraded):
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=64, head_kernel=1))  # a patch has three values: six filters
    before = generator.head.weight.detach().clone()
    whiten_head(generator, degraded)
    after = generator.head.weight.detach()
    assert torch.equal(after[6:], before[6:])
    assert not torch.equal(after[:6], before[:6])


def test_flat_pictures_do_not_break_it():
    generator = Generator(GeneratorConfig(width=16))
    whiten_head(generator, torch.full((1, 3, 16, 16), 0.5))
    assert all(torch.isfinite(parameter).all() for parameter in generator.parameters())
