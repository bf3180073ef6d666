"""Measuring restorers: every photo of every test set, under every row of the protocol.

Photos are taken one at a time, so memory does not grow with the test set. Nothing is skipped: a photo that
cannot be read or measured ends the evaluation with an error, since a mean over fewer photos is another
figure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Protocol

import numpy as np

from acutance.data.blurs import MeasuredBlur, Psf
from acutance.data.photo_store import list_photos
from acutance.data.protocol import Degraded, Pixels, Row, brightened, degrade, drawn, true_psf, whole_cells
from acutance.errors import ConfigError, InputError
from acutance.evaluation.restorers import Restorer, Trial
from acutance.evaluation.scores import NOTHING, Perception, Scores, mean_scores, own_measures, score
from acutance.media.reading import read_photo
from acutance.metrics.ssim import WINDOW_PX


@dataclass(frozen=True, slots=True)
class TestPhoto:
    """A sharp photo of a test set."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    index: int
    """Its place in the whole set, from 0: the seed of its noise and the number of its kernel."""
    path: Path
    """Its file."""


@dataclass(frozen=True, slots=True)
class TestSet:
    """Sharp photos under one name."""

    __test__ = False

    name: str
    """Name in the tables."""
    photos: tuple[TestPhoto, ...]
    """Those that are measured."""

    def __len__(self) -> int:
        """Return how many photos there are."""
        return len(self.photos)

    def case(self, place: int, row: Row, *, psfs: Sequence[Psf] = ()) -> Case:
        """Degrade the photo at a place as the row says; see `Cases`."""
        photo = self.photos[place]
        sharp = whole_cells(read_rgb(photo.path, shortest_px=-(-WINDOW_PX // row.reduction) * row.reduction), row)
        return Case(
            test_set=self.name,
            photo=photo.path.name,
            trial=Trial(row=drawn(row, photo.index), index=photo.index, psf=true_psf(row, photo.index, psfs=psfs)),
            degraded=degrade(sharp, row, index=photo.index, psfs=psfs),
            sharp=sharp,
        )


class Cases(Protocol):
    """What can be measured on: a `TestSet`, or photos that were taken blurred (`pairs.PairSet`)."""

    @property
    def name(self) -> str:
        """Name in the tables."""

    def __len__(self) -> int:
        """Return how many pictures there are."""

    def case(self, place: int, row: Row, *, psfs: Sequence[Psf] = ()) -> Case:
        """Return one picture to restore.

        Args:
            place: Which, from 0.
            row: Of the protocol; pairs, which nobody degrades, do not look at it.
            psfs: Measured kernels, for rows that are made of them.

        Raises:
            InputError: When a photo cannot be read or is too small, or the two of a pair differ in size.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One restored photo."""

    test_set: str
    photo: str
    """File name."""
    index: int
    """Of the photo in its whole test set."""
    row: str
    restorer: str
    scores: Scores
    seconds: float
    """That restoring took, on this machine, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """What a cell of a table says: one restorer under one row over one test set."""

    test_set: str
    row: str
    restorer: str
    count: int
    """Number of photos."""
    scores: Scores
    """Means over the photos; what not every photo has is None."""
    seconds: float
    """Mean per photo."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured."""

    measurements: tuple[Measurement, ...]
    """In the order: test set, row, photo, restorer."""

    @property
    def means(self) -> tuple[Mean, ...]:
        """The means over the photos, in the order of the measurements."""
        groups: dict[tuple[str, str, str], list[Measurement]] = {}
        for one in self.measurements:
            groups.setdefault((one.test_set, one.row, one.restorer), []).append(one)
        return tuple(_mean(group) for group in groups.values())


def open_test_set(folder: Path, *, every: int = 1, limit: int | None = None) -> TestSet:
    """List the photos of a folder, in the order of their names; subfolders are searched.

    A photo's index is its place in the whole folder, so it is degraded in the same way whichever part of
    the set is measured.

    Args:
        folder: Folder of sharp photos; its name becomes the set's.
        every: Take only each n-th photo, from the first.
        limit: Take at most so many.

    Raises:
        InputError: When the folder is missing or holds no photos.
        ConfigError: When `every` or `limit` is below 1.
    """
    chosen = chosen_part(every, limit)
    photos = [TestPhoto(index, path) for index, path in enumerate(list_photos(folder))]
    return TestSet(folder.resolve().name, tuple(photos[chosen]))


def chosen_part(every: int, limit: int | None) -> slice:
    """Return the slice of each n-th thing, from the first, and of these at most so many.

    Raises:
        ConfigError: When `every` or `limit` is below 1.
    """
    for name, value in (("every", every), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} = {value}: must be at least 1.")
    return slice(0, None if limit is None else every * limit, every)


def evaluate(
    test_sets: Sequence[Cases],
    rows: Sequence[Row],
    restorers: Sequence[Restorer],
    *,
    psfs: Sequence[Psf] = (),
    perception: Perception = NOTHING,
    progress: Callable[[float], None] | None = None,
) -> Evaluation:
    """Degrade, restore and measure every photo.

    Args:
        test_sets: Of different names.
        rows: Of the protocol; for pairs a single one, which they do not look at.
        restorers: Of different names; of pairs, those that are told a kernel have nothing to say.
        psfs: Measured kernels, for rows that are made of them.
        perception: What is measured by networks.
        progress: Called with the share of the work done, 0 … 1.

    Raises:
        InputError: When a photo cannot be read or is too small, or a row needs kernels that are not given.
        ConfigError: When two test sets, rows or restorers have one name, or a restorer's result has not the size of the
            reference.

    Determinism: the same scores for the same photos, if the restorers do the same; `seconds` differ.
    """
    require_distinct("test sets", [one.name for one in test_sets])
    require_distinct("rows", [row.name for row in rows])
    require_distinct("restorers", [restorer.name for restorer in restorers])
    for row in rows:
        if isinstance(row.blur, MeasuredBlur):
            true_psf(row, 0, psfs=psfs)  # say at once, not after an hour, that kernels are missing
    total = sum(map(len, test_sets)) * len(rows)
    measurements: list[Measurement] = []
    places = ((one, row, place) for one in test_sets for row in rows for place in range(len(one)))
    for done, (test_set, row, place) in enumerate(places, start=1):
        case = test_set.case(place, row, psfs=psfs)
        measurements += measure_case(case, restorers, perception=perception)
        if progress is not None:
            progress(done / total)
    return Evaluation(tuple(measurements))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One picture to restore, and what the results are held against."""

    test_set: str
    photo: str
    """File name."""
    trial: Trial
    degraded: Degraded
    sharp: Pixels
    """The photo without damage; where the row says that the input should be kept, the input is the reference."""


def measure_case(
    case: Case, restorers: Sequence[Restorer], *, perception: Perception = NOTHING
) -> Iterator[Measurement]:
    """Restore one picture with each restorer that has something to say about it, and measure the results.

    Raises:
        ConfigError: When a result has not the size of the reference.
    """
    row = case.trial.row
    case.degraded.flags.writeable = False  # every restorer gets the same one
    reference = brightened(case.degraded, row) if row.is_kept else case.sharp
    to_reference = perception.to_reference(reference)
    for restorer in restorers:
        start = time.perf_counter()
        restored = restorer.restore(case.degraded, case.trial)
        seconds = time.perf_counter() - start
        if restored is None:
            continue
        if restored.shape != reference.shape:
            raise ConfigError(
                f"{restorer.name} made {restored.shape[1]}×{restored.shape[0]} px of "
                f"{reference.shape[1]}×{reference.shape[0]} px; measure restorers whose results have its size."
            )
        result = brightened(restored, row)
        scores = score(result, reference, perception=to_reference)
        yield Measurement(
            test_set=case.test_set,
            photo=case.photo,
            index=case.trial.index,
            row=row.name,
            restorer=restorer.name,
            scores=replace(scores, **own_measures(row, result, reference, case.sharp)),
            seconds=seconds,
        )


def read_rgb(path: Path, *, shortest_px: int = WINDOW_PX) -> Pixels:
    """Read a photo to be measured as `h w 3`: grey is repeated, transparency left out, orientation as stored.

    Raises:
        InputError: When it cannot be read, or has a side below `shortest_px`.
    """
    pixels = read_photo(path).pixels
    height, width, channels = pixels.shape
    if min(height, width) < shortest_px:
        raise InputError(f"{path} has {width}×{height} px; SSIM needs at least {shortest_px} px on each side.")
    return np.repeat(pixels, 3, axis=2) if channels == 1 else pixels


def require_distinct(what: str, names: Sequence[str]) -> None:
    """Refuse what is named twice: its figures could not be told apart.

    Raises:
        ConfigError: When a name is.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{what} named {', '.join(twice)} are given twice; name each once.")


def _mean(group: Sequence[Measurement]) -> Mean:
    return Mean(
        test_set=group[0].test_set,
        row=group[0].row,
        restorer=group[0].restorer,
        count=len(group),
        scores=mean_scores([one.scores for one in group]),
        seconds=fmean(one.seconds for one in group),
    )
