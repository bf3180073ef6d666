"""Training pairs: every batch is a function of the seed and the step's number, so there is no random state to save."""

from __future__ import annotations

import torch

from acutance.data.patches import PatchSampler
from acutance.degradations.pipeline import degrade
from acutance.training.config import TrainConfig
from acutance.training.step import Pair

SEED_STRIDE = 1_000_003
"""Prime that keeps the batches of different seeds apart."""

START = -1
"""Number of the "step" before the first, whose randomness the start of the weights uses."""


def batch_generator(config: TrainConfig, iteration: int, device: torch.device) -> torch.Generator:
    """Return the source of randomness of one step."""
    return torch.Generator(device=device).manual_seed(config.seed * SEED_STRIDE + iteration)


def draw_pair(config: TrainConfig, sampler: PatchSampler, iteration: int, *, count: int | None = None) -> Pair:
    """Draw the (degraded, reference) batch of a step, on the sampler's device.

    Args:
        config: Whose degradation and seed.
        sampler: Of patches of `config.source_px`.
        iteration: Number of the step.
        count: Patches; None is the config's batch.
    """
    source = batch_generator(config, iteration, sampler.device)
    return degrade(config.degradation, sampler.draw(count or config.batch, source), source)
