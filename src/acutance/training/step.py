"""One step of training as a function: players and a batch in, a record of what happened out.

It knows nothing of files, schedules or logs. `content_step` trains the generator alone; `game_step` is one round of the
paper's game: D is updated a few times, then G once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from acutance.degradations.blur import blur
from acutance.losses.adversarial import r1_penalty
from acutance.losses.balance import gradient_norms
from acutance.losses.evidence import evidence, pulling
from acutance.losses.features import FeaturePair
from acutance.losses.objective import BlurredPair, ObjectiveConfig, discriminator_loss, generator_loss
from acutance.losses.whole_batch import mean_over_processes
from acutance.training.moving_statistics import put_back, statistics_of

Images = Float[Tensor, "n 3 h w"]
Pair = tuple[Float[Tensor, "n c h w"], Float[Tensor, "n 3 hs ws"]]
"""Degraded, with its guides where the network takes some, and the reference, `scale` times as large."""


class Known(NamedTuple):
    """What is known of how each patch of a batch was degraded."""

    kernels: Float[Tensor, "n s s"]
    """What it was blurred with."""
    noise: Float[Tensor, " n"]
    """Root mean square of what was added to it, in [0, 1] units."""


class Batch(NamedTuple):
    """What a step is given."""

    pair: Pair
    known: Known | None = None
    """None where no term of the objective asks for it."""
    of_discriminator: tuple[Batch, ...] = ()
    """A batch for each update of D, where it has batches of its own."""


FeatureExtractor = Callable[[Tensor], Mapping[str, Tensor]]
"""RGB images in [0, 1] → features by layer name: VGG-19 in the paper."""


@dataclass(frozen=True, slots=True)
class Player:
    """A network and what moves it, placed on a device by Fabric."""

    network: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    clip_norm: float = 0.0
    """Largest norm of a step's gradient; 0 leaves it alone."""


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
    was_applied: bool
    """False when a loss or gradient was not finite: the weights concerned were left as they were."""
    energy_ratio: Float[Tensor, ""]
    """Gradient energy of the output over that of the truth: 1 is as sharp as the truth."""
    game: GameRecord | None = None
    """Of the discriminator; None in the content stage."""
    pulls: Mapping[str, float] = field(default_factory=dict)
    """Norm of each unweighted term's gradient at G's output, where it was asked for: what weights are chosen from."""


def content_step(
    fabric: Fabric,
    generator: Player,
    pair: Pair,
    *,
    objective: ObjectiveConfig,
    known: Known | None = None,
    weighs_terms: bool = False,
) -> StepRecord:
    """Minimise the objective once on a (degraded, reference) batch.

    A step whose loss or gradient is NaN or infinite is not applied. `known` is needed when `objective.consistency` has
    a weight.
    """
    degraded, reference = pair
    statistics = statistics_of(generator.network)
    restored: Tensor = generator.network(degraded)
    again = _blurred_again(objective, restored, reference, known)
    loss = generator_loss(objective, restored, reference, blurred_again=again)
    pulls = gradient_norms(loss.terms, restored) if weighs_terms else {}
    norm, is_finite = descend(fabric, generator, loss.total)
    if not is_finite:
        put_back(generator.network, statistics)
    return _record(fabric, loss.terms, norm, is_finite, energies=energies(restored, reference), pulls=pulls)


def game_step(
    fabric: Fabric,
    generator: Player,
    discriminator: Player | None,
    batch: Batch,
    *,
    objective: ObjectiveConfig,
    features: FeatureExtractor | None,
    discriminator_updates: int,
    is_conditional: bool = False,
    weighs_terms: bool = False,
) -> StepRecord:
    """Play one round, eq. (1) and (2): update D so many times (the paper: twice), then G once.

    Without batches of D's own, the generator's output is computed once and serves all of the round: G does not change
    while D is updated. The truth's features are computed once, too.

    Args:
        fabric: Where and in what precision.
        generator: G.
        discriminator: D; None when the objective has no adversarial term.
        batch: Degraded and reference, and for D, where it has batches of its own, as many of these as it has updates.
        objective: Of both.
        features: Needed when the objective has a perceptual or texture term.
        discriminator_updates: Of D per update of G.
        is_conditional: Whether D sees the degraded input beside each picture.
        weighs_terms: Measure the gradient of each term at G's output; a backward pass for each.
    """
    (degraded, reference), known, of_discriminator = batch
    statistics = statistics_of(generator.network)
    restored: Tensor = generator.network(degraded)
    fake = restored.detach()
    seen = degraded if is_conditional else None
    share = _evidence(objective, known)
    shown = restored if share is None else pulling(restored, share)
    record, are_finite, logits_fake, logits_real = None, True, None, None
    if discriminator is not None:
        for number in range(discriminator_updates):
            shown_to_it = Shown(reference, fake, seen, share)
            if of_discriminator:
                shown_to_it = _shown(generator, of_discriminator[number], objective, is_conditional=is_conditional)
            record, is_finite = _update_discriminator(fabric, discriminator, shown_to_it, objective)
            are_finite = are_finite and is_finite
        statistics_of_it = statistics_of(discriminator.network)
        discriminator.network.requires_grad_(False)  # its weights' gradients would be computed and thrown away
        logits_fake = discriminator.network(_beside(shown, seen))
        if objective.needs_logits_real:
            with torch.no_grad():
                logits_real = discriminator.network(_beside(reference, seen))
    loss = generator_loss(
        objective,
        restored,
        reference,
        features=None if features is None else _features(fabric, features, shown, reference),
        logits_fake=logits_fake,
        logits_real=logits_real,
        blurred_again=_blurred_again(objective, restored, reference, known),
    )
    pulls = gradient_norms(loss.terms, restored) if weighs_terms else {}
    norm, is_finite = descend(fabric, generator, loss.total)
    if not is_finite:
        put_back(generator.network, statistics)
    if discriminator is not None:
        discriminator.network.requires_grad_(True)
        if not is_finite:
            put_back(discriminator.network, statistics_of_it)
    return _record(
        fabric, loss.terms, norm, are_finite and is_finite, energies=energies(fake, reference), game=record, pulls=pulls
    )


class Shown(NamedTuple):
    """What D is shown for an update."""

    reference: Images
    fake: Images
    """G's output, without its gradient."""
    seen: Images | None
    """The input, for a D that sees it."""
    share: Float[Tensor, " n"] | None
    """How much each patch counts; None: all alike."""


@torch.no_grad()
def _shown(generator: Player, batch: Batch, objective: ObjectiveConfig, *, is_conditional: bool) -> Shown:
    """Restore a batch of D's own. G is in training mode: it normalises by the batch, as where it learns itself."""
    degraded, reference = batch.pair
    fake: Tensor = generator.network(degraded)
    return Shown(reference, fake, degraded if is_conditional else None, _evidence(objective, batch.known))


def _update_discriminator(
    fabric: Fabric, discriminator: Player, shown: Shown, objective: ObjectiveConfig
) -> tuple[GameRecord, bool]:
    """Update D once, eq. (7); return how it did before the update, and whether the update was applied.

    Patches without evidence teach D nothing, as G does not listen to what it would say of them.
    """
    reference, fake, seen, share = shown
    statistics = statistics_of(discriminator.network)
    both = torch.cat([_beside(reference, seen), _beside(fake, seen)])
    logits_real, logits_fake = discriminator.network(both, batches=2).chunk(2)
    if share is not None:
        logits_real, logits_fake = pulling(logits_real, share), pulling(logits_fake, share)
    penalty = (
        r1_penalty(lambda images: discriminator.network(_beside(images, seen)), reference) if objective.r1 else None
    )
    loss = discriminator_loss(objective, logits_real, logits_fake, gradient_penalty=penalty)
    norm, is_finite = descend(fabric, discriminator, loss.total)
    if not is_finite:
        put_back(discriminator.network, statistics)
    record = GameRecord(
        loss=loss.terms["discriminator"].detach(),
        accuracy_real=_share_of(logits_real.detach() > 0, share),
        accuracy_fake=_share_of(logits_fake.detach() < 0, share),
        gradient_norm=norm,  # of the mean gradient, which all processes have
    )
    return record, is_finite


def _beside(images: Images, seen: Images | None) -> Float[Tensor, "n _ h w"]:
    """Return what D is shown: the pictures, and beside each the input, where it sees that."""
    return images if seen is None else torch.cat([images, seen], dim=1)


def _share_of(verdicts: Tensor, share: Float[Tensor, " n"] | None) -> Float[Tensor, ""]:
    """Return how large a part of the verdicts holds, those counting more that have more evidence."""
    if share is None:
        return verdicts.float().mean()
    return (verdicts * share).sum() / share.sum().clamp_min(1e-6)


def _evidence(objective: ObjectiveConfig, known: Known | None) -> Float[Tensor, " n"] | None:
    """Return how hard the terms that ask for crispness may pull at each patch; None: at all alike."""
    if not objective.evidence.counts:
        return None
    assert known is not None, "the objective counts evidence, so the step must be given what is known"
    return evidence(objective.evidence, known.kernels, known.noise)


def _blurred_again(
    objective: ObjectiveConfig, restored: Images, reference: Images, known: Known | None
) -> BlurredPair | None:
    """Blur the output and the truth as the input was: the truth, blurred, is the input without noise and rounding."""
    if not objective.consistency:
        return None
    assert known is not None, "the objective asks for consistency, so the step must be given what is known"
    return blur(restored.float(), known.kernels), blur(reference, known.kernels)


def descend(fabric: Fabric, player: Player, loss: Float[Tensor, ""]) -> tuple[Float[Tensor, ""], bool]:
    """Move a player's weights down the gradient of a loss, unless it is not finite.

    Returns:
        The gradient's norm before clipping, and whether the step was applied.
    """
    for optimizer in player.optimizers:
        optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    gradients = [parameter.grad for parameter in player.network.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if player.clip_norm > 0:  # else every gradient would be read and multiplied by one
        nn.utils.clip_grads_with_norm_(player.network.parameters(), player.clip_norm, norm)
    # The loss is asked as well: the gradient of |x| is a sign, and that of NaN looks healthy.
    # All processes ask the same mean, so that all of them take the step or none.
    is_finite = bool(torch.isfinite(norm) & torch.isfinite(mean_over_processes(loss.detach())))
    if is_finite:
        for optimizer in player.optimizers:
            optimizer.step()
    return norm, is_finite


@torch.no_grad()
def energies(restored: Images, reference: Images) -> Float[Tensor, " 2"]:
    """Return the mean squared difference of neighbours in a batch and in its truth."""

    def energy(images: Tensor) -> Tensor:
        return images.diff(dim=-1).square().mean() + images.diff(dim=-2).square().mean()

    return torch.stack([energy(restored.float()), energy(reference.float())])


def _features(fabric: Fabric, extract: FeatureExtractor, restored: Images, reference: Images) -> FeaturePair:
    with fabric.autocast():
        with torch.no_grad():
            truth = extract(reference)
        return FeaturePair(restored=extract(restored), reference=truth)


def _record(
    fabric: Fabric,
    terms: Mapping[str, Tensor],
    norm: Float[Tensor, ""],
    was_applied: bool,
    *,
    energies: Float[Tensor, " 2"],
    game: GameRecord | None = None,
    pulls: Mapping[str, float],
) -> StepRecord:
    """Note what happened, as means over all processes: one exchange for all figures."""
    detached = {name: term.detach() for name, term in terms.items()}
    if fabric.world_size > 1:
        of_game = [game.loss, game.accuracy_real, game.accuracy_fake] if game is not None else []
        figures = torch.stack([*energies, *of_game, *detached.values()])
        means = mean_over_processes(figures)
        energies = means[:2]
        detached = dict(zip(detached, means[2 + len(of_game) :], strict=True))
        if game is not None:
            game = replace(game, loss=means[2], accuracy_real=means[3], accuracy_fake=means[4])
    return StepRecord(detached, norm, was_applied, energies[0] / energies[1].clamp_min(1e-12), game, pulls)
