"""How far two pictures are apart, in the words of a person: largest difference, and whether anyone can see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acutance.metrics.pair import Pixels
from acutance.metrics.psnr import psnr

PRACTICALLY_DB = 50.0
PRACTICALLY_LEVELS = 8
"""Two pictures at least so near, with no value further apart, look alike also when they are shown in turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What lies between two pictures."""

    psnr_db: float
    """Infinity for equal ones."""
    largest: int
    """Of all values, in levels of 255."""
    top: int
    left: int
    """Where that is; the first such pixel from the top."""

    @property
    def is_none(self) -> bool:
        """Whether they are equal."""
        return self.largest == 0

    @property
    def is_practically_none(self) -> bool:
        """Whether nobody will see it."""
        return self.psnr_db >= PRACTICALLY_DB and self.largest <= PRACTICALLY_LEVELS


def difference(before: Pixels, after: Pixels) -> Difference:
    """Compare two pictures.

    Args:
        before: `h w 3` uint8 RGB.
        after: The same size.

    Raises:
        InputError: When the two cannot be compared.
    """
    ratio_db = psnr(after, before)
    apart = np.abs(np.subtract(after, before, dtype=np.int16)).max(axis=2)
    top, left = np.unravel_index(int(apart.argmax()), apart.shape)
    return Difference(psnr_db=ratio_db, largest=int(apart.max()), top=int(top), left=int(left))
