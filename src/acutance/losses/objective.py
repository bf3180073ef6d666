"""The objectives of both networks: named terms and their weighted total. Weights live here and nowhere else.

How a term is measured stands beside its function (`content_loss`, `perceptual_loss`, `texture_loss`, `game`);
how much it counts stands here, in one row of numbers. Features and logits come from outside: this room knows no
networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.errors import ConfigError
from acutance.losses.adversarial import GAMES, GameConfig, Logits
from acutance.losses.content import ContentConfig, content_loss, l1
from acutance.losses.evidence import EvidenceConfig
from acutance.losses.features import FeaturePair
from acutance.losses.frequency import FrequencyConfig, focal_frequency
from acutance.losses.lattice import LatticeConfig, lattice
from acutance.losses.own import OwnTerm, own_term
from acutance.losses.perceptual import PerceptualConfig, perceptual
from acutance.losses.texture import TextureConfig, texture

Value = TypeVar("Value")

Images = Float[Tensor, "n c h w"]

BlurredPair = tuple[Float[Tensor, "n c _ _"], Float[Tensor, "n c _ _"]]
"""Restored images and the truth, both blurred with the kernels of their input, and smaller by these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """Weights of the terms, and how each is measured; a weight of 0 leaves its term out.

    The defaults are the content stage. The paper's full loss has all four terms; it gives no weights.
    """

    content: float = 1.0
    """Weight of the content loss, eq. (3)."""
    perceptual: float = 0.0
    """Weight of the perceptual loss, eq. (4)."""
    texture: float = 0.0
    """Weight of the texture loss, eq. (5)."""
    adversarial: float = 0.0
    """Weight of the adversarial loss, eq. (6); 0 means that there is no discriminator."""
    lattice: float = 0.0
    """Weight of the loss on grids of the network's cells. Not in the paper."""
    frequency: float = 0.0
    """Weight of the focal frequency loss. Not in the paper."""
    consistency: float = 0.0
    """Weight of the mean absolute difference of output and truth once both are blurred again, by the kernel that
    blurred the input: what the input still shows must not be invented otherwise. Not in the paper."""
    r1: float = 0.0
    """Weight of the gradient penalty in the discriminator's objective: γ of R1. Not in the paper."""
    content_loss: ContentConfig = field(default_factory=ContentConfig)
    """Which content loss."""
    perceptual_loss: PerceptualConfig = field(default_factory=PerceptualConfig)
    """Layers and normalisation."""
    texture_loss: TextureConfig = field(default_factory=TextureConfig)
    """Layers, patches and normalisation."""
    lattice_loss: LatticeConfig = field(default_factory=LatticeConfig)
    """Side of the cells, and of the neighbourhood."""
    frequency_loss: FrequencyConfig = field(default_factory=FrequencyConfig)
    """How much more the worst frequencies count."""
    own: tuple[OwnTerm, ...] = ()
    """Terms of the user's own: functions in a Python file; they count from the first step on."""
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    """Which patches the perceptual, texture and adversarial terms pull at."""
    game: GameConfig = field(default_factory=GameConfig)
    """The rules between generator and discriminator."""

    def __post_init__(self) -> None:
        """Check the weights."""
        for name, weight in {**self.weights, "r1": self.r1}.items():
            if not 0 <= weight < math.inf:
                raise ConfigError(f"objective.{name} = {weight}: a weight must be a number from 0 on.")
        names = [*(term.name for term in self.own), *TERMS, "discriminator", "r1"]
        for name in (term.name for term in self.own if names.count(term.name) > 1):
            raise ConfigError(f"objective.own: {name} is the name of another term; give the function another name.")
        if not any(self.weights.values()):
            raise ConfigError("objective: all weights are 0, which leaves nothing to minimise; set content = 1, say.")

    @property
    def weights(self) -> dict[str, float]:
        """Return the weights of the generator's terms by name."""
        built_in = {name: float(getattr(self, name)) for name in TERMS}
        return built_in | {term.name: term.weight for term in self.own}

    @property
    def of_warm_up(self) -> ObjectiveConfig:
        """Return the objective of the steps before the game begins: without the terms that belong to it."""
        left_out: dict[str, Any] = {name: 0.0 for name, term in TERMS.items() if not term.is_in_warm_up}
        return replace(self, **left_out)

    @property
    def needs_blur(self) -> bool:
        """Return whether a step must know what its patches were blurred with."""
        return self.consistency > 0 or self.evidence.counts

    @property
    def feature_layers(self) -> tuple[str, ...]:
        """Return the names of all layers whose features are needed, each once; none if no term looks at features."""
        wanted = [layer.name for layer in self.perceptual_loss.layers if self.perceptual]
        wanted += [layer.name for layer in self.texture_loss.layers if self.texture]
        return tuple(dict.fromkeys(wanted))

    @property
    def needs_logits_real(self) -> bool:
        """Return whether the *generator's* step needs the truth's logits, which costs a pass of D."""
        return self.adversarial > 0 and GAMES[self.game.kind].needs_real


@dataclass(frozen=True, slots=True)
class Loss:
    """The terms of one network's step, unweighted, and the weighted total that is minimised."""

    terms: dict[str, Float[Tensor, ""]]
    total: Float[Tensor, ""]


class Given(NamedTuple):
    """What the generator's terms are computed from."""

    config: ObjectiveConfig
    restored: Images
    reference: Images
    features: FeaturePair | None
    logits_fake: Logits | None
    logits_real: Logits | None
    blurred_again: BlurredPair | None


Input = Literal["features", "logits_fake", "blurred_again"]
"""A field of `Given` that a term may need beside the two batches of images."""

INPUTS: Final[Mapping[Input, str]] = MappingProxyType(
    {
        "features": "features",
        "logits_fake": "the logits of the restored images",
        "blurred_again": "both images, blurred again",
    }
)
"""What they are called in words."""


@dataclass(frozen=True, slots=True)
class Term:
    """A row of the table of terms."""

    of: Callable[[Given], Float[Tensor, ""]]
    """Its value, unweighted."""
    needs: Input | None = None
    """What it is computed from beside the images; asked for before it is called, so it is there."""
    is_in_warm_up: bool = True
    """Whether it counts before the game begins (`adversary.warmup_iterations`), too."""


def _content(given: Given) -> Tensor:
    return content_loss(given.config.content_loss)(given.restored, given.reference)


def _perceptual(given: Given) -> Tensor:
    pair, how = given.features, given.config.perceptual_loss
    assert pair is not None
    return perceptual(pair.restored, pair.reference, layers=how.layers, normalisation=how.normalisation)


def _texture(given: Given) -> Tensor:
    pair, how = given.features, given.config.texture_loss
    assert pair is not None
    return texture(
        pair.restored,
        pair.reference,
        layers=how.layers,
        patch=how.patch,
        stride=how.stride,
        normalisation=how.normalisation,
    )


def _adversarial(given: Given) -> Tensor:
    assert given.logits_fake is not None
    return GAMES[given.config.game.kind].generator_term(given.logits_fake, given.logits_real)


def _lattice(given: Given) -> Tensor:
    cells = given.config.lattice_loss
    return lattice(given.restored, given.reference, cell_px=cells.cell_px, window=cells.window)


def _frequency(given: Given) -> Tensor:
    return focal_frequency(given.restored, given.reference, alpha=given.config.frequency_loss.alpha)


def _consistency(given: Given) -> Tensor:
    assert given.blurred_again is not None
    return l1(*given.blurred_again)


TERMS: Final[Mapping[str, Term]] = MappingProxyType(
    {
        "content": Term(_content),
        "perceptual": Term(_perceptual, needs="features", is_in_warm_up=False),
        "texture": Term(_texture, needs="features", is_in_warm_up=False),
        "adversarial": Term(_adversarial, needs="logits_fake", is_in_warm_up=False),
        "lattice": Term(_lattice),
        "frequency": Term(_frequency),
        "consistency": Term(_consistency, needs="blurred_again"),
    }
)
"""The generator's terms; the weight of each is the setting of its name."""


def generator_loss(
    config: ObjectiveConfig,
    restored: Float[Tensor, "n c h w"],
    reference: Float[Tensor, "n c h w"],
    *,
    features: FeaturePair | None = None,
    logits_fake: Logits | None = None,
    logits_real: Logits | None = None,
    blurred_again: BlurredPair | None = None,
) -> Loss:
    """Evaluate the generator's objective on a batch.

    Args:
        config: Weights, and how the terms are measured.
        restored: `G(I_B)`, RGB in [0, 1] (not clipped).
        reference: `I_T`.
        features: Of both, for `config.feature_layers`; needed when there are any.
        logits_fake: D's verdict on `restored`; needed when there is an adversarial term.
        logits_real: D's verdict on `reference`; needed when `config.needs_logits_real`.
        blurred_again: `restored` and `reference`, blurred as the input was; needed when there is a consistency term.

    Returns:
        The terms of `TERMS` whose weight is above 0, those of the user's own, and the total.

    Raises:
        ConfigError: When a term lacks its input.
    """
    given = Given(config, restored, reference, features, logits_fake, logits_real, blurred_again)
    weights = config.weights
    weighed = {name: term for name, term in TERMS.items() if weights[name]}
    for name, term in weighed.items():
        if term.needs is not None:
            _needed(getattr(given, term.needs), name, INPUTS[term.needs])
    terms = {name: term.of(given) for name, term in weighed.items()}
    terms |= {own.name: own_term(own, restored, reference) for own in config.own}
    return Loss(terms=terms, total=_weighted_sum(terms, weights))


def discriminator_loss(
    config: ObjectiveConfig,
    logits_real: Logits,
    logits_fake: Logits,
    *,
    gradient_penalty: Float[Tensor, ""] | None = None,
) -> Loss:
    """Evaluate the discriminator's objective: eq. (7) or its kin, plus R1 where that has a weight.

    Args:
        config: The rules of the game, and the weight of R1.
        logits_real: D's verdict on `I_T`.
        logits_fake: D's verdict on `G(I_B)`, made without G's gradient.
        gradient_penalty: `adversarial.r1_penalty` of the truth; needed when `config.r1` is above 0.

    Returns:
        `discriminator`, and `r1` where it has a weight, and the total.

    Raises:
        ConfigError: When R1 has a weight and no value.
    """
    game = GAMES[config.game.kind]
    verdict = game.discriminator_term(logits_real, logits_fake, label_smoothing=config.game.label_smoothing)
    terms = {"discriminator": verdict}
    if config.r1:
        terms["r1"] = _needed(gradient_penalty, "r1", "the gradient penalty")
    return Loss(terms=terms, total=_weighted_sum(terms, {"discriminator": 1.0, "r1": config.r1}))


def _needed(value: Value | None, name: str, what: str) -> Value:
    if value is None:
        raise ConfigError(f"objective.{name}: this term needs {what}, which the step did not give.")
    return value


def _weighted_sum(terms: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, float]) -> Float[Tensor, ""]:
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()
