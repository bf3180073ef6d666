"""The loss on grids: against a naive loop, and what it sees and does not see."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.losses.lattice import LatticeConfig, lattice


def pair(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=generator).double(), torch.rand(*shape, generator=generator).double()


def naive(restored, reference, cell, window):
    """One window that covers all cells."""
    error = restored - reference
    rows, columns = (side // cell for side in error.shape[-2:])
    assert window >= max(rows, columns)
    total, count = 0.0, 0
    for image in error:
        for channel in image:
            means = [
                sum(float(channel[r * cell + y, c * cell + x]) for r in range(rows) for c in range(columns))
                / (rows * columns)
                for y in range(cell)
                for x in range(cell)
            ]
            middle = sum(means) / len(means)
            total += sum(abs(mean - middle) for mean in means)
            count += len(means)
    return total / count


@pytest.mark.parametrize(("shape", "cell"), [((1, 3, 8, 8), 2), ((2, 3, 9, 13), 4), ((1, 1, 5, 4), 4)])
def test_it_is_the_spread_over_the_places_of_a_cell(shape, cell):
    restored, reference = pair(*shape)
    expected = naive(restored, reference, cell, window=9)
    assert float(lattice(restored, reference, cell_px=cell, window=9)) == pytest.approx(expected, rel=1e-9)


def test_a_woven_grid_counts_by_its_height():
    reference = torch.full((1, 3, 32, 32), 0.5)
    weave = 0.1 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    assert float(lattice(reference + weave, reference)) == pytest.approx(0.1, rel=1e-5)


def test_another_brightness_is_no_grid():
    reference = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert float(lattice(reference + 0.2, reference)) == pytest.approx(0, abs=1e-6)


def test_noise_counts_far_less_than_a_grid_of_its_energy():
    reference = torch.full((1, 3, 64, 64), 0.5)
    noise = 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    assert float(lattice(reference + noise, reference)) < 0.025


def test_gradients_are_those_of_finite_differences():
    restored, reference = pair(1, 3, 8, 8)
    assert torch.autograd.gradcheck(lattice, (restored.requires_grad_(), reference))


@pytest.mark.parametrize("settings", [{"cell_px": 1}, {"window": 0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError, match="lattice_loss"):
        LatticeConfig(**settings)
