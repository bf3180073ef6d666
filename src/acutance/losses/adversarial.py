"""Adversarial losses: the game between generator and discriminator, eq. (6) and (7), and its later variants.

Everything takes D's *logits*: the sigmoid that the paper draws at the end of D lives here, where
`−log sigmoid(x) = softplus(−x)` neither overflows nor loses its gradient. So the paper's D(x), a probability,
is `sigmoid(logit)`. Losses are means over the logits where eq. (6) and (7) write sums over the N images of a
batch: the batch size is not to change the weights of the objective. Logits may have any shape, a map of
them included. Computed in float32 at least.

`GAMES` is the one place where a kind is bound to its two losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from acutance.errors import ConfigError
from acutance.losses.precision import full_precision

GameKind = Literal["log", "probability", "hinge", "relativistic"]

Logits = Float[Tensor, "..."]

Discriminator = Callable[[Float[Tensor, "n c h w"]], Logits]
"""Images in, logits out."""


@runtime_checkable
class GeneratorTerm(Protocol):
    """What G minimises; only relativistic games look at the truth's logits."""

    def __call__(self, logits_fake: Logits, logits_real: Logits | None = None) -> Float[Tensor, ""]:
        """Return how little D is fooled."""


@runtime_checkable
class DiscriminatorTerm(Protocol):
    """What D minimises."""

    def __call__(self, logits_real: Logits, logits_fake: Logits, *, label_smoothing: float = 0.0) -> Float[Tensor, ""]:
        """Return how often, and how surely, D is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """One kind of game: what each side minimises."""

    generator_term: GeneratorTerm
    discriminator_term: DiscriminatorTerm
    needs_real: bool = False
    """Whether the generator's term needs the truth's logits, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GameConfig:
    """The rules of the game; the weight of its generator's term is `objective.adversarial`."""

    kind: GameKind = "log"
    """`log`: eq. (6), −log D; `probability`: the paper's rewriting −D; `hinge`; `relativistic` average."""
    label_smoothing: float = 0.0
    """D is told of so large a share of the truths that they were generated: 0.1 keeps it from being too sure."""

    def __post_init__(self) -> None:
        """Check kind and range."""
        if self.kind not in GAMES:
            raise ConfigError(f"game.kind = {self.kind!r}: must be one of {', '.join(GAMES)}.")
        if not 0 <= self.label_smoothing < 0.5:  # at a half, D would learn to say nothing
            raise ConfigError(f"game.label_smoothing = {self.label_smoothing}: must lie in [0, 0.5).")


def log_generator_term(logits_fake: Logits, logits_real: Logits | None = None) -> Float[Tensor, ""]:
    """Return the mean of `−log D(G(I_B))`: eq. (6) of the paper, which sums it over the batch.

    The non-saturating loss of Goodfellow et al.: its gradient is largest where D is sure of a fake.

    Returns:
        A scalar from 0 on; log 2 where D cannot tell.
    """
    return _log_loss(full_precision(logits_fake)).mean()


def probability_generator_term(logits_fake: Logits, logits_real: Logits | None = None) -> Float[Tensor, ""]:
    """Return the mean of `−D(G(I_B))`: what the paper rewrites eq. (6) as, to be minimised.

    Our reading: D is the probability, as it is in eq. (6), where its logarithm is taken, and in the paper's
    figure of D, which ends in a sigmoid. (On logits, −D would be the generator's side of `hinge`.) The
    rewriting has the same optimum, but not the same path: its gradient is that of eq. (6) times D, so it
    fades where D is sure of a fake.

    Returns:
        A scalar within −1 … 0; −0.5 where D cannot tell.
    """
    return -torch.sigmoid(full_precision(logits_fake)).mean()


def log_discriminator_term(
    logits_real: Logits, logits_fake: Logits, *, label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return the mean of `−log(1 − D(G(I_B))) − log D(I_T)`: eq. (7) of the paper, which sums it over the batch.

    With `label_smoothing` s, `−log D(I_T)` becomes `−(1 − s)·log D(I_T) − s·log(1 − D(I_T))`: one-sided
    (Salimans et al. 2016), as smoothing the fake's label would keep G where it is.

    Returns:
        A scalar from 0 on; 2·log 2 where D cannot tell. With s > 0 it cannot fall below the entropy of s.
    """
    return _judge(_log_loss, full_precision(logits_real), full_precision(logits_fake), label_smoothing)


def hinge_generator_term(logits_fake: Logits, logits_real: Logits | None = None) -> Float[Tensor, ""]:
    """Return the mean of `−logit(G(I_B))`: the generator's side of the hinge game (Lim & Ye 2017).

    Returns:
        A scalar, unbounded on both sides.
    """
    return -full_precision(logits_fake).mean()


def hinge_discriminator_term(
    logits_real: Logits, logits_fake: Logits, *, label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return the mean of `max(0, 1 − logit(I_T)) + max(0, 1 + logit(G(I_B)))`: D stops once it is right by 1.

    Smoothing is, as for eq. (7), the expectation over truths that are called fake: `(1 − s)·max(0, 1 − x) +
    s·max(0, 1 + x)`.

    Returns:
        A scalar from 0 on; 2 where all logits are 0.
    """
    return _judge(_hinge_loss, full_precision(logits_real), full_precision(logits_fake), label_smoothing)


def relativistic_generator_term(logits_fake: Logits, logits_real: Logits | None = None) -> Float[Tensor, ""]:
    """Return the generator's side of the relativistic average game (Jolicoeur-Martineau 2019; RaGAN).

        −mean log sigmoid(x_f − mean x_r) − mean log(1 − sigmoid(x_r − mean x_f))

    with x the logits of real and fake: fakes are to look more real than the average truth, and truths less real
    than the average fake. The means are over the logits given: a process of several sees its own share.

    Returns:
        A scalar from 0 on; 2·log 2 where D cannot tell.

    Raises:
        ConfigError: When the truth's logits are missing.
    """
    if logits_real is None:
        raise ConfigError("game.kind = 'relativistic': its generator's term needs the logits of the truth, too.")
    real, fake = full_precision(logits_real), full_precision(logits_fake)
    return _judge(_log_loss, fake - real.mean(), real - fake.mean(), 0.0)


def relativistic_discriminator_term(
    logits_real: Logits, logits_fake: Logits, *, label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return the discriminator's side of the relativistic average game: eq. (7) on relative logits.

        −mean log sigmoid(x_r − mean x_f) − mean log(1 − sigmoid(x_f − mean x_r))

    Only differences of logits count: adding a constant to all changes nothing.

    Returns:
        A scalar from 0 on; 2·log 2 where D cannot tell.
    """
    real, fake = full_precision(logits_real), full_precision(logits_fake)
    return _judge(_log_loss, real - fake.mean(), fake - real.mean(), label_smoothing)


def margins(game: GameConfig, logits_real: Logits, logits_fake: Logits) -> tuple[Logits, Logits]:
    """Return the logits of being right about the truth and about the fake: D is right where they are above 0.

    In a relativistic game a logit by itself says nothing; there it counts against the mean of the other side.
    """
    if GAMES[game.kind].needs_real:
        return logits_real - logits_fake.mean(), logits_real.mean() - logits_fake
    return logits_real, -logits_fake


def r1_penalty(discriminator: Discriminator, reference: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Return `½ · mean over images of ‖∇ logit(I_T)‖²`: R1 of Mescheder et al. (2018), whose γ is its weight.

    It flattens D around the truth, without which the game need not come to rest. It is a derivative that is
    differentiated once more: give the discriminator as it is, not compiled (torch.compile has first derivatives
    only). Where an image's logit depends on the others (batch normalisation), those paths count, too.

    Args:
        discriminator: Images in, logits out, any number of them per image.
        reference: Sharp images; no gradient is passed on to them.

    Returns:
        A scalar from 0 on, through which D's weights have a gradient.
    """
    images = full_precision(reference).detach().requires_grad_()
    with torch.enable_grad():
        logits = discriminator(images)
        (slope,) = torch.autograd.grad(full_precision(logits).sum(), images, create_graph=True)
        return 0.5 * full_precision(slope).flatten(1).square().sum(1).mean()


def _log_loss(margin: Logits) -> Logits:
    """Return −log sigmoid(margin); the margin is the logit of being right."""
    return functional.softplus(-margin)


def _hinge_loss(margin: Logits) -> Logits:
    return functional.relu(1.0 - margin)


def _judge(loss: Callable[[Logits], Logits], real: Logits, fake: Logits, smoothing: float) -> Float[Tensor, ""]:
    """Return the loss of calling the first real (but for a share) and the second fake."""
    on_real = (1.0 - smoothing) * loss(real).mean() + smoothing * loss(-real).mean()
    return on_real + loss(-fake).mean()


GAMES: Final[Mapping[GameKind, Game]] = MappingProxyType(
    {
        "log": Game(generator_term=log_generator_term, discriminator_term=log_discriminator_term),
        "probability": Game(generator_term=probability_generator_term, discriminator_term=log_discriminator_term),
        "hinge": Game(generator_term=hinge_generator_term, discriminator_term=hinge_discriminator_term),
        "relativistic": Game(
            generator_term=relativistic_generator_term,
            discriminator_term=relativistic_discriminator_term,
            needs_real=True,
        ),
    }
)
