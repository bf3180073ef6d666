"""Degradation pipelines made of rows: what a TOML file says, as typed stages that run in order on a batch.

The pipeline tells by `margin_px` how much larger than the wanted patch its input must be: blur stages consume it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from acutance.degradations import psf as psfs
from acutance.degradations.draws import check_share, happens
from acutance.degradations.reduce import reduce
from acutance.degradations.stages import Blur, Grain, Jpeg, Noise, Reduce, Stage
from acutance.errors import ConfigError


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


class Degraded(NamedTuple):
    """What became of a batch of sharp patches."""

    degraded: Float[Tensor, "n 3 h w"]
    """Rounded to 8 bit, as a file would be."""
    reference: Float[Tensor, "n 3 hs ws"]
    """The sharp patches themselves, `reduction` times as large."""
    kernels: Float[Tensor, "n s s"] | None
    """What each was blurred with, by the only blur stage; None where there is none, or more than one."""
    noise: Float[Tensor, " n"]
    """Root mean square of what noise, grain and compression added to each, in [0, 1] units."""
    is_linear: Bool[Tensor, " n"]
    """Whether that blur was one of linear light; no patch's is where `kernels` is None."""


def degrade(config: DegradationConfig, sharp: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Degraded:
    """Make training pairs from sharp patches that are `margin_px` larger than wanted on each side.

    Returns:
        The pairs, the kernels that they were made with and in which light, and how strong the noise is.
    """
    margin = config.margin_px
    reference = sharp[..., margin : sharp.shape[-2] - margin, margin : sharp.shape[-1] - margin]
    images, kernels, power = sharp, None, sharp.new_zeros(sharp.shape[0])
    is_linear = torch.zeros_like(power, dtype=torch.bool)
    has_one_blur = sum(isinstance(stage, Blur) for stage in config.stages) == 1
    for stage in config.stages:
        if isinstance(stage, Blur) and has_one_blur:
            kernels = stage.draw(images.shape[0], generator)
            is_linear = stage.draw_light(images.shape[0], generator)
            images = stage.blurred(images, kernels, is_linear)
        else:
            before, images = images, stage.apply(images, generator)
            if isinstance(stage, (Noise, Grain, Jpeg)):
                power = power + (images - before).square().mean(dim=(1, 2, 3))
    degraded = torch.round(images.clamp(0.0, 1.0) * 255.0) / 255.0
    skip = happens(sharp.shape[0], config.untouched, generator).view(-1, 1, 1, 1)
    if kernels is not None:
        sharpest = psfs.delta_psf(kernels.shape[0], radius_px=kernels.shape[-1] // 2, device=kernels.device)
        kernels = torch.where(skip[..., 0], sharpest, kernels)
    untouched = reference
    if config.reduction > 1:
        untouched = torch.round(reduce(reference, config.reduction).clamp(0.0, 1.0) * 255.0) / 255.0
    noise = torch.where(skip.view(-1), 0.0, torch.sqrt(power))
    return Degraded(torch.where(skip, untouched, degraded), reference, kernels, noise, is_linear)
