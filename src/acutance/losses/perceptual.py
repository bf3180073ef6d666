"""The perceptual loss, eq. (4): restored image and truth are to have the same features, not the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor

from acutance.losses.features import (
    PAPER_LAYERS,
    FeaturePair,
    Features,
    Layer,
    Normalisation,
    check_features_config,
    fuse,
    normalised,
)
from acutance.losses.precision import full_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptualConfig:
    """How the perceptual loss is measured; its weight is `objective.perceptual`."""

    layers: tuple[Layer, ...] = PAPER_LAYERS
    """Layers of φ and their shares; the paper fuses pool 2 and pool 5."""
    normalisation: Normalisation = "mean"
    """`mean`: eq. (4) per element; `relative`: divided by the mean square of the truth's features."""

    def __post_init__(self) -> None:
        """Check the layers."""
        check_features_config("perceptual_loss", self.layers, self.normalisation)


def perceptual(
    restored: Features,
    reference: Features,
    *,
    layers: Sequence[Layer] = PAPER_LAYERS,
    normalisation: Normalisation = "mean",
) -> Float[Tensor, ""]:
    """Return the squared distance of features: eq. (4) of the paper, `‖φ(G(I_B)) − φ(I_T)‖²₂`.

    Our reading: "fused" (pool 2 and pool 5, for low and high level) is the weighted sum of one such term per
    layer. Eq. (4) writes a sum over all elements; the mean is taken over the elements (n, c, h, w) of each
    layer, so that the loss depends on neither the size nor the number of the patches, and pool 5 with its one
    position per 24-px patch counts as much as pool 2 with its 36. `normalisation = "relative"` divides each
    layer by the mean square of the truth's features, see `features.normalised`.

    Computed in float32 at least.

    Args:
        restored: Features of `G(I_B)` by layer.
        reference: Features of `I_T` by layer.
        layers: Which layers, with their shares.
        normalisation: How the error of a layer is scaled.

    Returns:
        A scalar from 0 on.

    Raises:
        ConfigError: When a layer is not among the features.
    """
    error = partial(squared_error, normalisation=normalisation)
    return fuse(error, FeaturePair(restored, reference), layers)


def squared_error(
    restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"], *, normalisation: Normalisation
) -> Float[Tensor, ""]:
    """Return the mean squared difference of one layer's features, scaled as asked."""
    truth = full_precision(reference)
    error = (full_precision(restored) - truth).square().mean()
    return normalised(error, lambda: truth.square().mean(), normalisation)
