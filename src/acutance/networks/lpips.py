"""LPIPS v0.1 with a VGG-16 backbone: how different two photos look to people (Zhang et al. 2018).

    LPIPS(x, y) = Σ_l mean_{h,w} Σ_c w_lc · (φ̂_l(x) − φ̂_l(y))²

φ_l are the features after the last activation of each of the five stages, φ̂_l the same with the vector of channels at
each position scaled to length 1, w_l ≥ 0 what people's judgements have taught. 0 for equal photos, lower is better.

The published code takes photos in [−1, 1] and prepares them by a shift of (−.030, −.088, −.188) and a scale of
(.458, .448, .450). With x = 2c − 1 that is (c − (.485, .456, .406)) / (.229, .224, .225): torchvision's preparation,
which `VggFeatures` applies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from acutance.errors import InputError
from acutance.imaging.convert import to_batch
from acutance.networks.lpips_weights import LpipsWeights, lpips_layers
from acutance.networks.vgg import VggFeatures

LENGTH_FLOOR = 1e-10
"""Added to the length of a vector of channels before dividing by it, as the published code does."""


class Lpips(nn.Module):
    """The measure; frozen, nothing is trained here.

    Args:
        weights: See `read_lpips`.
    """

    def __init__(self, weights: LpipsWeights) -> None:
        super().__init__()
        layout = weights.backbone.layout
        self.layers = lpips_layers(layout)
        # Rounding down, as the backbone was trained.
        self.features = VggFeatures(weights.backbone, self.layers, rounds_up=False)
        self.linear = nn.ParameterDict({layer: nn.Parameter(weights.linear[layer].clone()) for layer in self.layers})
        self.min_side_px = 2 ** (len(layout.stages) - 1)
        """Shortest side of which one pixel is left for the last stage: 16 px."""
        self.eval().requires_grad_(False)

    def forward(self, restored: Float[Tensor, "n 3 h w"], reference: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Return the difference of each pair of images.

        Args:
            restored: RGB in [0, 1], at least 16 px on each side.
            reference: The same size. (Which of the two is which does not matter to the result.)

        Raises:
            InputError: When the images are too small.
        """
        return self._difference(self._directions(restored), self._directions(reference))

    def against(self, reference: UInt8[np.ndarray, "h w 3"]) -> Callable[[UInt8[np.ndarray, "h w 3"]], float | None]:
        """Return the measure of 8-bit photos against one reference, whose features are computed once.

        The result takes a photo of the reference's size and gives None where that is too small to be measured. All
        features of the reference stay in memory with it: at 321×481 px some 80 MB.
        """
        if min(reference.shape[:2]) < self.min_side_px:
            return lambda restored: None
        with torch.no_grad():
            truth = self._directions(self._batch(reference))

        def measure(restored: UInt8[np.ndarray, "h w 3"]) -> float:
            with torch.no_grad():
                return float(self._difference(self._directions(self._batch(restored)), truth))

        return measure

    def _batch(self, photo: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
        return torch.from_numpy(to_batch(photo)).to(self.features.scale)

    def _directions(self, images: Float[Tensor, "n 3 h w"]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Return the features of each layer, with the channels at each position scaled to length 1."""
        height, width = images.shape[-2:]
        if min(height, width) < self.min_side_px:
            raise InputError(f"images of {width}×{height} px: LPIPS needs at least {self.min_side_px} px on each side.")
        features = self.features(images)
        return {
            layer: values / (torch.linalg.vector_norm(values, dim=1, keepdim=True) + LENGTH_FLOOR)
            for layer, values in features.items()
        }

    def _difference(self, restored: dict[str, Tensor], reference: dict[str, Tensor]) -> Float[Tensor, " n"]:
        terms = []
        for layer in self.layers:
            squares = (restored[layer] - reference[layer]).square().mean(dim=(-2, -1))  # n c
            terms.append(squares @ self.linear[layer])
        return torch.stack(terms).sum(dim=0)
