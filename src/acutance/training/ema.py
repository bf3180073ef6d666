"""The moving average of the generator's weights, which is what is validated and shipped."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

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
    def update(
        self, model: Network, *, batch: int, images_seen: int, was_applied: Bool[Tensor, ""] | None = None
    ) -> None:
        """Move the average towards the model by one step's worth, unless the step was refused.

        Args:
            model: After the step.
            batch: Patches of the step.
            images_seen: With the step.
            was_applied: Whether it was, on the device; None: it was.
        """
        share = self.share(batch=batch, images_seen=images_seen)
        if was_applied is None:
            self.move(model, torch.full((), share))
        else:
            self.move(model, share * was_applied.float())

    @torch.no_grad()
    def move(self, model: Network, share: Float[Tensor, ""]) -> None:
        """Move the average towards the model by a share that lies on the device, or on the CPU."""
        # All weights in one call: on a GPU, a call for each would take longer than the arithmetic.
        weights: list[Tensor] = list(self.model.parameters())
        moves = list(torch._foreach_sub(list(model.parameters()), weights))
        torch._foreach_mul_(moves, share)
        torch._foreach_add_(weights, moves)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            if buffer.is_floating_point():
                kept.lerp_(buffer, share.to(buffer))  # moving statistics belong to the weights they were taken with
            else:
                kept.copy_(buffer)
