"""Degradation pipelines made of rows: what a TOML file says, as typed stages that run in order on a batch.

A stage is a frozen dataclass that holds its settings and knows how to apply itself to a batch; the tag
`kind` names it in TOML. Every stage draws which images it touches and its parameters for each of them; only
those are computed. Blur stages consume a margin: the pipeline tells by `margin_px` how much larger than the
wanted patch its input must be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.degradations import psf as psfs
from acutance.degradations.blur import blur
from acutance.degradations.draws import Spacing, check_range, check_share, happens, uniform
from acutance.degradations.jpeg import jpeg
from acutance.degradations.kernel_bank import kernel_bank
from acutance.degradations.noise import add_noise
from acutance.degradations.reduce import reduce
from acutance.degradations.rescale import rescale
from acutance.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian:
    """Gaussian blur; `anisotropy` above 1 draws an axis that is up to so many times as long as the other."""

    kind: Literal["gaussian"] = "gaussian"
    weight: float = 1.0
    """Share of the draws of its blur stage, relative to the others."""
    sigma_px: tuple[float, float] = (0.3, 4.0)
    """Range of the standard deviation (of the longer axis) in px."""
    spacing: Spacing = "linear"
    """Whether σ is drawn evenly or evenly in its logarithm."""
    anisotropy: float = 1.0
    """Largest ratio of the axes."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("gaussian.sigma_px", self.sigma_px, low=0.05, high=32.0, spacing=self.spacing)
        if not 1.0 <= self.anisotropy <= 16.0:
            raise ConfigError(f"gaussian.anisotropy = {self.anisotropy}: must lie within 1 … 16.")

    @property
    def reach_px(self) -> float:
        """Radius that the widest kernel needs: at 3σ it has fallen to a hundredth."""
        return 3.0 * self.sigma_px[1]

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        sigma = uniform(count, self.sigma_px, generator, spacing=self.spacing)
        ratio = uniform(count, (1.0, self.anisotropy), generator)
        angle = psfs.uniform_angle(count, generator)
        return psfs.gaussian_psf(sigma, sigma / ratio, angle, radius_px=radius_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defocus:
    """Defocus blur: a disk."""

    kind: Literal["defocus"] = "defocus"
    weight: float = 1.0
    """Share of the draws of its blur stage."""
    disk_radius_px: tuple[float, float] = (0.5, 4.0)
    """Range of the disk's radius in px."""

    def __post_init__(self) -> None:
        """Check the range."""
        check_range("defocus.disk_radius_px", self.disk_radius_px, low=0.0, high=64.0)

    @property
    def reach_px(self) -> float:
        """Radius that the widest kernel needs."""
        return self.disk_radius_px[1]

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        return psfs.disk_psf(uniform(count, self.disk_radius_px, generator), radius_px=radius_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shake:
    """Camera shake: a random walk with inertia."""

    kind: Literal["shake"] = "shake"
    weight: float = 1.0
    """Share of the draws of its blur stage."""
    length_px: tuple[float, float] = (3.0, 15.0)
    """Range of the path's extent in px; its softening adds one on each side."""
    inertia: float = 0.9
    """Share of the velocity kept between two of the path's points; nearer 1 is straighter."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("shake.length_px", self.length_px, low=0.0, high=128.0)
        if not 0.0 <= self.inertia < 1.0:
            raise ConfigError(f"shake.inertia = {self.inertia}: must lie in [0, 1).")

    @property
    def reach_px(self) -> float:
        """Radius that the longest path needs: half its extent, to the next whole pixel, and one for its softening."""
        return self.length_px[1] / 2.0 + 1.0

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        length = uniform(count, self.length_px, generator)
        return psfs.shake_psf(length, inertia=self.inertia, radius_px=radius_px, generator=generator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Kernels measured elsewhere, from a NumPy `.npz` file of 2-D arrays; one is drawn per image."""

    file: Path
    """The `.npz` file."""
    kind: Literal["measured"] = "measured"
    weight: float = 1.0
    """Share of the draws of its blur stage."""
    reach_px: ClassVar[float] = 0.0
    """Known only once the file is read; kernels too large are left out then."""

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        bank = kernel_bank(self.file, radius_px).to(generator.device)
        choice = torch.randint(bank.shape[0], (count,), generator=generator, device=generator.device)
        return bank[choice]


BlurRow = Gaussian | Defocus | Shake | Measured


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

    def __post_init__(self) -> None:
        """Check that there is something to draw from."""
        check_share("blur.probability", self.probability)
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

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h2 w2"]:
        """Blur a batch, each image with its own kernel.

        Every kind is drawn for every image and one is kept: kernels are small, and drawing them all costs
        less than sorting the images by kind.
        """
        count = images.shape[0]
        weights = torch.tensor([row.weight for row in self.choices], device=generator.device)
        choice = torch.multinomial(weights, count, replacement=True, generator=generator)
        kernels = torch.stack([row.draw(count, self.radius_px, generator) for row in self.choices])
        picked = kernels[choice, torch.arange(count, device=generator.device)]
        keep = happens(count, self.probability, generator).view(-1, 1, 1)
        untouched = psfs.delta_psf(count, radius_px=self.radius_px, device=images.device)
        return blur(images, torch.where(keep, picked, untouched))


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
    signal_gain: tuple[float, float] = (0.0, 0.0)
    """Range of the variance per unit of brightness."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_share("noise.probability", self.probability)
        check_range("noise.noise_sigma", self.noise_sigma, low=0.0, high=1.0)
        check_range("noise.signal_gain", self.signal_gain, low=0.0, high=1.0)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Add noise to a batch."""
        chosen = happens(images.shape[0], self.probability, generator).nonzero().squeeze(1)
        sigma = uniform(chosen.shape[0], self.noise_sigma, generator)
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


Stage = Blur | Reduce | Rescale | Noise | Jpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationConfig:
    """A pipeline: stages in order, and a share of patches that stay as they are."""

    stages: tuple[Stage, ...]
    """What is done, in order."""
    untouched: float = 0.0
    """Share of the patches that skip every stage: a sharpener must not spoil what is sharp."""

    def __post_init__(self) -> None:
        """Check the share, and that nothing that consumes a margin comes after the reduction."""
        check_share("degradation.untouched", self.untouched)
        is_reduced = False
        for stage in self.stages:
            if isinstance(stage, (Blur, Reduce)) and is_reduced:
                raise ConfigError("degradation.stages: reduce must come once, and after every blur.")
            is_reduced |= isinstance(stage, Reduce)

    @property
    def reduction(self) -> int:
        """How many times smaller the degraded picture is than the reference."""
        return math.prod(stage.factor for stage in self.stages if isinstance(stage, Reduce))

    @property
    def margin_px(self) -> int:
        """How much larger, on each side, the input must be than the wanted patch."""
        return sum(stage.margin_px for stage in self.stages)


def degrade(
    config: DegradationConfig, sharp: Float[Tensor, "n 3 h w"], generator: torch.Generator
) -> tuple[Float[Tensor, "n 3 h2 w2"], Float[Tensor, "n 3 h3 w3"]]:
    """Make a training pair from sharp patches that are `margin_px` larger than wanted on each side.

    Returns:
        The degraded patch, rounded to 8 bit as a file would be, and the reference, `reduction` times as large.
    """
    margin = config.margin_px
    reference = sharp[..., margin : sharp.shape[-2] - margin, margin : sharp.shape[-1] - margin]
    images = sharp
    for stage in config.stages:
        images = stage.apply(images, generator)
    degraded = torch.round(images.clamp(0.0, 1.0) * 255.0) / 255.0
    skip = happens(sharp.shape[0], config.untouched, generator).view(-1, 1, 1, 1)
    untouched = reference
    if config.reduction > 1:
        untouched = torch.round(reduce(reference, config.reduction).clamp(0.0, 1.0) * 255.0) / 255.0
    return torch.where(skip, untouched, degraded), reference
