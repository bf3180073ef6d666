"""Photos that were taken blurred beside sharp ones: measured like the protocol's rows, but nobody degraded them.

Two folders are given, or twice the same. A photo's partner has its name, without what only says which of the two it is:
`blur` or `sharp` as a folder (`GOPR0372/blur/000047.png` and `GOPR0372/sharp/000047.png`), or at the end of the file's
name (`street_blur1.png` and `street_sharp1.png`). Where that is said, a folder given for the one kind may hold both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from acutance.data.photo_store import list_photos
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

Kind = Literal["blur", "sharp"]

_MARK = re.compile(r"_(blur|sharp)(?=\d*$)")


@dataclass(frozen=True, slots=True)
class PhotoPair:
    """A blurred photo and its sharp partner."""

    index: int
    """Its place among all pairs, from 0."""
    blurred: Path
    sharp: Path


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
    ours, theirs = _by_key(blurred, "blur"), _by_key(sharp, "sharp")
    for folder, photos, others, other_folder in ((blurred, ours, theirs, sharp), (sharp, theirs, ours, blurred)):
        alone = [path for key, path in photos.items() if key not in others]
        if alone or not photos:
            what = f"{alone[0].relative_to(folder)} has no partner" if alone else "no photo is of its kind"
            raise InputError(
                f"{folder}: {what} in {other_folder}; pairs have equal names, or names that differ in blur and sharp, "
                "such as blur/1.png and sharp/1.png, or 1_blur.png and 1_sharp.png."
            )
    pairs = [PhotoPair(index, path, theirs[key]) for index, (key, path) in enumerate(ours.items())]
    return PairSet(blurred.resolve().name, tuple(pairs[chosen]))


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


def _by_key(folder: Path, kind: Kind) -> dict[str, Path]:
    """Return the photos of a folder that are not said to be of the other kind, by what partners have in common."""
    found: dict[str, Path] = {}
    for path in list_photos(folder):
        marks, key = _read_name(path.relative_to(folder))
        if marks - {kind}:
            continue
        if key in found:
            raise InputError(f"{found[key]} and {path} would be the same half of one pair; keep one of them.")
        found[key] = path
    return found


def _read_name(path: Path) -> tuple[set[str], str]:
    """Return which kinds a relative path says it is, and what is left of it without them and its suffix."""
    marks = {part for part in path.parts[:-1] if part in ("blur", "sharp")} | set(_MARK.findall(path.stem))
    folders = [part for part in path.parts[:-1] if part not in ("blur", "sharp")]
    return marks, "/".join([*folders, _MARK.sub("_", path.stem)])
