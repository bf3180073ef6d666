"""The generator's objective: named, weighted terms and their total. Weights live here and nowhere else.

The content stage has one term. The adversarial stage adds perceptual, texture and adversarial terms
beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from acutance.errors import ConfigError
from acutance.losses.content import l1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """Weights of the terms; a weight of 0 leaves the term out."""

    content: float = 1.0
    """Weight of the content loss, eq. (3)."""

    def __post_init__(self) -> None:
        """Check the weights."""
        if not 0 <= self.content < math.inf:
            raise ConfigError(f"objective.content = {self.content}: a weight must be a number from 0 on.")


@dataclass(frozen=True, slots=True)
class GeneratorLoss:
    """The terms of one step, unweighted, and the weighted total that is minimised."""

    terms: dict[str, Float[Tensor, ""]]
    total: Float[Tensor, ""]


def generator_loss(
    config: ObjectiveConfig, restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"]
) -> GeneratorLoss:
    """Evaluate the objective on a batch."""
    content = l1(restored, reference)
    return GeneratorLoss(terms={"content": content}, total=config.content * content)
