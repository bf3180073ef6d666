"""A discriminator with the shape of a U: it judges every pixel, with all that lies around it in view.

    3 → 64 → 128 ↓ → 256 ↓ → 512 ↓ → ↑ 256 (+ skip) → ↑ 128 (+ skip) → ↑ 64 (+ skip) → 64 → 64 → 1

It is that of Real-ESRGAN (Wang et al. 2021, after Schönfeld et al. 2020): 3×3 convolutions, 4×4 ones with stride 2 on
the way down, bilinear enlarging on the way up, LeakyReLU 0.2, and spectral normalisation (Miyato et al. 2018) of all
layers between the first and the last, without biases. So its slope is bounded, and it needs no statistics of a batch.
Out comes a map of logits, one per pixel: the generator is told where a patch looks made up.

Not in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from acutance.errors import ConfigError
from acutance.networks.blocks import LEAKY_SLOPE, same_conv
from acutance.networks.discriminator import check_channels, judged_features

DOWN: Final = ((1, 2), (2, 4), (4, 8))
"""Channels before and behind each halving, in units of `width`; enlarging goes the same way back."""

CELL_PX: Final = 1 << len(DOWN)
"""Sides must be multiples of this, so that what is enlarged fits what it is added to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetDiscriminatorConfig:
    """The shape of a discriminator that judges every pixel."""

    kind: Literal["unet"] = "unet"
    width: int = 64
    """Channels of the first layer; the coarsest has eight times as many."""
    patch_px: int = 64
    """Side of the patches that it judges."""
    conditional: bool = False
    """Judge each patch beside the input that it was restored from: is this what was there? Else: is this a photo?"""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: Naming the setting, its value and what is allowed.
        """
        if self.width < 1:
            raise ConfigError(f"discriminator.width = {self.width}: must be at least 1.")
        if self.patch_px < CELL_PX or self.patch_px % CELL_PX:
            raise ConfigError(
                f"discriminator.patch_px = {self.patch_px}: must be a multiple of {CELL_PX} for kind unet, which "
                f"halves {len(DOWN)} times; train on other patches."
            )

    @property
    def channels(self) -> int:
        """Channels that it is given: of a patch, or of a patch and of its input."""
        return 6 if self.conditional else 3


class UNetDiscriminator(nn.Module):
    """How real each pixel of a batch of patches is.

    Takes RGB in [0, 1], gamma space, and centres it on grey. Each patch is judged by itself.
    """

    def __init__(self, config: UNetDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.head = same_conv(config.channels, width)
        self.down = nn.ModuleList(_halving(before * width, behind * width) for before, behind in DOWN)
        self.up = nn.ModuleList(_bounded(behind * width, before * width) for before, behind in reversed(DOWN))
        self.last = nn.ModuleList(_bounded(width, width) for _ in range(2))
        self.logit = same_conv(width, 1)

    def forward(self, patches: Float[Tensor, "n c h w"], batches: int = 1) -> Float[Tensor, "n h w"]:
        """Return one logit per pixel: above 0 where D takes it for real.

        Args:
            patches: RGB in [0, 1]; where D is conditional, six channels: a patch and the input that it was restored
                from. Sides are multiples of `CELL_PX`.
            batches: Batches that follow each other in `patches`; they are judged alike, as nothing is normalised by
                the batch.

        Raises:
            ConfigError: When the patches have other channels or sides.
        """
        check_channels(patches, self.config.channels)
        if any(side % CELL_PX for side in patches.shape[2:]):
            high, wide = patches.shape[2:]
            raise ConfigError(
                f"patches of {high}×{wide} px: a discriminator of kind unet takes multiples of {CELL_PX}."
            )
        features = _active(self.head(judged_features(patches, is_conditional=self.config.conditional)))
        kept = []
        for layer in self.down:
            kept.append(features)
            features = _active(layer(features))
        for layer, skip in zip(self.up, reversed(kept), strict=True):
            larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
            features = _active(layer(larger)) + skip
        for layer in self.last:
            features = _active(layer(features))
        logits: Tensor = self.logit(features)
        return logits.squeeze(1)


def _active(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, LEAKY_SLOPE, inplace=True)


def _halving(before: int, behind: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(before, behind, 4, stride=2, padding=1, bias=False))


def _bounded(before: int, behind: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(before, behind, 3, padding=1, bias=False))
