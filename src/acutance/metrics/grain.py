"""How much grain or noise a picture shows where the photo beneath it is flat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.metrics.pair import LUMA, Pixels, require_pair

BLOCK_PX = 16
"""Side of the blocks that are looked at, or less where the photo is smaller."""

FLAT_SHARE = 0.1
"""Share of the blocks that count as flat: those where the sharp photo varies least."""

MIDTONES = (32.0, 223.0)
"""Mean levels between which a block can be flat: nearer to black or white, grain is cut off."""


def grain_in_flat_places(picture: Pixels, sharp: Pixels) -> float:
    """Return the standard deviation of the luminance that a picture adds to the sharp photo, in its flattest blocks.

    The mean of each block is taken out first: a change of brightness is no grain. Where no block lies in the midtones,
    all count.

    Args:
        picture: `h w 3` uint8 RGB.
        sharp: The photo without grain; the same size.

    Returns:
        In levels; 0 for equal photos.

    Raises:
        InputError: When the two cannot be compared.
    """
    require_pair(picture, sharp)
    clean, added = sharp @ np.array(LUMA), (picture.astype(np.float64) - sharp) @ np.array(LUMA)
    beneath, grain = _blocks(clean), _blocks(added)
    means = beneath.mean(axis=1)
    usable = (means >= MIDTONES[0]) & (means <= MIDTONES[1])
    if usable.any():
        beneath, grain = beneath[usable], grain[usable]
    count = max(round(FLAT_SHARE * len(beneath)), 1)
    flattest = np.argsort(beneath.var(axis=1), kind="stable")[:count]
    return float(np.sqrt(grain[flattest].var(axis=1).mean()))


def _blocks(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cut a plane into whole blocks, `n px`; what is left over at the bottom and right is left out."""
    height, width = plane.shape
    side = min(BLOCK_PX, height, width)
    rows, columns = height // side, width // side
    cut = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, side * side)
