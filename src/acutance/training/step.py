"""One step of training as a function: models, optimisers and a batch in, a record of the losses out.

It knows nothing of files, schedules or logs. The adversarial stage adds the discriminator's step beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from acutance.losses.objective import ObjectiveConfig, generator_loss


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step gave."""

    terms: dict[str, Float[Tensor, ""]]
    """Unweighted terms of the objective."""
    gradient_norm: Float[Tensor, ""]
    """Norm of the generator's gradient before clipping."""
    was_applied: bool
    """False when loss or gradient was not finite: the weights were left as they were."""


def content_step(
    fabric: Fabric,
    generator: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    pair: tuple[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]],
    *,
    objective: ObjectiveConfig,
    clip_norm: float,
) -> StepRecord:
    """Minimise the objective once on a (degraded, reference) batch.

    A step whose loss or gradient is NaN or infinite is not applied.
    """
    degraded, reference = pair
    loss = generator_loss(objective, generator(degraded), reference)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss.total)
    limit = clip_norm if clip_norm > 0 else float("inf")
    norm = nn.utils.clip_grad_norm_(generator.parameters(), limit)
    # The loss is asked as well: the gradient of |x| is a sign, and that of NaN looks healthy.
    is_finite = bool(torch.isfinite(norm) & torch.isfinite(loss.total.detach()))
    if is_finite:
        for optimizer in optimizers:
            optimizer.step()
    terms = {name: term.detach() for name, term in loss.terms.items()}
    return StepRecord(terms=terms, gradient_norm=norm.detach(), was_applied=is_finite)
