"""A loss and a degradation of one's own, to be named in the settings of a training; see docs/how-to/train.md.

acutance train examples/own_parts.toml --data my-photos/ --out run/
"""

from __future__ import annotations

import torch
from torch import Tensor


def edges(restored: Tensor, reference: Tensor) -> Tensor:
    """Compare differences of neighbours: edges count, flat places do not."""
    across = restored.diff(dim=3) - reference.diff(dim=3)
    down = restored.diff(dim=2) - reference.diff(dim=2)
    return across.abs().mean() + down.abs().mean()


def haze(images: Tensor, generator: torch.Generator) -> Tensor:
    """Lay a veil of light over each picture, 5 to 40 % thick, as mist and dirty lenses do."""
    thickness = 0.05 + 0.35 * torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
    return images * (1 - thickness) + 0.8 * thickness
