"""Noise has the variance that is asked for, and depends on nothing but its generator."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.noise import add_noise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("brightness", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(("sigma", "gain"), [(2 / 255, 0.0), (0.01, 0.0004), (0.0, 0.001)])
def test_variance_is_the_sum_of_both_parts(brightness, sigma, gain):
    flat = torch.full((1, 3, 200, 200), brightness)
    noise = add_noise(flat, torch.tensor([sigma]), torch.tensor([gain]), seeded()) - flat
    expected = sigma**2 + gain * brightness
    # Of n samples the variance has the relative standard error √(2 / n): 0.4 % here; four of them.
    assert float(noise.var()) == pytest.approx(expected, rel=0.016, abs=1e-12)
    assert abs(float(noise.mean())) <= 4 * (expected / noise.numel()) ** 0.5 + 1e-8


def test_noise_is_white_and_independent_between_channels():
    noise = add_noise(torch.zeros(1, 3, 128, 128), torch.tensor([0.1]), torch.zeros(1), seeded())[0] / 0.1
    for shifted in (noise[:, 1:] * noise[:, :-1], noise[:, :, 1:] * noise[:, :, :-1], noise[1:] * noise[:-1]):
        assert abs(float(shifted.mean())) < 0.025


def test_every_image_has_its_own_strength():
    noisy = add_noise(torch.zeros(3, 3, 64, 64), torch.tensor([0.0, 0.01, 0.1]), torch.zeros(3), seeded())
    assert torch.equal(noisy[0], torch.zeros(3, 64, 64))
    assert float(noisy[1].std()) == pytest.approx(0.01, rel=0.05)
    assert float(noisy[2].std()) == pytest.approx(0.1, rel=0.05)


def test_noise_is_not_clipped_and_overshoot_has_no_negative_variance():
    images = torch.cat([torch.full((1, 3, 32, 32), -0.2), torch.full((1, 3, 32, 32), 1.2)])
    noisy = add_noise(images, torch.full((2,), 0.01), torch.full((2,), 0.01), seeded())
    assert torch.isfinite(noisy).all()
    assert noisy.min() < -0.2
    assert noisy.max() > 1.2
    assert float((noisy[0] + 0.2).std()) == pytest.approx(0.01, rel=0.05)


def test_noise_is_seeded():
    def draw(seed):
        return add_noise(torch.zeros(1, 3, 8, 8), torch.ones(1), torch.zeros(1), seeded(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
