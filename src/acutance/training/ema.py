"""The moving average of the generator's weights, which is what is validated and shipped."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

RAMP_UP = 0.1
"""Early on the half-life is at most this share of the patches seen, so that the start is forgotten soon."""


class WeightAverage(Generic[Network]):
    """Exponential moving average; its memory is a half-life in patches, so the batch size may change."""

    def __init__(self, model: Network, half_life_kimg: float) -> None:
        self.model: Network = copy.deepcopy(model).eval().requires_grad_(False)
        self._half_life_img = half_life_kimg * 1_000.0

    def share(self, *, batch: int, images_seen: int) -> float:
        """Return how far the average moves towards the model in one step."""
        half_life = min(self._half_life_img, max(images_seen * RAMP_UP, 1e-8))
        return 1.0 - math.pow(0.5, batch / half_life)

    @torch.no_grad()
    def update(self, model: Network, *, batch: int, images_seen: int) -> None:
        """Move the average towards the model by one step's worth."""
        share = self.share(batch=batch, images_seen=images_seen)
        # All weights in one call: on a GPU, a call for each would take longer than the arithmetic.
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), share)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            if buffer.is_floating_point():
                kept.lerp_(buffer, share)  # moving statistics belong to the weights they were taken with
            else:
                kept.copy_(buffer)
