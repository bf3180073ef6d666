"""One step of training as a function: players and a batch in, a record of what happened out.

It knows nothing of files, schedules or logs. A step is one round of the paper's game, in which D is updated a few times
and then G once; without a discriminator it trains the generator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from acutance.degradations.blur import blur
from acutance.losses.adversarial import margins, r1_penalty
from acutance.losses.evidence import evidence, pulling
from acutance.losses.features import FeaturePair
from acutance.losses.objective import BlurredPair, ObjectiveConfig, discriminator_loss, generator_loss
from acutance.losses.whole_batch import mean_over_processes
from acutance.training.batch import Batch, Known, parts_of
from acutance.training.guides import restored_by
from acutance.training.moving_statistics import put_back, statistics_of
from acutance.training.step_record import GameRecord, Images, PartRecord, StepRecord, mean_of, part_of, record_of

FeatureExtractor = Callable[[Tensor], Mapping[str, Tensor]]
"""RGB images in [0, 1] → features by layer name: VGG-19 in the paper."""


@dataclass(frozen=True, slots=True)
class Player:
    """A network and what moves it, placed on a device by Fabric."""

    network: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    clip_norm: float = 0.0
    """Largest norm of a step's gradient; 0 leaves it alone."""


def train_step(
    fabric: Fabric,
    generator: Player,
    discriminator: Player | None,
    batch: Batch,
    *,
    objective: ObjectiveConfig,
    features: FeatureExtractor | None = None,
    discriminator_updates: int = 0,
    is_conditional: bool = False,
    weighs_terms: bool = False,
    parts: int = 1,
) -> StepRecord:
    """Play one round, eq. (1) and (2): update D so many times (the paper: twice), then G once.

    An update whose loss or gradient is NaN or infinite is not applied.

    Without batches of D's own, the generator's output is computed once and serves all of the round: G does not change
    while D is updated. The truth's features are computed once, too. In several parts, G's output is computed twice:
    for D as a whole, and part by part with its gradient.

    Args:
        fabric: Where and in what precision.
        generator: G.
        discriminator: D; None trains G alone.
        batch: Degraded and reference, and for D, where it has batches of its own, as many of these as it has updates.
            What is known of its blur is needed where the objective asks for it.
        objective: Of both.
        features: Needed when the objective has a perceptual or texture term.
        discriminator_updates: Of D per update of G.
        is_conditional: Whether D sees the degraded input beside each picture.
        weighs_terms: Measure the gradient of each term at G's output; a backward pass for each.
        parts: The batch goes through the networks in so many parts, one after the other, whose gradients are added up:
            it needs as much less memory.
    """
    statistics = statistics_of(generator.network)
    # For D and G alike. Without D it waits until the gradients of the step before are forgotten: less memory.
    of_whole: Tensor | None = (
        restored_by(generator.network, batch) if discriminator is not None and parts == 1 else None
    )
    record, are_finite = None, []
    if discriminator is not None:
        for shown in _shown_in_turn(generator, batch, of_whole, objective, discriminator_updates, parts=parts):
            to_it = shown if is_conditional else shown._replace(seen=None)
            record, is_finite = _update_discriminator(fabric, discriminator, to_it, objective, parts=parts)
            are_finite.append(is_finite)
        statistics_of_it = statistics_of(discriminator.network)
        discriminator.network.requires_grad_(False)  # its weights' gradients would be computed and thrown away
    told: list[PartRecord] = []

    def losses() -> Iterator[Tensor]:
        for part in parts_of(batch, parts):
            (degraded, reference), known = part.pair, part.known
            restored: Tensor = restored_by(generator.network, part) if of_whole is None else of_whole
            share = _evidence(objective, known)
            shown = restored if share is None else pulling(restored, share)
            seen = degraded if is_conditional else None
            logits_fake, logits_real = _verdicts(discriminator, shown, reference, seen, objective)
            loss = generator_loss(
                objective,
                restored,
                reference,
                features=None if features is None else _features(fabric, features, shown, reference),
                logits_fake=logits_fake,
                logits_real=logits_real,
                blurred_again=_blurred_again(objective, restored, reference, known),
            )
            told.append(part_of(loss.terms, restored, reference, weighs_terms=weighs_terms))
            yield loss.total

    norm, is_finite = descend(fabric, generator, losses(), parts=parts)
    put_back(generator.network, statistics, unless=is_finite)
    if discriminator is not None:
        discriminator.network.requires_grad_(True)
        put_back(discriminator.network, statistics_of_it, unless=is_finite)
    return record_of(fabric, told, norm, torch.stack([*are_finite, is_finite]).all(), game=record)


def _verdicts(
    discriminator: Player | None,
    shown: Images,
    reference: Images,
    seen: Images | None,
    objective: ObjectiveConfig,
) -> tuple[Tensor | None, Tensor | None]:
    """Return what D says of the restored images, and where the game asks for it, of the truth."""
    if discriminator is None:
        return None, None
    logits_fake: Tensor = discriminator.network(_beside(shown, seen))
    if not objective.needs_logits_real:
        return logits_fake, None
    with torch.no_grad():
        logits_real: Tensor = discriminator.network(_beside(reference, seen))
    return logits_fake, logits_real


class Shown(NamedTuple):
    """What D is shown for an update."""

    reference: Images
    fake: Images
    """G's output, without its gradient."""
    seen: Images | None
    """The input, for a D that sees it."""
    share: Float[Tensor, " n"] | None
    """How much each patch counts; None: all alike."""

    def parts(self, count: int) -> Iterator[Shown]:
        """Yield this in so many parts of one size."""
        columns = [[None] * count if values is None else values.chunk(count) for values in self]
        yield from (Shown(*part) for part in zip(*columns, strict=True))


def _shown_in_turn(
    generator: Player, batch: Batch, restored: Tensor | None, objective: ObjectiveConfig, updates: int, *, parts: int
) -> Iterator[Shown]:
    """Yield what D is shown for each update: the batch of the step every time, or a batch of its own."""
    if batch.of_discriminator:
        for number in range(updates):
            yield _shown(generator, batch.of_discriminator[number], None, objective, parts=parts)
        return
    statistics = statistics_of(generator.network)
    shown = _shown(generator, batch, restored, objective, parts=parts)
    if restored is None:
        # The pass that G learns from moves them.
        put_back(generator.network, statistics, unless=torch.zeros((), dtype=torch.bool, device=shown.fake.device))
    for _ in range(updates):
        yield shown


@torch.no_grad()
def _shown(
    generator: Player, batch: Batch, restored: Tensor | None, objective: ObjectiveConfig, *, parts: int
) -> Shown:
    """Restore a batch for D, where it is not yet. G is in training mode: it normalises by the batch, as it learns."""
    degraded, reference = batch.pair
    if restored is None:
        made = [restored_by(generator.network, part) for part in parts_of(batch, parts)]
        restored = made[0] if parts == 1 else torch.cat(made)
    return Shown(reference, restored.detach(), degraded, _evidence(objective, batch.known))


def _update_discriminator(
    fabric: Fabric, discriminator: Player, shown: Shown, objective: ObjectiveConfig, *, parts: int = 1
) -> tuple[GameRecord, Bool[Tensor, ""]]:
    """Update D once, eq. (7); return how it did before the update, and whether the update was applied.

    Patches without evidence teach D nothing, as G does not listen to what it would say of them.
    """
    statistics = statistics_of(discriminator.network)
    told: list[Tensor] = []

    def losses() -> Iterator[Tensor]:
        for reference, fake, seen, share in shown.parts(parts):
            both = torch.cat([_beside(reference, seen), _beside(fake, seen)])
            logits_real, logits_fake = discriminator.network(both, batches=2).chunk(2)
            if share is not None:
                logits_real, logits_fake = pulling(logits_real, share), pulling(logits_fake, share)
            penalty = _penalty(discriminator, reference, seen) if objective.r1 else None
            loss = discriminator_loss(objective, logits_real, logits_fake, gradient_penalty=penalty)
            for_real, for_fake = margins(objective.game, logits_real.detach(), logits_fake.detach())
            right = [_share_of(for_real > 0, share), _share_of(for_fake > 0, share)]
            told.append(torch.stack([loss.terms["discriminator"].detach(), *right]))
            yield loss.total

    norm, is_finite = descend(fabric, discriminator, losses(), parts=parts)
    put_back(discriminator.network, statistics, unless=is_finite)
    figures, accuracy_real, accuracy_fake = mean_of(told).unbind()
    # The norm is that of the mean gradient, which all processes have.
    record = GameRecord(loss=figures, accuracy_real=accuracy_real, accuracy_fake=accuracy_fake, gradient_norm=norm)
    return record, is_finite


def _penalty(discriminator: Player, reference: Images, seen: Images | None) -> Float[Tensor, ""]:
    return r1_penalty(lambda images: discriminator.network(_beside(images, seen)), reference)


def _beside(images: Images, seen: Images | None) -> Float[Tensor, "n _ h w"]:
    """Return what D is shown: the pictures, and beside each the input, where it sees that."""
    return images if seen is None else torch.cat([images, seen], dim=1)


def _share_of(verdicts: Tensor, share: Float[Tensor, " n"] | None) -> Float[Tensor, ""]:
    """Return how large a part of the verdicts holds, those on patches with more evidence counting more."""
    of_patches = verdicts.float().flatten(1).mean(dim=1) if verdicts.ndim > 1 else verdicts.float()
    if share is None:
        return of_patches.mean()
    return (of_patches * share).sum() / share.sum().clamp_min(1e-6)


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


def descend(
    fabric: Fabric, player: Player, losses: Iterable[Float[Tensor, ""]], *, parts: int = 1
) -> tuple[Float[Tensor, ""], Bool[Tensor, ""]]:
    """Move a player's weights down the gradient of a loss, unless it is not finite.

    That is decided on the device: nothing is read back, so nobody waits.

    Args:
        fabric: Where and in what precision.
        player: Whose weights.
        losses: Of the parts of a batch; each is asked for when what the one before needed is free again.
        parts: How many there are; what is minimised is their mean.

    Returns:
        The gradient's norm before clipping, and whether the step was applied.
    """
    for optimizer in player.optimizers:
        optimizer.zero_grad(set_to_none=True)
    values: list[Tensor] = []
    for loss in losses:
        fabric.backward(loss if parts == 1 else loss / parts)
        values.append(loss.detach())
    gradients = [parameter.grad for parameter in player.network.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if player.clip_norm > 0:  # else every gradient would be read and multiplied by one
        nn.utils.clip_grads_with_norm_(player.network.parameters(), player.clip_norm, norm)
    # The loss is asked as well: the gradient of |x| is a sign, and that of NaN looks healthy.
    # All processes ask the same mean, so that all of them take the step or none.
    is_finite = torch.isfinite(norm) & torch.isfinite(mean_over_processes(mean_of(values)))
    refused = 1.0 - is_finite.float()
    for optimizer in player.optimizers:
        of_torch = getattr(optimizer, "optimizer", optimizer)  # within Fabric's
        if hasattr(of_torch, "found_inf"):
            of_torch.found_inf = refused
            optimizer.step()
        elif bool(is_finite):  # an optimiser that cannot refuse by itself
            optimizer.step()
    return norm, is_finite


def _features(fabric: Fabric, extract: FeatureExtractor, restored: Images, reference: Images) -> FeaturePair:
    with fabric.autocast():
        with torch.no_grad():
            truth = extract(reference)
        return FeaturePair(restored=extract(restored), reference=truth)
