"""VGG-19's features, φ in eq. (4) and (5): what the perceptual and the texture loss compare.

Poolings round up: the paper's SAME implies it, and it is what lets a 24×24 patch reach pool 5
(24 → 12 → 6 → 3 → 2 → 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from acutance.networks.vgg import VggFeatures
from acutance.networks.vgg_weights import VggWeights

PAPER_LAYERS: Final = ("pool2", "pool5")
"""The paper fuses the second and the fifth pooling layer: low and high level."""


class Vgg19Features(VggFeatures):
    """φ: `VggFeatures` as the paper has them.

    Args:
        weights: See `read_vgg19`.
        layers: Names as in the literature.

    Raises:
        ConfigError: When there is no such layer, or the weights lack what it needs.
    """

    def __init__(self, weights: VggWeights, layers: Sequence[str] = PAPER_LAYERS) -> None:
        super().__init__(weights, layers, rounds_up=True)
