"""The health of the game: figures that tell how it goes, and plain words when it goes badly.

A GAN's losses do not say whether it trains. What does: how often D is right about true and about restored patches, how
strong the gradients are, and whether the output has as much fine detail as the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.training.step_record import StepRecord

WINS_AT = 0.97
"""D is right about so many patches of both kinds: G learns from it no more."""

GUESSES_BELOW = 0.55
"""D is right about fewer: it tells G nothing."""

OVERSHARP_AT = 1.25
"""Gradient energy of the output over that of the truth from which a picture looks over-sharpened."""

EXPLODES_AT = 10.0
"""So many times the usual loss."""


@dataclass(frozen=True, slots=True)
class HealthSummary:
    """Means over the steps since the last look."""

    terms: dict[str, float]
    """Unweighted terms of G's objective."""
    gradient_norm: float
    """Of G."""
    energy_ratio: float
    """Gradient energy of the output over that of the truth."""
    discriminator_loss: float | None = None
    discriminator_gradient_norm: float | None = None
    accuracy_real: float | None = None
    accuracy_fake: float | None = None

    def figures(self) -> dict[str, float]:
        """Return all figures by name, for the record; those of D only where there is one."""
        named = {name: value for name, value in asdict(self).items() if value is not None and name != "terms"}
        return self.terms | named


def health_summary(records: list[StepRecord]) -> HealthSummary:
    """Average the records since the last look; at least one."""
    last = records[-1]
    terms = {name: _mean([record.terms[name] for record in records if name in record.terms]) for name in last.terms}
    games = [record.game for record in records if record.game is not None]
    return HealthSummary(
        terms,
        gradient_norm=_mean([record.gradient_norm for record in records]),
        energy_ratio=_mean([record.energy_ratio for record in records]),
        discriminator_loss=_mean([game.loss for game in games]) if games else None,
        discriminator_gradient_norm=_mean([game.gradient_norm for game in games]) if games else None,
        accuracy_real=_mean([game.accuracy_real for game in games]) if games else None,
        accuracy_fake=_mean([game.accuracy_fake for game in games]) if games else None,
    )


def complaints(now: HealthSummary, *, loss: float, loss_before: float | None) -> dict[str, str]:
    """Say in plain words what goes badly; nothing when all is well.

    Args:
        now: Means since the last look.
        loss: Weighted total since the last look.
        loss_before: The same at the last look; None at the first.

    Returns:
        A sentence per ailment, by the ailment's name.
    """
    found = {}
    # A total below 0 is no explosion: the hinge game and the one of probabilities have such.
    if loss_before is not None and not loss < loss_before + (EXPLODES_AT - 1.0) * abs(loss_before):
        found["explosion"] = f"the loss explodes ({loss:.3g}, before {loss_before:.3g}): lower the learning rates"
    if now.accuracy_real is not None and now.accuracy_fake is not None:
        right = f"it is right about {now.accuracy_real:.0%} of the true and {now.accuracy_fake:.0%} of the restored"
        if min(now.accuracy_real, now.accuracy_fake) >= WINS_AT:
            found["win"] = (
                f"the discriminator wins ({right} patches), so the generator learns little from it: lower its learning "
                "rate or its updates, smooth its labels, or set objective.r1"
            )
        elif 0.5 * (now.accuracy_real + now.accuracy_fake) < GUESSES_BELOW:
            found["collapse"] = (
                f"the discriminator guesses ({right} patches): raise its learning rate or width; early in a run and "
                "for a very good generator this is normal"
            )
    if now.energy_ratio > OVERSHARP_AT:
        found["sharpness"] = (
            f"the output has {now.energy_ratio:.2f} times the gradient energy of the truth: it is over-sharpened; "
            f"{_calmed(now.terms)}"
        )
    return found


def _calmed(terms: Mapping[str, float]) -> str:
    """Say what to do against too much detail, by the terms that are trained with."""
    invents = [f"objective.{name}" for name in ("adversarial", "texture") if name in terms]
    if invents:
        return f"lower {' or '.join(invents)}"
    return "early in a run this is normal; if it stays, lower the learning rates"


def _mean(values: list[Float[Tensor, ""]]) -> float:
    return float(torch.stack([value.float() for value in values]).mean())
