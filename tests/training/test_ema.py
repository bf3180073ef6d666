"""The average forgets half in a half-life, whatever the batch, and soon forgets the start."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch import nn

from acutance.training.ema import RAMP_UP, WeightAverage


def one(value):
    """Build a model of one number."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


@pytest.mark.parametrize("batch", [1, 8, 50])
def test_half_is_forgotten_in_a_half_life(batch):
    """From 1 towards 0: after 0.4 kimg at a half-life of 0.2 kimg, a quarter is left. The run is long under way."""
    average = WeightAverage(one(1.0), half_life_kimg=0.2)
    for step in range(400 // batch):
        average.update(one(0.0), batch=batch, images_seen=1_000_000 + (step + 1) * batch)
    assert float(average.model.weight) == pytest.approx(0.25, rel=1e-4)


def test_early_on_the_start_is_soon_forgotten():
    """The half-life is at most a share of the patches seen, so a long one does not hold on to the random start."""
    average, seen = WeightAverage(one(1.0), half_life_kimg=1000.0), 0
    for _ in range(50):
        seen += 16
        average.update(one(0.0), batch=16, images_seen=seen)
    assert float(average.model.weight) < 1e-6
    share = 1 - 0.5 ** (16 / (seen * RAMP_UP))  # of the last step
    average = WeightAverage(one(1.0), half_life_kimg=1000.0)
    average.update(one(0.0), batch=16, images_seen=seen)
    assert float(average.model.weight) == pytest.approx(1 - share, rel=1e-5)


def test_the_average_is_another_model_in_evaluation_mode():
    model = one(1.0)
    average = WeightAverage(model, half_life_kimg=1.0)
    nn.init.constant_(model.weight, 5.0)
    assert float(average.model.weight) == 1.0
    assert not average.model.training
    assert not average.model.weight.requires_grad
    assert model.weight.requires_grad


def test_moving_statistics_are_averaged_with_the_weights_and_counters_copied():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, half_life_kimg=0.001)  # a half-life of one patch
    model.running_mean.fill_(3.0)
    model.num_batches_tracked.fill_(7)
    average.update(model, batch=1, images_seen=1_000_000)
    torch.testing.assert_close(average.model.running_mean, torch.full((2,), 1.5))
    assert int(average.model.num_batches_tracked) == 7
