"""Moving statistics of normalisation: what a pass forward changes, and a step that is refused must not."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor, nn


def statistics_of(network: nn.Module) -> list[Tensor]:
    """Return copies of a network's buffers, to be put back; none where nothing is normalised by the batch."""
    return [buffer.clone() for buffer in network.buffers()]


@torch.no_grad()
def put_back(network: nn.Module, statistics: list[Tensor], *, unless: Bool[Tensor, ""]) -> None:
    """Give a network the buffers that it had, unless the pass that changed them counts; decided on the device.

    A pass whose values were not finite has left NaN in them, and a moving average never forgets a NaN.
    """
    for buffer, kept in zip(network.buffers(), statistics, strict=True):
        buffer.copy_(torch.where(unless, buffer, kept))
