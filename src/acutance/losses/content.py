"""Content losses: how far the pixels are from the truth."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def l1(restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Return the mean absolute difference over all values of the batch: eq. (3) of the paper.

    The paper prefers L1 to L2: L2 scores well but smooths texture, and L1 converges faster. Computed in
    float32 whatever the precision of the network.
    """
    return (restored.float() - reference.float()).abs().mean()
