"""What a step says of itself: the terms, the gradient's norm, how the game went; means over parts and processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor

from acutance.losses.balance import gradient_norms
from acutance.losses.whole_batch import mean_over_processes

Images = Float[Tensor, "n 3 h w"]


@dataclass(frozen=True, slots=True)
class GameRecord:
    """How the round went for the discriminator, in its last update."""

    loss: Float[Tensor, ""]
    accuracy_real: Float[Tensor, ""]
    """Share of the true patches that it took for real."""
    accuracy_fake: Float[Tensor, ""]
    """Share of the restored patches that it took for made up."""
    gradient_norm: Float[Tensor, ""]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step gave."""

    terms: dict[str, Float[Tensor, ""]]
    """Unweighted terms of the generator's objective."""
    gradient_norm: Float[Tensor, ""]
    """Norm of the generator's gradient before clipping."""
    was_applied: Bool[Tensor, ""]
    """False when a loss or gradient was not finite: the weights concerned were left as they were. On the device: who
    asks, waits."""
    energy_ratio: Float[Tensor, ""]
    """Gradient energy of the output over that of the truth: 1 is as sharp as the truth."""
    game: GameRecord | None = None
    """Of the discriminator; None in the content stage."""
    pulls: Mapping[str, float] = field(default_factory=dict)
    """Norm of each unweighted term's gradient at G's output, where it was asked for: what weights are chosen from."""


class PartRecord(NamedTuple):
    """What a part of a batch gave."""

    terms: dict[str, Float[Tensor, ""]]
    energies: Float[Tensor, " 2"]
    pulls: Mapping[str, float]


def part_of(terms: Mapping[str, Tensor], restored: Images, reference: Images, *, weighs_terms: bool) -> PartRecord:
    """Note what a part of a batch gave; with `weighs_terms` also how hard each term pulls."""
    pulls = gradient_norms(terms, restored) if weighs_terms else {}
    detached = {name: term.detach() for name, term in terms.items()}
    return PartRecord(detached, energies(restored.detach(), reference), pulls)


def record_of(
    fabric: Fabric,
    told: Sequence[PartRecord],
    norm: Float[Tensor, ""],
    was_applied: Bool[Tensor, ""],
    *,
    game: GameRecord | None = None,
) -> StepRecord:
    """Note what happened, as means over all parts and processes: one exchange for all figures."""
    of_parts = mean_of([part.energies for part in told])
    terms = {name: mean_of([part.terms[name] for part in told]) for name in told[0].terms}
    # At G's output the gradient of a mean of parts is that of each part, divided by their number, side by side.
    pulls = {name: math.hypot(*(part.pulls[name] for part in told)) / len(told) for name in told[0].pulls}
    if fabric.world_size > 1:
        of_game = [game.loss, game.accuracy_real, game.accuracy_fake] if game is not None else []
        figures = torch.stack([*of_parts, *of_game, *terms.values()])
        means = mean_over_processes(figures)
        of_parts = means[:2]
        terms = dict(zip(terms, means[2 + len(of_game) :], strict=True))
        if game is not None:
            game = replace(game, loss=means[2], accuracy_real=means[3], accuracy_fake=means[4])
    return StepRecord(terms, norm, was_applied, of_parts[0] / of_parts[1].clamp_min(1e-12), game, pulls)


def mean_of(values: Sequence[Float[Tensor, "*shape"]]) -> Float[Tensor, "*shape"]:
    """Return the mean of tensors of one shape; of one, itself."""
    return values[0] if len(values) == 1 else torch.stack(list(values)).mean(dim=0)


@torch.no_grad()
def energies(restored: Images, reference: Images) -> Float[Tensor, " 2"]:
    """Return the mean squared difference of neighbours in a batch and in its truth."""

    def energy(images: Tensor) -> Tensor:
        return images.diff(dim=-1).square().mean() + images.diff(dim=-2).square().mean()

    return torch.stack([energy(restored.float()), energy(reference.float())])
