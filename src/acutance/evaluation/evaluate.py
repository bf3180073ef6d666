"""Measuring restorers: every photo of every test set, under every row of the protocol.

Photos are taken one at a time, so memory does not grow with the test set. Nothing is skipped: a photo that
cannot be read or measured ends the evaluation with an error, since a mean over fewer photos is another
figure.

LPIPS is a network, and this room does without torch: whoever wants it measured hands it in as a function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np

from acutance.data.blurs import MeasuredBlur, Psf
from acutance.data.photo_store import list_photos
from acutance.data.protocol import Pixels, Row, brightened, degrade, drawn, true_psf, whole_cells
from acutance.errors import ConfigError, InputError
from acutance.evaluation.restorers import Restorer, Trial
from acutance.media.reading import read_photo
from acutance.metrics.gmsd import gmsd
from acutance.metrics.psnr import psnr
from acutance.metrics.sharpness import gradient_energy_ratio
from acutance.metrics.ssim import MS_SSIM_MIN_SIDE_PX, WINDOW_PX, ms_ssim, ssim

ToReference = Callable[[Pixels], float | None]
"""Measures restored photos against one reference; None where the photos are too small for it."""

PerceptualMeasure = Callable[[Pixels], ToReference]
"""A measure that learns of the reference once and is then asked for each restorer: `Lpips.against`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perception:
    """Measures that need the weights of a network; None leaves one out."""

    lpips: PerceptualMeasure | None = None
    """See `networks/lpips.py`."""
    vgg: PerceptualMeasure | None = None
    """See `networks/vgg_distance.py`."""

    def to_reference(self, reference: Pixels) -> dict[str, ToReference]:
        """Let those that are there learn of a reference; by the names that `Scores` has for them."""
        measures = {"lpips": self.lpips, "vgg": self.vgg}
        return {name: measure(reference) for name, measure in measures.items() if measure is not None}


NOTHING = Perception()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How near a restored photo, or the mean of several, comes to the reference."""

    psnr_db: float
    """Infinite for equal photos."""
    ssim: float
    """−1 … 1, higher is better."""
    ms_ssim: float | None
    """0 … 1, higher is better; None for photos with a side below 176 px."""
    gmsd: float
    """0 for equal photos, lower is better."""
    gradient_energy: float
    """Restored over reference; 1 is as sharp as the truth."""
    lpips: float | None = None
    """LPIPS v0.1 with a VGG-16 backbone: 0 for equal photos, lower is better; None where it was not measured."""
    vgg: float | None = None
    """Relative squared distance of VGG-19 features (eq. (4)): 0 for equal photos; None where it was not measured."""


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
    """Means over the photos; MS-SSIM, LPIPS and the VGG distance are None when any photo has none."""
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
    for name, value in (("every", every), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} = {value}: must be at least 1.")
    photos = (TestPhoto(index, path) for index, path in enumerate(list_photos(folder)))
    return TestSet(folder.resolve().name, tuple(islice(photos, 0, None, every))[:limit])


def evaluate(
    test_sets: Sequence[TestSet],
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
        rows: Of the protocol.
        restorers: Of different names.
        psfs: Measured kernels, for rows that are made of them.
        perception: What is measured by networks.
        progress: Called with the share of the work done, 0 … 1.

    Raises:
        InputError: When a photo cannot be read or is too small, or a row needs kernels that are not given.
        ConfigError: When two test sets, rows or restorers have one name, or a restorer's result has not the size of the
            reference.

    Determinism: the same scores for the same photos, if the restorers do the same; `seconds` differ.
    """
    _require_distinct("test sets", [one.name for one in test_sets])
    _require_distinct("rows", [row.name for row in rows])
    _require_distinct("restorers", [restorer.name for restorer in restorers])
    for row in rows:
        if isinstance(row.blur, MeasuredBlur):
            true_psf(row, 0, psfs=psfs)  # say at once, not after an hour, that kernels are missing
    total = sum(len(test_set.photos) for test_set in test_sets) * len(rows)
    measurements: list[Measurement] = []
    done = 0
    for test_set in test_sets:
        for row in rows:
            for photo in test_set.photos:
                measurements += _measure_photo(test_set.name, photo, row, restorers, psfs=psfs, perception=perception)
                done += 1
                if progress is not None:
                    progress(done / total)
    return Evaluation(tuple(measurements))


def score(
    restored: Pixels, reference: Pixels, *, perception: Mapping[str, ToReference] = MappingProxyType({})
) -> Scores:
    """Measure one restored photo.

    Args:
        restored: `h w 3` uint8 RGB, at least 11 px on each side.
        reference: The same size.
        perception: `lpips` and `vgg` against that reference, as far as they are to be measured.

    Raises:
        InputError: When the two cannot be compared or are too small.
    """
    is_large = min(reference.shape[:2]) >= MS_SSIM_MIN_SIDE_PX
    return Scores(
        psnr_db=psnr(restored, reference),
        ssim=ssim(restored, reference),
        ms_ssim=ms_ssim(restored, reference) if is_large else None,
        gmsd=gmsd(restored, reference),
        gradient_energy=gradient_energy_ratio(restored, reference),
        **{name: measure(restored) for name, measure in perception.items()},
    )


def _measure_photo(
    test_set: str,
    photo: TestPhoto,
    row: Row,
    restorers: Sequence[Restorer],
    *,
    psfs: Sequence[Psf],
    perception: Perception,
) -> Iterator[Measurement]:
    reference = _read_reference(photo.path, row)
    to_reference = perception.to_reference(reference)
    degraded = degrade(reference, row, index=photo.index, psfs=psfs)
    degraded.flags.writeable = False  # every restorer gets the same one
    trial = Trial(row=drawn(row, photo.index), index=photo.index, psf=true_psf(row, photo.index, psfs=psfs))
    for restorer in restorers:
        start = time.perf_counter()
        restored = restorer.restore(degraded, trial)
        seconds = time.perf_counter() - start
        if restored is None:
            continue
        if restored.shape != reference.shape:
            raise ConfigError(
                f"{restorer.name} made {restored.shape[1]}×{restored.shape[0]} px of "
                f"{reference.shape[1]}×{reference.shape[0]} px; measure restorers whose results have its size."
            )
        yield Measurement(
            test_set=test_set,
            photo=photo.path.name,
            index=photo.index,
            row=row.name,
            restorer=restorer.name,
            scores=score(brightened(restored, row), reference, perception=to_reference),
            seconds=seconds,
        )


def _read_reference(path: Path, row: Row) -> Pixels:
    """Read a photo as `h w 3`: grey is repeated, transparency left out, orientation as stored; whole cells of it."""
    pixels = read_photo(path).pixels
    height, width, channels = pixels.shape
    needed_px = -(-WINDOW_PX // row.reduction) * row.reduction
    if min(height, width) < needed_px:
        raise InputError(f"{path} has {width}×{height} px; SSIM needs at least {needed_px} px on each side.")
    return whole_cells(np.repeat(pixels, 3, axis=2) if channels == 1 else pixels, row)


def _require_distinct(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{what} named {', '.join(twice)} are given twice; name each once.")


def _mean(group: Sequence[Measurement]) -> Mean:
    scores = [one.scores for one in group]
    return Mean(
        test_set=group[0].test_set,
        row=group[0].row,
        restorer=group[0].restorer,
        count=len(group),
        scores=Scores(
            psnr_db=_average([one.psnr_db for one in scores]),
            ssim=_average([one.ssim for one in scores]),
            ms_ssim=_average_of_all([one.ms_ssim for one in scores]),
            gmsd=_average([one.gmsd for one in scores]),
            gradient_energy=_average([one.gradient_energy for one in scores]),
            lpips=_average_of_all([one.lpips for one in scores]),
            vgg=_average_of_all([one.vgg for one in scores]),
        ),
        seconds=_average([one.seconds for one in group]),
    )


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _average_of_all(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return _average(present) if len(present) == len(values) else None
