"""Photos that were taken blurred beside sharp ones: measured like the protocol's rows, but nobody degraded them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acutance.data.blurs import Psf
from acutance.data.pairs import PhotoPair, match_pairs
from acutance.data.protocol import PAIRED_ROW, Row
from acutance.errors import InputError
from acutance.evaluation.evaluate import Case, chosen_part, read_rgb
from acutance.evaluation.restorers import Trial


@dataclass(frozen=True, slots=True)
class PairSet:
    """Pairs under one name."""

    name: str
    """Name in the tables."""
    pairs: tuple[PhotoPair, ...]

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.pairs)

    def case(self, place: int, row: Row, *, psfs: Sequence[Psf] = ()) -> Case:
        """Return the pair at a place, under `PAIRED_ROW` whichever is asked for; see `evaluate.Cases`."""
        del row, psfs
        pair = self.pairs[place]
        degraded, sharp = read_rgb(pair.blurred), read_rgb(pair.sharp)
        if degraded.shape != sharp.shape:
            sizes = " and ".join(f"{one.shape[1]}×{one.shape[0]}" for one in (degraded, sharp))
            raise InputError(
                f"{pair.blurred} and {pair.sharp} have {sizes} px; the photos of a pair must be of one size."
            )
        trial = Trial(row=PAIRED_ROW, index=pair.index, psf=None)
        return Case(test_set=self.name, photo=pair.blurred.name, trial=trial, degraded=degraded, sharp=sharp)


def open_pairs(blurred: Path, sharp: Path, *, every: int = 1, limit: int | None = None) -> PairSet:
    """Find the pairs of two folders, in the order of the blurred photos' names; subfolders are searched.

    Args:
        blurred: Folder of blurred photos; its name becomes the set's.
        sharp: Folder of sharp ones, may be the same.
        every: Take only each n-th pair, from the first.
        limit: Take at most so many.

    Raises:
        InputError: When a folder is missing or empty, a photo has no partner, or two would have the same.
        ConfigError: When `every` or `limit` is below 1.
    """
    chosen = chosen_part(every, limit)
    return PairSet(blurred.resolve().name, match_pairs(blurred, sharp)[chosen])
