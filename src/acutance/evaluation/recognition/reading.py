"""Measuring what is read: every item of a kind, under every condition, by every restorer and every judge.

Nothing is left out: a cell is of all items, or says that the restorer had nothing to say about them. A judge reads many
pictures at once, since starting one may take longer than reading does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from acutance.data.blurs import DefocusBlur, GaussianBlur, LineBlur
from acutance.data.protocol import Degraded, Pixels, Row, degrade, drawn, true_psf
from acutance.evaluation.baselines import BASELINES
from acutance.evaluation.bootstrap import Interval
from acutance.evaluation.evaluate import require_distinct
from acutance.evaluation.recognition.items import Artist, Item, Kind
from acutance.evaluation.recognition.judges import Judge
from acutance.evaluation.recognition.rates import mean_share, wilson, wrong_share
from acutance.evaluation.restorers import Restorer, Trial
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.inference.told import ToldBlur

AS_IT_IS: Final = "input"
"""The restorer that does nothing: what was gained and lost is held against it."""

BATCH: Final = 40
"""Items that are restored before judges read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadItem:
    """What one judge read of one picture."""

    kind: str
    """Label of the kind, such as `plates@22`."""
    condition: str
    restorer: str
    judge: str
    number: int
    """Of the item."""
    truth: str
    text: str
    """What was read."""
    confidence: float
    """The judge's own, 0 … 1; 0 where it tells none."""

    @property
    def is_exact(self) -> bool:
        """Whether all of it was read, and nothing else."""
        return self.text == self.truth

    @property
    def wrong(self) -> float:
        """Share of wrong characters, 0 … 1."""
        return wrong_share(self.text, self.truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a cell of a table says."""

    kind: str
    condition: str
    restorer: str
    judge: str
    count: int
    exact: Interval
    """Share of items that were read exactly, with Wilson's 95 % interval."""
    wrong: Interval
    """Mean share of wrong characters, with the bootstrap's over the items."""
    gained: int | None
    """Items that are read exactly, and were not in the picture as it was; None of that picture itself."""
    lost: int | None
    """Items that were read exactly in the picture as it was, and are not now."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """All that was read."""

    readings: tuple[ReadItem, ...]
    """In the order: kind, condition, batch of items, restorer, judge, number."""

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The rates over the items, in the order of the readings."""
        groups: dict[tuple[str, str, str, str], list[ReadItem]] = {}
        for one in self.readings:
            groups.setdefault((one.kind, one.condition, one.judge, one.restorer), []).append(one)
        return tuple(_rate(group, groups.get((*cell[:3], AS_IT_IS), ())) for cell, group in groups.items())


@dataclass(frozen=True, slots=True)
class ToldRestorer:
    """The model `motion`, told what blurred each item: what can be had where the blur was measured."""

    name: str
    """Its column in the tables."""
    sharpener: PhotoSharpener
    """The opened model."""

    def restore(self, degraded: Degraded, trial: Trial) -> Degraded | None:
        """Undo the blur that the trial tells; None where there was none."""
        told = told_of(trial)
        return None if told is None else self.sharpener.told(told).sharpen_pixels(degraded)


def told_of(trial: Trial) -> ToldBlur | None:
    """Return a trial's blur as a user would tell it; None where there was none."""
    match trial.row.blur:
        case None:
            return None
        case GaussianBlur(sigma_px):
            return ToldBlur.gaussian(sigma_px)
        case DefocusBlur(radius_px):
            return ToldBlur.defocus(radius_px)
        case LineBlur(length_px, angle):
            return ToldBlur.motion(length_px, degrees=math.degrees(angle))
    return None if trial.psf is None else ToldBlur.measured(trial.psf)


CLASSICAL: Final = tuple(one for one in BASELINES if one.name != "polynomial, true kernel")
"""As it is, the unsharp mask, and the Wiener filter told the kernel."""


def recognise(
    kinds: Sequence[Kind],
    conditions: Sequence[Row],
    restorers: Sequence[Restorer],
    judges: Sequence[Judge],
    *,
    count: int,
    artist: Artist,
    progress: Callable[[float], None] | None = None,
) -> Recognition:
    """Draw, degrade, restore and read.

    Args:
        kinds: What is read; of different labels.
        conditions: Rows as `condition` makes them, of different names.
        restorers: Of different names.
        judges: Each reads the kinds that it can.
        count: Items of a kind, numbers 0 … count − 1: the same under every condition.
        artist: Draws them.
        progress: Called with the share of the work done, 0 … 1.

    Raises:
        ConfigError: When two things of a sort have one name.
        EngineError: When a judge fails.

    Determinism: the same readings for the same fonts, photos, judges and restorers.
    """
    require_distinct("rows", [row.name for row in conditions])
    require_distinct("restorers", [one.name for one in restorers])
    found: list[ReadItem] = []
    steps = len(kinds) * len(conditions) * count
    done = 0
    for kind in kinds:
        for row in conditions:
            for first in range(0, count, BATCH):
                numbers = range(first, min(first + BATCH, count))
                cases = [_case(artist.draw(kind, number), row, number) for number in numbers]
                able = [judge for judge in judges if kind.name in judge.kinds]
                for restorer in restorers:
                    found += _read(cases, kind, restorer, able)
                done += len(numbers)
                if progress is not None:
                    progress(done / steps)
    return Recognition(tuple(found))


@dataclass(frozen=True, slots=True)
class _Case:
    """An item, degraded."""

    item: Item
    degraded: Degraded
    trial: Trial


def _case(item: Item, row: Row, number: int) -> _Case:
    trial = Trial(row=drawn(row, number), index=number, psf=true_psf(row, number))
    return _Case(item, degrade(item.sharp, row, index=number), trial)


def _read(cases: Sequence[_Case], kind: Kind, restorer: Restorer, judges: Sequence[Judge]) -> Iterator[ReadItem]:
    """Restore items and read them; nothing, where the restorer has nothing to say about them."""
    restored = [restorer.restore(case.degraded, case.trial) for case in cases]
    shown = [_shown(one, case.item) for one, case in zip(restored, cases, strict=True) if one is not None]
    if len(shown) < len(cases):
        return
    for judge in judges:
        for case, reading in zip(cases, judge.read(shown, kind.name), strict=True):
            yield ReadItem(
                kind=kind.label,
                condition=case.trial.row.name,
                restorer=restorer.name,
                judge=judge.name,
                number=case.trial.index,
                truth=case.item.text,
                text=reading.text,
                confidence=reading.confidence,
            )


def _shown(picture: Degraded, item: Item) -> Pixels:
    """Return the item without its margin."""
    return picture[item.box.slices].astype(np.uint8, copy=False)


def _rate(group: Sequence[ReadItem], before: Sequence[ReadItem]) -> Rate:
    first = group[0]
    were = {one.number: one.is_exact for one in before}
    is_compared = bool(were) and first.restorer != AS_IT_IS
    return Rate(
        kind=first.kind,
        condition=first.condition,
        restorer=first.restorer,
        judge=first.judge,
        count=len(group),
        exact=wilson(sum(one.is_exact for one in group), len(group)),
        wrong=mean_share([one.wrong for one in group]),
        gained=sum(one.is_exact and not were[one.number] for one in group) if is_compared else None,
        lost=sum(were[one.number] and not one.is_exact for one in group) if is_compared else None,
    )
