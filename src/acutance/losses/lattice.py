"""A loss on what repeats with the cells of the network: the grid that pixel-shuffle can weave into a picture.

A generator that ends in a pixel-shuffle makes each pixel of a cell by filters of its own. Losses that ask for fine
energy, whatever its place (Gram matrices, a discriminator), are cheaply served by pixels that differ by their place in
the cell: a fine grid, which hardly any photo has. The content loss sees it only as one small error among many.

Not in the paper, whose generators work at full resolution and have no cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from acutance.errors import ConfigError
from acutance.losses.precision import full_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class LatticeConfig:
    """How the grid is measured; its weight is `objective.lattice`."""

    cell_px: int = 4
    """Side of a cell: the unshuffle factor, doubled by each nested scale. Grids of any period that divides it count."""
    window: int = 4
    """Side, in cells, of the neighbourhood over which a grid must keep its shape; the larger, the less else counts."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.cell_px < 2 or self.window < 1:
            raise ConfigError(
                f"lattice_loss: cell_px {self.cell_px} must be at least 2 and window {self.window} at least 1."
            )


def lattice(
    restored: Float[Tensor, "n c h w"], reference: Float[Tensor, "n c h w"], *, cell_px: int = 4, window: int = 4
) -> Float[Tensor, ""]:
    """Return how strong a grid the difference of two images holds.

    With e the difference, p a pixel's place in its cell and ⟨·⟩ the mean over a window of cells, it is the mean of
    `|⟨e_p⟩ − mean over q of ⟨e_q⟩|`: an error that is not the same for all places. What differs from cell to cell
    averages out in the window; an error of colour or brightness is the same for all places.

    Args:
        restored: Sides at least one cell; what is left over on the right and below is not looked at.
        reference: Of the same shape.
        cell_px: Side of a cell.
        window: Side of the window in cells, cut to the image; windows overlap by half.

    Returns:
        A scalar from 0 on; computed in float32 at least.
    """
    difference = full_precision(restored) - full_precision(reference)
    height, width = (side // cell_px for side in difference.shape[-2:])
    whole = difference[..., : height * cell_px, : width * cell_px]
    places = functional.pixel_unshuffle(whole, cell_px)  # n c·p h/cell w/cell
    kernel = (min(window, height), min(window, width))
    means = functional.avg_pool2d(places, kernel, stride=tuple(max(side // 2, 1) for side in kernel))
    by_place = means.reshape(*difference.shape[:2], cell_px**2, *means.shape[-2:])
    deviation: Tensor = by_place - by_place.mean(dim=2, keepdim=True)
    return torch.abs(deviation).mean()
