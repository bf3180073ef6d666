"""Photos that were taken blurred beside sharp ones: measured like the protocol's rows, but nobody degraded them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from acutance.data.pairs import PhotoPair, match_pairs
from acutance.data.protocol import PAIRED_ROW
from acutance.errors import InputError
from acutance.evaluation.evaluate import (
    Case,
    Evaluation,
    Measurement,
    chosen_part,
    measure_case,
    read_rgb,
    require_distinct,
)
from acutance.evaluation.restorers import Restorer, Trial
from acutance.evaluation.scores import NOTHING, Perception


@dataclass(frozen=True, slots=True)
class PairSet:
    """Pairs under one name."""

    name: str
    """Name in the tables."""
    pairs: tuple[PhotoPair, ...]


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


def evaluate_pairs(
    pair_set: PairSet,
    restorers: Sequence[Restorer],
    *,
    perception: Perception = NOTHING,
    progress: Callable[[float], None] | None = None,
) -> Evaluation:
    """Restore the blurred photo of every pair and measure it against the sharp one, as row `paired`.

    Args:
        pair_set: From `open_pairs`.
        restorers: Of different names; those that are told a kernel have nothing to say.
        perception: What is measured by networks.
        progress: Called with the share of the work done, 0 … 1.

    Raises:
        InputError: When a photo cannot be read or is too small, or the two of a pair differ in size.
        ConfigError: When two restorers have one name, or a result has not the size of the reference.
    """
    require_distinct("restorers", [restorer.name for restorer in restorers])
    measurements: list[Measurement] = []
    for done, pair in enumerate(pair_set.pairs, start=1):
        measurements += measure_case(_case(pair_set.name, pair), restorers, perception=perception)
        if progress is not None:
            progress(done / len(pair_set.pairs))
    return Evaluation(tuple(measurements))


def _case(pair_set: str, pair: PhotoPair) -> Case:
    degraded, sharp = read_rgb(pair.blurred), read_rgb(pair.sharp)
    if degraded.shape != sharp.shape:
        sizes = " and ".join(f"{one.shape[1]}×{one.shape[0]}" for one in (degraded, sharp))
        raise InputError(f"{pair.blurred} and {pair.sharp} have {sizes} px; the photos of a pair must be of one size.")
    trial = Trial(row=PAIRED_ROW, index=pair.index, psf=None)
    return Case(test_set=pair_set, photo=pair.blurred.name, trial=trial, degraded=degraded, sharp=sharp)
