"""How much of the truth a blurred patch still tells, and losses that count by it.

Terms that ask for crispness (features, textures, a discriminator) reward detail wherever it is missing. Where the
input still tells what was there, the network learns to draw that; where it does not, it draws hatching, weaves and
letters that never stood there. So each patch pulls by its evidence: little where the blur is wide, where it is the
trace of a motion, and where noise covers what is left. There the content loss alone trains.

Not in the paper, whose blur is one Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.errors import ConfigError

Fall = tuple[float, float]
"""Up to the first value all counts, from the second on nothing; in between, evenly less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceConfig:
    """What takes the evidence from a patch; the default takes none from any, as in the paper."""

    counts: bool = False
    """Whether the perceptual, texture and adversarial terms pull by evidence."""
    blur_px: Fall = (2.2, 3.2)
    """Standard deviation of the kernel along its longer axis, px."""
    motion_px: Fall = (0.5, 1.2)
    """How much longer than wide it is: the root of the difference of its two variances, px."""
    noise: Fall = (0.006, 0.016)
    """Root mean square of what noise, grain and compression added, in [0, 1] units."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("blur_px", "motion_px", "noise"):
            full, none = getattr(self, name)
            if not 0 <= full < none:  # "not <" refuses NaN, too
                raise ConfigError(
                    f"objective.evidence.{name} = [{full}, {none}]: must rise, from 0 on; all counts up to the first."
                )


def evidence(
    config: EvidenceConfig, kernels: Float[Tensor, "n s s"], noise: Float[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Return how much each patch counts, 0 … 1.

    Args:
        config: What takes how much.
        kernels: What each patch was blurred with; unit sum, s odd.
        noise: Root mean square of what was added to it, in [0, 1] units.
    """
    longer, elongation = spread(kernels)
    return _left(config.blur_px, longer) * _left(config.motion_px, elongation) * _left(config.noise, noise)


def spread(kernels: Float[Tensor, "n s s"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return the standard deviation of kernels along their longer axis, and how much longer than wide they are, in px.

    The second is the root of the difference of the variances along and across: 0 for round kernels, 0.29 of its length
    for a straight line.
    """
    side = kernels.shape[-1]
    axis = torch.arange(side, device=kernels.device, dtype=kernels.dtype) - side // 2
    rows, columns = kernels.sum(dim=-1), kernels.sum(dim=-2)
    y, x = (rows * axis).sum(dim=-1), (columns * axis).sum(dim=-1)
    yy, xx = (rows * axis**2).sum(dim=-1) - y**2, (columns * axis**2).sum(dim=-1) - x**2
    xy = (kernels * axis[:, None] * axis[None, :]).sum(dim=(-2, -1)) - x * y
    difference = torch.sqrt((xx - yy) ** 2 + 4.0 * xy**2)
    longer = 0.5 * (xx + yy + difference)
    return torch.sqrt(longer.clamp_min(0.0)), torch.sqrt(difference)


def pulling(values: Float[Tensor, "*shape"], share: Float[Tensor, " n"]) -> Float[Tensor, "*shape"]:
    """Return the very values, through which only a share of each one's gradient flows back.

    Args:
        values: Of each of n patches.
        share: 0 … 1; needs no gradient.
    """
    still = values.detach()
    return still + share.view(-1, *[1] * (values.ndim - 1)) * (values - still)


def _left(fall: Fall, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    full, none = fall
    return ((none - values) / (none - full)).clamp(0.0, 1.0)
