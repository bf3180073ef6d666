"""The classes that the estimator of blur decides between: one distribution over kinds and their strengths together.

    sharp or Gaussian   by σ
    defocus             by the disk's radius
    line                straight motion, by its vector (x, y) in px; v and −v are one motion
    path                curved motion, by its spread

Neighbouring classes of a kind are neighbouring strengths, so a blur between two is a share of each, and the mean around
the likeliest class tells the strength more finely than the classes lie apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

SIGMAS_PX: Final = np.geomspace(0.35, 4.6, 20)
"""σ of the Gaussians; the first stands for all that is sharper."""
RADII_PX: Final = np.linspace(0.75, 6.0, 15)
"""Radii of the disks."""
LINE_STEP_PX: Final = 1.5
"""Distance of the vectors of straight motion, on both axes."""
LINE_REACH: Final = 17
"""Largest coordinate of a vector, in steps: 25.5 px."""
PATH_LENGTHS_PX: Final = np.linspace(3.0, 30.0, 10)
"""Curved paths, by the length of the straight one of the same spread."""

_I, _J = np.meshgrid(np.arange(-LINE_REACH, LINE_REACH + 1), np.arange(-LINE_REACH, LINE_REACH + 1), indexing="xy")
_IS_KEPT = ((_J > 0) | ((_J == 0) & (_I >= 0))) & (_I**2 + _J**2 <= (LINE_REACH + 1) ** 2)

LINES_PX: Final[npt.NDArray[np.float64]] = LINE_STEP_PX * np.stack([_I[_IS_KEPT], _J[_IS_KEPT]], axis=1)
"""`n 2`: vectors (x, y) of straight motion, one of each v and −v."""

FIRST_RADIUS: Final = len(SIGMAS_PX)
FIRST_LINE: Final = FIRST_RADIUS + len(RADII_PX)
FIRST_PATH: Final = FIRST_LINE + len(LINES_PX)
CLASSES: Final = FIRST_PATH + len(PATH_LENGTHS_PX)
"""How many classes there are; those of a kind begin at the numbers above."""


def line_numbers() -> npt.NDArray[np.int64]:
    """Return, for the steps (x, y) from −`LINE_REACH` to `LINE_REACH`, which of `LINES_PX` is that vector; −1: none.

    Returns:
        `2·LINE_REACH+1 2·LINE_REACH+1`, by y and x.
    """
    table = np.full(_I.shape, -1, np.int64)
    table[_IS_KEPT] = np.arange(len(LINES_PX))
    mirrored = table[::-1, ::-1]
    return np.where(table >= 0, table, mirrored)
