"""What the blocks around a block say of its blur: those that are about as blurred, since depth of field has borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.residuals import Powers, width_of

REACH: Final = 3
"""A block's blur is that of the blocks up to so far from it, to either side."""

BESIDE: Final = 1
"""Whether they are about as blurred is told by themselves and the blocks up to so far from them."""

_ALIKE: Final = np.float32(0.15)
"""Standard deviation of the logarithm of the blur's width, among blocks that are about as blurred. With less, up to
.1 dB are lost where the blur is the same everywhere; with more, blocks beside a border of depth are told the mean."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of blocks in one light."""

    powers: Powers
    width: npt.NDArray[np.float32]
    """Of the blur, as a logarithm: of each block and those beside it."""

    @classmethod
    def of(cls, powers: Powers, beside: Sequence[Powers]) -> Measured:
        """Tell the widths of a row by the rows beside it, which are, with it, `beside`."""
        places = _Places(len(powers.seen), BESIDE)
        return cls(powers, width_of(places.mean(beside, places.inside * np.ones((1, len(beside), 1), np.float32))))


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Of each block of a row: what those around it are like."""

    powers: Powers
    """The means over those that are about as blurred."""
    share: npt.NDArray[np.float32]
    """How many are, 0 to 1: less than about .7 beside a border of depth."""

    @classmethod
    def of(cls, own: Measured, near: Sequence[Measured]) -> Neighbourhood:
        """Tell it of a row by the rows up to `REACH` from it, itself among them."""
        places = _Places(len(own.width), REACH)
        width = places.of([row.width for row in near])
        alike = places.inside * np.exp(-np.square((width - own.width[:, np.newaxis, np.newaxis]) / _ALIKE) / 2)
        share = alike.sum(axis=(1, 2)) / (len(near) * places.inside.sum(axis=(1, 2)))
        return cls(places.mean([row.powers for row in near], alike), share)


class _Places:
    """The columns around each of a row's blocks."""

    def __init__(self, count: int, reach: int) -> None:
        columns = np.arange(count)[:, np.newaxis] + np.arange(-reach, reach + 1)
        self._columns = np.clip(columns, 0, count - 1)
        self.inside = (columns == self._columns)[:, np.newaxis].astype(np.float32)
        """0 for those beyond the border, `n 1 c`."""

    def of(self, rows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return the values around each block: `n r c`."""
        return np.asarray(np.stack(rows)[:, self._columns].swapaxes(0, 1))

    def mean(self, rows: Sequence[Powers], weights: npt.NDArray[np.float32]) -> Powers:
        """Return the means around each block, by weights `n r c`."""
        shares = weights / weights.sum(axis=(1, 2), keepdims=True)

        def mean(name: str) -> npt.NDArray[np.float32]:
            values = np.stack([getattr(row, name) for row in rows], axis=1)
            each = enumerate(self._columns.T)
            near = [np.einsum("nr,nr...->n...", shares[:, :, at], values[column]) for at, column in each]
            return np.asarray(sum(near), np.float32)

        return Powers(*(mean(field.name) for field in fields(Powers)))
