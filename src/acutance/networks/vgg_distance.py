"""The paper's perceptual distance as a measure: how far apart two photos are in the features of VGG-19.

    d(x, y) = mean_l ‖φ_l(x) − φ_l(y)‖² / ‖φ_l(y)‖²,   l = pool 2, pool 3

It is eq. (4) relative to the truth's features: 0 for equal photos, about 1 for unrelated ones, lower is better. It is
no substitute for LPIPS, which has learnt from people, and a network trained with it has seen the test beforehand. It
says whether the features that the paper's loss asks for are there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from acutance.imaging.convert import to_batch
from acutance.networks.vgg import VggFeatures
from acutance.networks.vgg19 import Vgg19Features
from acutance.networks.vgg_weights import VggWeights

LAYERS = ("pool2", "pool3")
"""The deepest that the first three stages give; pool 5 needs the weights of all five."""

MIN_SIDE_PX = 8
"""Of which one position is left at pool 3."""


class VggDistance:
    """The measure.

    Args:
        weights: See `read_vgg19`; the first three stages are enough.
    """

    def __init__(self, weights: VggWeights) -> None:
        self._features: VggFeatures = Vgg19Features(weights, LAYERS)

    @torch.no_grad()
    def against(self, reference: UInt8[np.ndarray, "h w 3"]) -> Callable[[UInt8[np.ndarray, "h w 3"]], float | None]:
        """Return the measure of 8-bit photos against one reference, whose features are computed once.

        The result gives None where the photos are too small to be measured.
        """
        if min(reference.shape[:2]) < MIN_SIDE_PX:
            return lambda restored: None
        truth = self._of(reference)

        def measure(restored: UInt8[np.ndarray, "h w 3"]) -> float:
            with torch.no_grad():
                made = self._of(restored)
            terms = [(made[layer] - truth[layer]).square().mean() / truth[layer].square().mean() for layer in LAYERS]
            return float(torch.stack(terms).mean())

        return measure

    def _of(self, photo: UInt8[np.ndarray, "h w 3"]) -> dict[str, Tensor]:
        return dict(self._features(torch.from_numpy(to_batch(photo))))
