"""Which findings of Table 1 measured scores reproduce, and how sure that is.

A verdict is given only where the 95 % interval of the difference, over seeds and photos, lies on one side; and none at
all where a model restores worse than its input, because nothing can be learnt from an order of failures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from acutance.evaluation.bootstrap import Interval, paired_interval
from acutance.evaluation.scores import Scores
from acutance.evaluation.table1 import (
    CHANGE,
    FINDINGS,
    PLAIN_STACK,
    STAND_IN,
    TABLE_1,
    Finding,
    Measure,
    advantage,
    label_of,
)

Verdict = Literal["reproduced", "not reproduced", "undecided", "no verdict", "not measured"]
"""`undecided`: the interval holds both answers, or there are too few seeds; `no verdict`: a model is below its input;
`not measured`: one of the two models is missing, or the measure."""

ENOUGH_SEEDS = 3
"""Fewer seeds decide nothing: how much they differ is then not known."""

Measured = Mapping[str, Mapping[int, Sequence[Scores]]]
"""By model and seed: the scores of all photos, in one order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A finding held against measured scores."""

    finding: Finding
    words: str
    """The finding, with the models called as they were measured."""
    interval: Interval | None
    """By how much the winner is ahead, over the seeds that both models have; None where nothing was measured."""
    verdict: Verdict
    why: str = ""
    """Why there is none, or what would decide it; empty where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change of a model does to its scores."""

    changed: str
    """The changed model."""
    base: str
    """What it is compared with."""
    intervals: Mapping[Measure, Interval]
    """By how much the changed one is ahead, over the seeds that both have."""
    num_seeds: int


def judge(measured: Measured, *, untouched: Sequence[Scores]) -> tuple[Judgement, ...]:
    """Hold every finding against scores, and once more for every change that both models of a finding have.

    Models are compared seed by seed and photo by photo: with the same seed they saw the same patches in the same order.

    Args:
        measured: The stand-in takes the place of `nonbn-res-g-l` where that is missing, under its own name.
        untouched: The scores of the input, photo by photo.
    """
    changes = dict.fromkeys(model.partition(CHANGE)[2] for model in measured)
    judged = [_judged(finding, "", measured, untouched) for finding in FINDINGS]
    for change in changes:
        again = (_judged(finding, change, measured, untouched) for finding in FINDINGS if change)
        judged += [judgement for judgement in again if judgement.verdict != "not measured"]
    return tuple(judged)


def changes(measured: Measured) -> Iterator[Change]:
    """Compare every changed model with the model without the change, where both were measured."""
    for model in measured:
        base = TABLE_1[0].preset if model == PLAIN_STACK else model.partition(CHANGE)[0]
        if base == model or base not in measured:
            continue
        differences = {measure: _differences(measure, model, base, measured) for measure in ("psnr_db", "ssim")}
        if not differences["psnr_db"]:
            continue
        yield Change(
            changed=model,
            base=base,
            intervals={measure: paired_interval(table) for measure, table in differences.items()},  # type: ignore[misc]
            num_seeds=len(differences["psnr_db"]),
        )


def _judged(finding: Finding, change: str, measured: Measured, untouched: Sequence[Scores]) -> Judgement:
    winner, loser = (_measured_as(preset, change, measured) for preset in (finding.winner, finding.loser))
    words = finding.words(label_of(winner), label_of(loser))
    differences = _differences(finding.measure, winner, loser, measured)
    if not differences:
        return Judgement(finding=finding, words=words, interval=None, verdict="not measured")
    interval = paired_interval(differences)
    failed = [model for model in (winner, loser) if is_below_input(measured[model], untouched)]
    if failed:
        return Judgement(
            finding=finding,
            words=words,
            interval=interval,
            verdict="no verdict",
            why=f"{' and '.join(map(label_of, failed))} below the input",
        )
    verdict, why = _verdict(interval, finding.margin, len(differences))
    return Judgement(finding=finding, words=words, interval=interval, verdict=verdict, why=why)


def _verdict(interval: Interval, margin: float, num_seeds: int) -> tuple[Verdict, str]:
    if num_seeds < ENOUGH_SEEDS:
        return "undecided", f"{num_seeds} seed{'s' if num_seeds > 1 else ''}, at least {ENOUGH_SEEDS} are needed"
    # An order must be strict; to lie no more than a margin behind need not be.
    if interval.low + margin > 0 or (margin and interval.low + margin == 0):
        return "reproduced", ""
    if interval.high + margin < 0 or (not margin and interval.high == 0):
        return "not reproduced", ""
    return "undecided", "the interval holds both; more seeds or longer runs would decide"


def is_below_input(runs: Mapping[int, Sequence[Scores]], untouched: Sequence[Scores]) -> bool:
    """Return whether a run of a model has a lower mean PSNR than the input itself."""
    bar = fmean(scores.psnr_db for scores in untouched)
    return any(fmean(scores.psnr_db for scores in photos) < bar for photos in runs.values())


def _differences(measure: Measure, winner: str, loser: str, measured: Measured) -> list[list[float]]:
    """Return by how much the first is ahead, for each seed that both have and each photo; empty where not measured."""
    of_winner, of_loser = measured.get(winner, {}), measured.get(loser, {})
    table: list[list[float]] = []
    for seed in (seed for seed in of_winner if seed in of_loser):
        ahead = [advantage(measure, *pair) for pair in zip(of_winner[seed], of_loser[seed], strict=True)]
        known = [value for value in ahead if value is not None]
        if len(known) < len(ahead):
            return []
        table.append(known)
    return table


def _measured_as(preset: str, change: str, measured: Measured) -> str:
    """Return the name of a finding's model as it was measured: changed, and by its stand-in where that is there."""

    def changed(name: str) -> str:
        return f"{name}{CHANGE}{change}" if change else name

    is_replaced = preset == TABLE_1[-1].preset and changed(preset) not in measured and changed(STAND_IN) in measured
    return changed(STAND_IN if is_replaced else preset)
