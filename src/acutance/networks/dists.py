"""DISTS: how unlike two photos are in structure and in texture (Ding et al. 2020); a resampled texture counts as alike.

    DISTS(x, y) = 1 − Σ_l Σ_c (α_lc · t_lc + β_lc · s_lc) / Σ (α + β)
    t = (2 μ_x μ_y + c₁) / (μ_x² + μ_y² + c₁),    s = (2 σ_xy + c₂) / (σ_x² + σ_y² + c₂),    c₁ = c₂ = 10⁻⁶

μ, σ² and σ_xy are means, variances and the covariance of a channel over all places: of the picture itself (l = 0) and
of VGG-16 after the last activation of each of its five stages. In place of the largest value, its poolings take the
root of the mean square under a Hann window, which no pixel escapes. 0 for equal photos, lower is better.

The authors prepare photos for people's scores by making their shorter side 256 px. Here they are compared as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from acutance.errors import CorruptWeights
from acutance.imaging.convert import to_batch
from acutance.networks.lpips_weights import VGG16, lpips_layers, read_backbone
from acutance.networks.vgg import VggFeatures
from acutance.networks.vgg_weights import VggLayout, VggWeights, checked_tensor, read_state_file

WAYS: Final = "give weights.pt of https://github.com/dingkeyan93/DISTS (12 kB, also in dists-pytorch) with --dists FILE"
"""How a user gets α and β; the end of a message."""

_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True)
class DistsWeights:
    """All that DISTS has learnt."""

    backbone: VggWeights
    texture: tuple[Float[Tensor, " _"], ...]
    """α: of the picture's own channels, then of each stage's; none is negative."""
    structure: tuple[Float[Tensor, " _"], ...]
    """β, likewise."""


def read_dists(backbone: Path, weights: Path, *, layout: VggLayout = VGG16) -> DistsWeights:
    """Read both files, each a torch state dict or a safetensors file.

    Args:
        backbone: Convolutions of torchvision's VGG-16.
        weights: Tensors `alpha` and `beta` of shape `1 c 1 1`; c is 3 and the channels of all stages, in their order.
        layout: The backbone's; another one only in tests.

    Raises:
        InputError: When a file is missing.
        CorruptWeights: When one is damaged or holds something else.
    """
    tensors, _ = read_state_file(weights, what="α and β of DISTS", ways=WAYS)
    channels = [3, *(count for _, count in layout.stages)]
    found = []
    try:
        for name in ("alpha", "beta"):
            values = checked_tensor(tensors, name, (1, sum(channels), 1, 1)).view(-1)
            if values.min() < 0:
                raise ValueError(f"{name} holds negative weights")
            found.append(values)
    except ValueError as error:
        raise CorruptWeights(f"{weights}: these are not DISTS' α and β for {layout.name}: {error}; {WAYS}.") from error
    texture, structure = (torch.split(values, channels) for values in found)
    return DistsWeights(read_backbone(backbone, layout), texture, structure)


class RootMeanSquarePooling(nn.Module):
    """Halves each side, rounded up: the root of the mean square under a Hann window of 3 × 3."""

    def forward(self, values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        """Return the pooled features."""
        row = values.new_tensor([0.25, 0.5, 0.25])
        window = (row[:, None] * row).expand(values.shape[1], 1, 3, 3)
        means = functional.conv2d(values.square(), window, stride=2, padding=1, groups=values.shape[1])
        return (means + 1e-12).sqrt()


class Dists(nn.Module):
    """The measure; frozen, nothing is trained here.

    Args:
        weights: See `read_dists`.
    """

    def __init__(self, weights: DistsWeights) -> None:
        super().__init__()
        layers = lpips_layers(weights.backbone.layout)
        self.features = VggFeatures(weights.backbone, layers, rounds_up=False, pooling=RootMeanSquarePooling)
        total = sum(values.sum() for values in (*weights.texture, *weights.structure))
        self.texture = nn.ParameterList([nn.Parameter(values / total) for values in weights.texture])
        self.structure = nn.ParameterList([nn.Parameter(values / total) for values in weights.structure])
        self.eval().requires_grad_(False)

    def forward(self, restored: Float[Tensor, "n 3 h w"], reference: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Return the difference of each pair of images.

        Args:
            restored: RGB in [0, 1], of any size.
            reference: The same size. (Which of the two is which does not matter to the result.)
        """
        return self._difference(self._stages(restored), self._stages(reference))

    def against(self, reference: UInt8[np.ndarray, "h w 3"]) -> Callable[[UInt8[np.ndarray, "h w 3"]], float | None]:
        """Return the measure of 8-bit photos against one reference, whose features are computed once."""
        with torch.no_grad():
            truth = self._stages(self._batch(reference))

        def measure(restored: UInt8[np.ndarray, "h w 3"]) -> float:
            with torch.no_grad():
                return float(self._difference(self._stages(self._batch(restored)), truth))

        return measure

    def _batch(self, photo: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
        return torch.from_numpy(to_batch(photo)).to(self.features.scale)

    def _stages(self, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        return [images, *self.features(images).values()]

    def _difference(self, restored: list[Tensor], reference: list[Tensor]) -> Float[Tensor, " n"]:
        alike = []
        for x, y, texture, structure in zip(restored, reference, self.texture, self.structure, strict=True):
            mean_x, mean_y = x.mean(dim=(-2, -1)), y.mean(dim=(-2, -1))
            aside_x, aside_y = x - mean_x[..., None, None], y - mean_y[..., None, None]
            variances = (aside_x.square() + aside_y.square()).mean(dim=(-2, -1))
            covariance = (aside_x * aside_y).mean(dim=(-2, -1))
            means = (2 * mean_x * mean_y + _EPSILON) / (mean_x.square() + mean_y.square() + _EPSILON)
            alike += [means @ texture, (2 * covariance + _EPSILON) / (variances + _EPSILON) @ structure]
        return 1 - torch.stack(alike).sum(dim=0)
