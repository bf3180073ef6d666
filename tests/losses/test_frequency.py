"""The focal frequency loss against answers that can be worked out by hand."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.losses.frequency import FrequencyConfig, focal_frequency
from acutance.losses.objective import ObjectiveConfig, generator_loss


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wave(height, width, rows, columns, amplitude):
    """Give a 1 1 h w cosine with whole numbers of periods."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return amplitude * torch.cos(2 * math.pi * (rows * y / height + columns * x / width))[None, None]


SIZES = [(8, 8), (7, 9), (8, 5), (1, 6)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_without_focus_it_is_the_mean_square(height, width):
    restored, reference = noise(0, 2, 3, height, width), noise(1, 2, 3, height, width)
    expected = (restored - reference).square().mean()
    torch.testing.assert_close(focal_frequency(restored, reference, alpha=0.0), expected)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_one_frequency_costs_its_mean_square_whatever_the_focus(alpha):
    reference = torch.zeros(1, 1, 12, 10, dtype=torch.float64)
    constant = torch.full_like(reference, 0.3)
    torch.testing.assert_close(focal_frequency(constant, reference, alpha=alpha), torch.tensor(0.09).double())
    stripes = wave(12, 10, 2, 3, 0.4)
    torch.testing.assert_close(focal_frequency(stripes, reference, alpha=alpha), torch.tensor(0.08).double())


def test_of_two_frequencies_the_fainter_counts_by_its_share():
    """Amplitudes 0.4 and 0.1: the weights are 1 and (1 / 4)^α."""
    reference = torch.zeros(1, 1, 12, 10, dtype=torch.float64)
    both = wave(12, 10, 2, 3, 0.4) + wave(12, 10, 5, 1, 0.1)
    for alpha in (1.0, 2.0):
        expected = 0.4**2 / 2 + 0.25**alpha * 0.1**2 / 2
        assert float(focal_frequency(both, reference, alpha=alpha)) == pytest.approx(expected)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_half_a_spectrum_gives_what_the_whole_one_gives(height, width):
    restored, reference = noise(0, 2, 3, height, width), noise(1, 2, 3, height, width)
    whole = torch.fft.fft2(restored - reference, norm="ortho").abs()
    weight = whole / whole.amax(dim=(-2, -1), keepdim=True)
    torch.testing.assert_close(focal_frequency(restored, reference), (weight * whole.square()).mean())


def test_every_channel_of_every_patch_is_weighed_by_itself():
    restored, reference = noise(0, 3, 3, 8, 8), noise(1, 3, 3, 8, 8)
    apart = [
        focal_frequency(restored[i : i + 1, j : j + 1], reference[i : i + 1, j : j + 1])
        for i in range(3)
        for j in range(3)
    ]
    torch.testing.assert_close(focal_frequency(restored, reference), torch.stack(apart).mean())


def test_the_weights_carry_no_gradient_and_equal_patches_cost_nothing():
    reference = noise(1, 1, 1, 6, 6)
    restored = noise(0, 1, 1, 6, 6).requires_grad_()
    focal_frequency(restored, reference).backward()
    spectrum = torch.fft.fft2(restored.detach() - reference, norm="ortho")
    weight = spectrum.abs() / spectrum.abs().amax()
    expected = 2 * torch.fft.ifft2(weight * spectrum, norm="ortho").real / 36
    torch.testing.assert_close(restored.grad, expected)

    same = reference.clone().requires_grad_()
    loss = focal_frequency(same, reference)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not same.grad.any()


def test_half_precision_is_computed_in_float32():
    restored, reference = (noise(seed, 1, 3, 8, 8).bfloat16() for seed in (0, 1))
    loss = focal_frequency(restored, reference)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, focal_frequency(restored.float(), reference.float()))


def test_it_is_a_term_of_the_objective():
    restored, reference = noise(0, 2, 3, 8, 8).float(), noise(1, 2, 3, 8, 8).float()
    config = ObjectiveConfig(content=0.0, frequency=2.0, frequency_loss=FrequencyConfig(alpha=0.0))
    loss = generator_loss(config, restored, reference)
    torch.testing.assert_close(loss.total, 2 * (restored - reference).square().mean())
    assert "frequency" in config.of_warm_up.weights


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"frequency_loss\.alpha = -1\.0: must be a number from 0 on"):
        FrequencyConfig(alpha=-1.0)
