"""Loss terms of the user's own: named in the settings, weighed like any other.

[[objective.own]]
part = "my_parts.py:edges"
weight = 0.1
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, cast

from jaxtyping import Float
from torch import Tensor

from acutance.config.own_parts import load_part, name_of_part, running
from acutance.errors import ConfigError


class OwnLoss(Protocol):
    """What a loss term of one's own must be."""

    def __call__(self, restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return how far a batch is from the truth, as one number that has a gradient.

        Args:
            restored: `G(I_B)`, RGB in [0, 1], gamma space, float32, not clipped.
            reference: The truth, of the same size.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTerm:
    """A row of the settings: which function, and how much it counts."""

    part: str
    """`FILE.py:NAME` or `PACKAGE.MODULE:NAME`; the name is what the term is called in the record."""
    weight: float = 1.0
    """Above 0."""

    def __post_init__(self) -> None:
        """Check the weight, and that the part is there.

        Raises:
            ConfigError: When it is not.
        """
        if not 0 < self.weight < math.inf:
            raise ConfigError(f"objective.own: weight = {self.weight} of {self.part}: must be a number above 0.")
        load_part(self.part)

    @property
    def name(self) -> str:
        """What the term is called."""
        return name_of_part(self.part)


def own_term(term: OwnTerm, restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"]) -> Tensor:
    """Evaluate a term of one's own.

    Raises:
        ConfigError: When it fails, or does not return one number.
    """
    loss = cast(OwnLoss, load_part(term.part))
    with running(term.part):
        value: object = loss(restored, reference)
    if not isinstance(value, Tensor) or value.shape != ():
        given = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"{term.part}: returned {given}; a loss must return one number: take the mean, say.")
    return value
