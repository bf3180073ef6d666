"""Content losses: how far the pixels are from the truth.

Each is a mean over the batch, so that its size depends on neither the size of the patches nor their number. Computed
in float32 at least, whatever the precision of the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.errors import ConfigError
from acutance.losses.precision import full_precision

ContentKind = Literal["l1", "l2", "charbonnier", "psnr"]

CHARBONNIER_EPS = 1e-3
"""Where Charbonnier's loss turns from square to absolute: a quarter of one step of 8-bit values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentConfig:
    """Which content loss; its weight is `objective.content`."""

    kind: ContentKind = "l1"
    """`l1` is the paper's eq. (3); `l2` what it compares with; `charbonnier` is L1 with a round tip; `psnr` counts each
    image in decibels."""
    eps: float = CHARBONNIER_EPS
    """`charbonnier`: differences well below it count squared, those well above it by size. `psnr`: images that differ
    by less (root mean square) are as good as equal."""

    def __post_init__(self) -> None:
        """Check the kind and the range."""
        if self.kind not in get_args(ContentKind):
            raise ConfigError(f"content_loss.kind = {self.kind!r}: must be one of {', '.join(get_args(ContentKind))}.")
        if not 0 < self.eps < math.inf:
            raise ConfigError(f"content_loss.eps = {self.eps}: must be a number above 0.")


ContentLoss = Callable[[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]], Float[Tensor, ""]]
"""`(restored, reference)` to a scalar."""


def l1(restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Return the mean absolute difference: eq. (3) of the paper, `1 / (W·H) · Σ |I_T − G(I_B)|`.

    The paper prefers L1 to L2: L2 scores well but smooths texture, and L1 converges faster.

    Our reading: eq. (3) divides by width and height only, and says nothing of channels and batch; the mean
    is taken over these, too.

    Returns:
        A scalar from 0 on; 1 is black against white.
    """
    return _difference(restored, reference).abs().mean()


def l2(restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Return the mean squared difference, `1 / (W·H) · Σ (I_T − G(I_B))²`: PSNR is −10·log10 of it.

    Returns:
        A scalar from 0 on.
    """
    return _difference(restored, reference).square().mean()


def charbonnier(
    restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"], *, eps: float = CHARBONNIER_EPS
) -> Float[Tensor, ""]:
    """Return the mean of `sqrt((I_T − G(I_B))² + ε²)`: L1 whose gradient does not jump where images agree.

    Not in the paper; the usual form in restoration (Charbonnier et al. 1994).

    Returns:
        A scalar from ε on: equal images give ε, not 0.
    """
    difference = _difference(restored, reference)
    return torch.sqrt(difference.square() + eps**2).mean()


def negative_psnr(
    restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"], *, eps: float = CHARBONNIER_EPS
) -> Float[Tensor, ""]:
    """Return the mean over the images of `ln(1 + MSE / ε²)`: what PSNR measures, image by image.

    Not in the paper. L1 and L2 let the patches that are hardest to restore speak loudest; here each may win or lose as
    many decibels as any other, so mild blur is undone with the precision that it allows. One dB is 0.23 of this loss
    while the difference is well above ε, and nothing is left to win far below it.

    Returns:
        A scalar from 0 (equal images) on.
    """
    mean_squares = _difference(restored, reference).square().mean(dim=(1, 2, 3))
    return torch.log1p(mean_squares / eps**2).mean()


def content_loss(config: ContentConfig) -> ContentLoss:
    """Return the content loss of some settings."""
    rows: dict[ContentKind, ContentLoss] = {
        "l1": l1,
        "l2": l2,
        "charbonnier": partial(charbonnier, eps=config.eps),
        "psnr": partial(negative_psnr, eps=config.eps),
    }
    return rows[config.kind]


def _difference(restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    return full_precision(restored) - full_precision(reference)
