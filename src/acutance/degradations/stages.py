"""Stages of a pipeline: each holds its settings and knows how to apply itself to a batch.

The tag `kind` names a stage in TOML. Every stage draws which images it touches and its parameters for each of them;
only those are computed. Blur stages consume a margin, which `margin_px` tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from acutance.degradations import psf as psfs
from acutance.degradations.blur import blur, smoothed
from acutance.degradations.blur_rows import BlurRow
from acutance.degradations.draws import Spacing, check_range, check_share, happens, uniform
from acutance.degradations.jpeg import jpeg
from acutance.degradations.light import to_gamma, to_linear
from acutance.degradations.noise import add_grain, add_noise
from acutance.degradations.own import Own
from acutance.degradations.reduce import reduce
from acutance.degradations.rescale import rescale
from acutance.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur:
    """A blur stage: every image gets a kernel of one of the `choices`, drawn by their weights."""

    choices: tuple[BlurRow, ...]
    """The kinds to draw from."""
    kind: Literal["blur"] = "blur"
    probability: float = 1.0
    """Share of the images that are blurred at all."""
    radius_px: int = 16
    """Radius of the kernels: 4σ of the widest Gaussian, half the longest path and 1 px."""
    linear_share: float = 0.0
    """Share of the images that are blurred in linear light (sRGB's curve), as a lens does, not in gamma space."""

    def __post_init__(self) -> None:
        """Check that there is something to draw from."""
        check_share("blur.probability", self.probability)
        check_share("blur.linear_share", self.linear_share)
        if not all(0 <= row.weight < math.inf for row in self.choices) or not any(row.weight for row in self.choices):
            raise ConfigError("blur.choices: must hold a row of positive weight, and none of negative weight.")
        if self.radius_px < 1:
            raise ConfigError(f"blur.radius_px = {self.radius_px}: must be at least 1.")
        for row in self.choices:
            if row.weight and row.reach_px > self.radius_px:
                raise ConfigError(
                    f"blur.radius_px = {self.radius_px}: cuts off {row.kind} kernels, which reach {row.reach_px:g} px; "
                    "raise it, or narrow their range."
                )

    @property
    def margin_px(self) -> int:
        """Pixels consumed on each side."""
        return self.radius_px

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw a kernel for each of a batch of images.

        Every kind is drawn for every image and one is kept: kernels are small, and drawing them all costs
        less than sorting the images by kind.
        """
        weights = torch.tensor([row.weight for row in self.choices], device=generator.device)
        choice = torch.multinomial(weights, count, replacement=True, generator=generator)
        kernels = torch.stack([row.draw(count, self.radius_px, generator) for row in self.choices])
        picked = kernels[choice, torch.arange(count, device=generator.device)]
        keep = happens(count, self.probability, generator).view(-1, 1, 1)
        untouched = psfs.delta_psf(count, radius_px=self.radius_px, device=generator.device)
        return torch.where(keep, picked, untouched)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h2 w2"]:
        """Blur a batch, each image with its own kernel."""
        count = images.shape[0]
        return self.blurred(images, self.draw(count, generator), self.draw_light(count, generator))

    def draw_light(self, count: int, generator: torch.Generator) -> Bool[Tensor, " n"]:
        """Draw which of a batch of images are blurred in linear light."""
        if not self.linear_share:
            return torch.zeros(count, dtype=torch.bool, device=generator.device)
        return happens(count, self.linear_share, generator)

    def blurred(
        self, images: Float[Tensor, "n 3 h w"], kernels: Float[Tensor, "n s s"], is_linear: Bool[Tensor, " n"]
    ) -> Float[Tensor, "n 3 h2 w2"]:
        """Blur a batch with kernels that were drawn, in gamma space or in linear light."""
        if not self.linear_share:
            return blur(images, kernels)
        in_light = is_linear.view(-1, 1, 1, 1)
        blurred = blur(torch.where(in_light, to_linear(images), images), kernels)
        return torch.where(in_light, to_gamma(blurred), blurred)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce:
    """Reduction by a whole factor, for networks that enlarge: every image, the untouched ones included."""

    kind: Literal["reduce"] = "reduce"
    factor: Literal[2] = 2
    """How many times smaller the picture becomes: the generator's `scale`."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 hs ws"]:
        """Reduce a batch; nothing is drawn."""
        del generator
        return reduce(images, self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale:
    """Down-and-up scaling by a random factor."""

    kind: Literal["rescale"] = "rescale"
    probability: float = 0.2
    """Share of the images."""
    factor: tuple[float, float] = (1.0, 2.0)
    """Range of the reduction."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def __post_init__(self) -> None:
        """Check the range."""
        check_share("rescale.probability", self.probability)
        check_range("rescale.factor", self.factor, low=1.0, high=8.0)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Reduce and enlarge a batch."""
        chosen = happens(images.shape[0], self.probability, generator).nonzero().squeeze(1)
        factor = uniform(chosen.shape[0], self.factor, generator)
        return images.index_copy(0, chosen, rescale(images[chosen], factor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Sensor noise: a part that is always there and one that grows with brightness."""

    kind: Literal["noise"] = "noise"
    probability: float = 0.2
    """Share of the images."""
    noise_sigma: tuple[float, float] = (0.0, 0.01)
    """Range of the standard deviation in the dark, in [0, 1] units."""
    spacing: Spacing = "linear"
    """Whether it is drawn evenly or evenly in its logarithm."""
    signal_gain: tuple[float, float] = (0.0, 0.0)
    """Range of the variance per unit of brightness."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_share("noise.probability", self.probability)
        check_range("noise.noise_sigma", self.noise_sigma, low=0.0, high=1.0, spacing=self.spacing)
        check_range("noise.signal_gain", self.signal_gain, low=0.0, high=1.0)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Add noise to a batch."""
        chosen = happens(images.shape[0], self.probability, generator).nonzero().squeeze(1)
        sigma = uniform(chosen.shape[0], self.noise_sigma, generator, spacing=self.spacing)
        gain = uniform(chosen.shape[0], self.signal_gain, generator)
        return images.index_copy(0, chosen, add_noise(images[chosen], sigma, gain, generator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """JPEG compression at a random quality."""

    kind: Literal["jpeg"] = "jpeg"
    probability: float = 0.2
    """Share of the images."""
    quality: tuple[float, float] = (50.0, 95.0)
    """Range of the IJG quality."""
    subsampled: float = 0.7
    """Share of the compressed images whose chroma is halved (4:2:0)."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def __post_init__(self) -> None:
        """Check the range."""
        check_share("jpeg.probability", self.probability)
        check_share("jpeg.subsampled", self.subsampled)
        check_range("jpeg.quality", self.quality, low=1.0, high=100.0)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Compress a batch."""
        chosen = happens(images.shape[0], self.probability, generator).nonzero().squeeze(1)
        quality = uniform(chosen.shape[0], self.quality, generator)
        is_subsampled = happens(chosen.shape[0], self.subsampled, generator)
        return images.index_copy(0, chosen, jpeg(images[chosen], quality, is_subsampled))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """Grain: noise whose neighbours are alike, as film has it, and sensors after their colours were interpolated."""

    kind: Literal["grain"] = "grain"
    probability: float = 0.2
    """Share of the images."""
    grain_sigma: tuple[float, float] = (0.0, 0.04)
    """Range of its standard deviation, in [0, 1] units."""
    size_px: tuple[float, float] = (0.4, 1.0)
    """Range of the σ in px that white noise is blurred with, and then scaled back."""
    colour: tuple[float, float] = (0.0, 0.7)
    """Range of the share of its standard deviation that differs between the channels."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_share("grain.probability", self.probability)
        check_range("grain.grain_sigma", self.grain_sigma, low=0.0, high=1.0)
        check_range("grain.size_px", self.size_px, low=0.05, high=2.0)
        check_range("grain.colour", self.colour, low=0.0, high=1.0)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Add grain to a batch."""
        chosen = happens(images.shape[0], self.probability, generator).nonzero().squeeze(1)
        sigma = uniform(chosen.shape[0], self.grain_sigma, generator)
        size = uniform(chosen.shape[0], self.size_px, generator)
        colour = uniform(chosen.shape[0], self.colour, generator)
        return images.index_copy(0, chosen, add_grain(images[chosen], sigma, size, colour, generator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsharp:
    """Sharpening in the camera: an unsharp mask, with the halos that it leaves."""

    kind: Literal["unsharp"] = "unsharp"
    probability: float = 0.2
    """Share of the images."""
    amount: tuple[float, float] = (0.1, 0.8)
    """Range of how much of the difference to the blurred picture is added."""
    sigma_px: tuple[float, float] = (0.7, 1.5)
    """Range of the σ of the Gaussian in px."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_share("unsharp.probability", self.probability)
        check_range("unsharp.amount", self.amount, low=0.0, high=4.0)
        check_range("unsharp.sigma_px", self.sigma_px, low=0.05, high=2.0)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Sharpen a batch."""
        chosen = happens(images.shape[0], self.probability, generator).nonzero().squeeze(1)
        amount = uniform(chosen.shape[0], self.amount, generator).view(-1, 1, 1, 1)
        sigma = uniform(chosen.shape[0], self.sigma_px, generator)
        picked = images[chosen]
        return images.index_copy(0, chosen, picked + amount * (picked - smoothed(picked, sigma)))


Stage = Blur | Reduce | Rescale | Noise | Grain | Unsharp | Jpeg | Own
