"""The discriminator D: eight layers, each conv → activation → normalisation, then two fully connected ones.

    3 → 64 ↓64 → 128 ↓128 → 256 ↓256 → 512 ↓512 → FC 1024 → activation → FC 1

The paper fixes the number of layers, their order inside (normalisation last) and the two fully connected ones;
widths, strides (↓: every second layer halves the size) and LeakyReLU 0.2 are SRGAN's. Out come logits: the sigmoid
that the paper ends with is part of the loss, where it can be computed without overflow.

The fully connected layers know where in the patch a feature lies, so D is built for one size of patch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Final, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from acutance.errors import ConfigError
from acutance.networks.blocks import LEAKY_SLOPE, same_conv

NormalisationKind = Literal["batch", "group", "none"]

WIDTHS: Final = (1, 1, 2, 2, 4, 4, 8, 8)
"""Channels of the eight layers, in units of `width`; every second layer has stride 2."""

DIFFERENCE_GAIN: Final = 8.0
"""Of what was changed in the input, before D looks at it: it is a tenth as strong as the picture."""

HALVINGS: Final = len(WIDTHS) // 2

SMALLEST_PATCH_PX: Final = (1 << HALVINGS - 1) + 1
"""Of a smaller patch a single pixel is left before the last stride, which would have nothing to halve."""

CHANNELS_PER_GROUP: Final = 16
"""Of group normalisation; Wu and He (2018) found 16 as good as a fixed number of groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscriminatorConfig:
    """The shape of a discriminator."""

    width: int = 64
    """Channels of the first layer; the last has eight times as many."""
    patch_px: int = 24
    """Side of the patches that it judges; the paper crops 24×24."""
    normalisation: NormalisationKind = "batch"
    """After each activation: `batch` is the paper's; `group` judges every patch by itself; `none`."""
    hidden: int = 1024
    """Width of the first of the two fully connected layers."""
    conditional: bool = False
    """Judge each patch beside the input that it was restored from: is this what was there? Else: is this a photo?"""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: Naming the setting, its value and what is allowed.
        """
        for name in ("width", "hidden"):
            if getattr(self, name) < 1:
                raise ConfigError(f"discriminator.{name} = {getattr(self, name)}: must be at least 1.")
        if self.patch_px < SMALLEST_PATCH_PX:
            raise ConfigError(
                f"discriminator.patch_px = {self.patch_px}: must be at least {SMALLEST_PATCH_PX}, so that something is "
                f"left to halve at the last of its {HALVINGS} strides; train on larger patches."
            )
        if self.normalisation not in get_args(NormalisationKind):
            allowed = ", ".join(get_args(NormalisationKind))
            raise ConfigError(f"discriminator.normalisation = {self.normalisation!r}: must be one of {allowed}.")

    @property
    def channels(self) -> int:
        """Channels that it is given: of a patch, or of a patch and of its input."""
        return 6 if self.conditional else 3

    @property
    def last_px(self) -> int:
        """Side of the last feature map: SAME with stride 2 rounds up, 24 → 12 → 6 → 3 → 2."""
        return -(-self.patch_px // (1 << HALVINGS))


def _group_norm(channels: int) -> nn.GroupNorm:
    # Any width is allowed, so the groups are the largest number that divides both.
    return nn.GroupNorm(math.gcd(channels, max(1, channels // CHANNELS_PER_GROUP)), channels)


_NORMALISATIONS: Final[Mapping[NormalisationKind, Callable[[int], nn.Module]]] = MappingProxyType(
    {"batch": nn.BatchNorm2d, "group": _group_norm, "none": lambda _: nn.Identity()}
)


SMALL_MAP_PX: Final = 3
"""On maps up to this side a layer is all weights: 2.4 million of them for 2×2 places in the last."""


_PLACES: Final = tuple(product(range(3), range(3)))


def convolve(conv: nn.Conv2d, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d _ _"]:
    """Return `conv(features)` for a 3×3 SAME convolution; on small maps in bfloat16 on a CPU, as one matrix product.

    oneDNN's convolutions take up to three times as long there, and more for the weights' gradient.
    """
    height, width = features.shape[2:]
    is_slow = features.device.type == "cpu" and torch.is_autocast_enabled("cpu") and max(height, width) <= SMALL_MAP_PX
    if not is_slow:
        output: Tensor = conv(features)
        return output
    stride = conv.stride[0]
    padded = functional.pad(features, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    shifted = [padded[:, row : row + height : stride, column : column + width : stride] for row, column in _PLACES]
    # Weights lie in memory as (out, row, column, in) where the network is channels-last: then nothing is moved.
    return functional.linear(torch.cat(shifted, dim=-1), conv.weight.permute(0, 2, 3, 1).flatten(1), conv.bias).permute(
        0, 3, 1, 2
    )


class ConvActNorm(nn.Module):
    """One layer of D, in the order that the paper writes: convolution, activation, normalisation."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, normalisation: NormalisationKind) -> None:
        super().__init__()
        self.conv = same_conv(in_channels, out_channels, stride=stride)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE, inplace=True)
        self.norm = _NORMALISATIONS[normalisation](out_channels)

    def forward(self, features: Float[Tensor, "n _ _ _"], batches: int = 1) -> Float[Tensor, "n _ _ _"]:
        """Return `norm(activation(conv(features)))`, each of the batches normalised by itself."""
        active = self.activation(convolve(self.conv, features))
        if batches == 1 or not isinstance(self.norm, nn.BatchNorm2d):
            output: Tensor = self.norm(active)
            return output
        return torch.cat([self.norm(batch) for batch in active.chunk(batches)])


class Discriminator(nn.Module):
    """The paper's discriminator, D in eq. (1): how real each patch of a batch is.

    Takes RGB in [0, 1], gamma space, and centres it on grey, which is also what SAME then pads with. In training mode
    batch normalisation judges a batch as a whole: real and fake patches normalised together would get other logits
    than each by themselves, and D could no longer tell them by their means. So D is told how many batches it is given
    in one pass: convolutions, which read their weights once, take them together, normalisation takes them apart.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * factor for factor in WIDTHS]
        self.layers = nn.ModuleList(
            ConvActNorm(before, after, stride=1 + index % 2, normalisation=config.normalisation)
            for index, (before, after) in enumerate(zip([config.channels, *widths], widths, strict=False))
        )
        self.hidden = nn.Linear(widths[-1] * config.last_px**2, config.hidden)
        self.hidden_activation = nn.LeakyReLU(LEAKY_SLOPE, inplace=True)
        self.logit = nn.Linear(config.hidden, 1)

    def forward(self, patches: Float[Tensor, "n c h w"], batches: int = 1) -> Float[Tensor, " n"]:
        """Return one logit per patch: above 0 where D takes it for real.

        Args:
            patches: RGB in [0, 1]; where D is conditional, six channels: a patch and the input that it was restored
                from.
            batches: So many batches of one size follow each other in `patches`; the logits, and the running statistics,
                are those of a pass for each.

        Raises:
            ConfigError: When the patches are not of the size that D was built for, or are too few for batch
                normalisation.
        """
        self._check(patches, batches)
        features = judged_features(patches, is_conditional=self.config.conditional)
        for layer in self.layers:
            features = layer(features, batches)
        hidden = self.hidden_activation(self.hidden(features.flatten(1)))
        logits: Tensor = self.logit(hidden)
        return logits.squeeze(1)

    def _check(self, patches: Tensor, batches: int) -> None:
        side, config = self.config.patch_px, self.config
        count, (height, width) = patches.shape[0] // batches, patches.shape[2:]
        check_channels(patches, config.channels)
        if (height, width) != (side, side):
            raise ConfigError(
                f"patches of {height}×{width} px: this discriminator was built for {side}×{side}; "
                "set discriminator.patch_px to the size that is trained on."
            )
        if config.normalisation == "batch" and self.training and count * config.last_px**2 == 1:
            raise ConfigError(
                f"one patch of {side}×{side} px leaves batch normalisation one number per channel; "
                "use a batch of 2 or more, or discriminator.normalisation = group."
            )


def check_channels(patches: Float[Tensor, "n c h w"], channels: int) -> None:
    """Check that a discriminator is given what it was built for.

    Raises:
        ConfigError: When it is not.
    """
    if patches.shape[1] != channels:
        raise ConfigError(
            f"patches of {patches.shape[1]} channels: this discriminator takes {channels}; set "
            "discriminator.conditional to whether it is given the input, too."
        )


def judged_features(patches: Float[Tensor, "n c h w"], *, is_conditional: bool) -> Float[Tensor, "n c h w"]:
    """Return what a first layer looks at: the picture centred on grey and, magnified, what was changed in the input."""
    picture = patches[:, :3]
    centred = 2.0 * picture - 1.0
    if not is_conditional:
        return centred
    return torch.cat([centred, DIFFERENCE_GAIN * (picture - patches[:, 3:])], dim=1)
