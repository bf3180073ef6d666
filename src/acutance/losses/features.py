"""What the losses on features share: layers with weights, and how an error is normalised.

Features are given as a mapping from a layer's name to its map. Where they come from, this room does not know:
the paper takes a pretrained VGG-19, and names its layers as the literature does (`relu1_2`, `pool5`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.errors import ConfigError
from acutance.losses.whole_batch import mean_over_processes

Features = Mapping[str, Float[Tensor, "n _ _ _"]]
"""The maps (n c h w) of one batch by the name of their layer; every layer has its own c, h and w."""

Normalisation = Literal["mean", "relative"]
"""How a sum of squared errors becomes one number: see `normalised`."""

MEAN_SQUARE_FLOOR = 1e-8
"""`relative` divides by no less: features that are 0 throughout have no size to measure an error by."""


@dataclass(frozen=True, slots=True)
class FeaturePair:
    """Features of the restored images, which carry G's gradient, and of the truth, which need none."""

    restored: Features
    reference: Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer that a loss looks at."""

    name: str
    """As in the literature: `relu1_2`, `conv3_4`, `pool5`."""
    weight: float = 1.0
    """Share of this layer in its loss, relative to the others."""

    def __post_init__(self) -> None:
        """Check name and weight."""
        if not self.name:
            raise ConfigError("layers: a layer must have a name, such as pool2.")
        if not 0 < self.weight < math.inf:
            raise ConfigError(
                f"layers: weight {self.weight} of {self.name} must be a number above 0; to drop a layer, leave it out."
            )


PAPER_LAYERS = (Layer(name="pool2"), Layer(name="pool5"))
"""The paper's φ: VGG-19's 2nd and 5th pooling layer, fused."""


def check_features_config(name: str, layers: Sequence[Layer], normalisation: str) -> None:
    """Refuse settings of a loss on features that cannot be meant, by the name of the loss.

    Raises:
        ConfigError: When there is no layer, one is named twice, or the normalisation is not known.
    """
    names = [layer.name for layer in layers]
    if not names:
        raise ConfigError(f"{name}.layers = []: must name a layer; a loss is left out by weight 0.")
    if len(set(names)) < len(names):
        raise ConfigError(f"{name}.layers = {names}: must name each layer once.")
    if normalisation not in get_args(Normalisation):
        allowed = ", ".join(get_args(Normalisation))
        raise ConfigError(f"{name}.normalisation = {normalisation!r}: must be one of {allowed}.")


def normalised(
    error: Float[Tensor, ""], reference_mean_square: Callable[[], Float[Tensor, ""]], normalisation: Normalisation
) -> Float[Tensor, ""]:
    """Bring a mean squared error to the size that the settings ask for.

    `mean` leaves it. `relative` divides it by the mean square of what it was measured on, taken of the truth
    over the whole batch (of all processes, where several share it): then 1 is as far off as no features at all,
    layers of very different magnitude count alike, and the weights of the objective hold for either convention
    of VGG-19's input (0 … 255 or standardised), whose features need not be of one size.
    """
    if normalisation == "mean":
        return error
    return error / mean_over_processes(reference_mean_square()).clamp_min(MEAN_SQUARE_FLOOR)


def fuse(
    error: Callable[[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]], Float[Tensor, ""]],
    pair: FeaturePair,
    layers: Sequence[Layer],
) -> Float[Tensor, ""]:
    """Return the weighted sum of an error over layers.

    Raises:
        ConfigError: When a layer is not among the features, naming it.
    """
    for layer in layers:
        if layer.name not in pair.restored or layer.name not in pair.reference:
            there = ", ".join(pair.restored.keys() & pair.reference.keys()) or "none"
            raise ConfigError(f"layer {layer.name!r}: its features were not given (given: {there}).")
    terms = [layer.weight * error(pair.restored[layer.name], pair.reference[layer.name]) for layer in layers]
    return torch.stack(terms).sum()
