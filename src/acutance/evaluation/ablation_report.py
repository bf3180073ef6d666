"""An ablation as tables: Markdown and LaTeX for people, CSV for programs, each beside the paper's own Table 1."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from acutance import __version__
from acutance.evaluation.ablation import Ablation, Measured
from acutance.evaluation.bootstrap import paired_interval
from acutance.evaluation.report import MISSING, ReportTable, markdown_of
from acutance.evaluation.scores import Scores
from acutance.evaluation.table1 import (
    INCOMPARABLE,
    MEASURE_NAMES,
    STAND_IN,
    STAND_IN_LABEL,
    Measure,
    PaperModel,
    advantage,
    find_paper_model,
    label_of,
)
from acutance.evaluation.verdicts import changes, judge


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the seeds of a model."""

    mean: float
    deviation: float | None
    """Standard deviation (n − 1); None for a single seed."""

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """Summarise values, of which there is at least one; None when any is missing."""
        present = [value for value in values if value is not None]
        if len(present) < len(values):
            return None
        if not all(map(math.isfinite, present)):
            return cls(fmean(present), None)
        return cls(fmean(present), stdev(present) if len(present) > 1 else None)

    def words(self, digits: int) -> str:
        """Write `28.54` or `28.54 ± 0.03`; a count that is always the same needs no ±."""
        if math.isinf(self.mean):
            return "∞"
        text = f"{self.mean:,.{digits}f}"
        is_constant = self.deviation is None or (digits == 0 and self.deviation == 0)
        return text if is_constant else f"{text} ± {self.deviation:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures."""

    name: str
    """In CSV."""
    head: str
    """In tables for people."""
    digits: int
    """Behind the point."""
    of_scores: Callable[[Scores], float | None] | None
    """Reads it from scores; None for what only a trained model has."""
    of_run: Callable[[Measured], float | None]
    """Reads it from a run."""


def _scored(name: str, head: str, digits: int, read: Callable[[Scores], float | None]) -> Column:
    return Column(name, head, digits, read, lambda run: read(run.scores))


def _trained(name: str, head: str, read: Callable[[Measured], float]) -> Column:
    return Column(name, head, 0, None, read)


COLUMNS: tuple[Column, ...] = (
    _scored("psnr_db", "PSNR (dB)", 2, lambda scores: scores.psnr_db),
    _scored("ssim", "SSIM", 3, lambda scores: scores.ssim),
    _scored("ms_ssim", "MS-SSIM", 3, lambda scores: scores.ms_ssim),
    _scored("gmsd", "GMSD", 3, lambda scores: scores.gmsd),
    _scored("lpips", "LPIPS", 3, lambda scores: scores.lpips),
    _scored("dists", "DISTS", 3, lambda scores: scores.dists),
    _scored("gradient_energy", "gradient energy", 2, lambda scores: scores.gradient_energy),
    _trained("parameters", "parameters", lambda run: run.outcome.spec.parameters),
    _trained("macs_per_pixel", "MACs per px", lambda run: run.outcome.spec.macs_per_pixel),
    _trained("iterations", "iterations", lambda run: run.outcome.iterations),
    _trained("seconds", "training (s)", lambda run: run.outcome.seconds),
)
"""All figures, in the order of the table."""

GAIN_HEAD = "over the input (dB, 95 %)"
PAPER_HEADS = ("paper: PSNR", "paper: SSIM")


def result_table(ablation: Ablation) -> ReportTable:
    """Lay the figures out: the input, then a line per model, with mean ± standard deviation over several seeds."""
    lines = [("input", *_cells(_of_input(ablation)), MISSING, MISSING, MISSING)]
    for model, runs in ablation.models.items():
        paper = _paper_cells(find_paper_model(model))
        lines.append((label_of(model), *_cells(_of_runs(runs)), _gain(ablation, model), *paper))
    count = ablation.num_photos
    return ReportTable(
        title=f"{ablation.test_set}, {count} photo{'s' if count > 1 else ''}, row {ablation.row}",
        header=("model", *(column.head for column in COLUMNS), GAIN_HEAD, *PAPER_HEADS),
        lines=tuple(lines),
    )


def findings_table(ablation: Ablation) -> ReportTable:
    """Lay the verdicts out: a line per finding, with the difference in the paper, here, and its interval."""
    lines = []
    for judgement in judge(ablation.photo_scores, untouched=ablation.untouched_scores):
        finding = judgement.finding
        digits = _digits(finding.measure)
        paper = MISSING if finding.paper_difference is None else f"{finding.paper_difference:+.{digits}f}"
        here = MISSING if judgement.interval is None else judgement.interval.words(digits)
        why = f" ({judgement.why})" if judgement.why else ""
        lines.append((judgement.words, paper, here, judgement.verdict + why))
    return ReportTable(
        title="Findings: by how much the first is ahead (95 % interval)",
        header=("finding", "paper", "here", "verdict"),
        lines=tuple(lines),
    )


def changes_table(ablation: Ablation) -> ReportTable | None:
    """Lay out what each changed setting does to its model; None where no model was changed."""
    lines = []
    for change in changes(ablation.photo_scores):
        figures = (interval.words(_digits(measure)) for measure, interval in change.intervals.items())
        lines.append((label_of(change.changed), label_of(change.base), *figures, str(change.num_seeds)))
    if not lines:
        return None
    return ReportTable(
        title="Changes: by how much the first is ahead of the second (95 % interval)",
        header=("changed", "compared with", "PSNR (dB)", "SSIM", "seeds"),
        lines=tuple(lines),
    )


def _tables(ablation: Ablation) -> tuple[ReportTable, ...]:
    """Return the tables that follow the figures."""
    further = changes_table(ablation)
    return (findings_table(ablation),) if further is None else (findings_table(ablation), further)


def _digits(measure: Measure) -> int:
    """Return how many digits a difference by a measure has behind the point."""
    return 2 if measure == "psnr_db" else 3


def _gain(ablation: Ablation, model: str) -> str:
    """Write by how much a model is ahead of its input, with the interval."""
    gains = [
        [advantage("psnr_db", *pair) or 0.0 for pair in zip(photos, ablation.untouched_scores, strict=True)]
        for photos in ablation.photo_scores[model].values()
    ]
    return paired_interval(gains).words(2)


def notes(ablation: Ablation) -> tuple[str, ...]:
    """Return the sentences without which the table would mislead."""
    seeds = sorted({run.outcome.entry.seed for run in ablation.runs})
    devices = sorted({run.outcome.device for run in ablation.runs})
    said = [INCOMPARABLE]
    several = len(seeds) > 1
    spread = "mean ± standard deviation over the seeds" if several else "one seed, so differences may be chance"
    spread += "; intervals: paired bootstrap over seeds and photos"
    said.append(
        f"Seed{'s' if several else ''} {', '.join(map(str, seeds))}: {spread}. Trained on {'; '.join(devices)}."
    )
    if STAND_IN in ablation.models:
        said.append(
            f"{STAND_IN_LABEL} is not the paper's model: its losses look at VGG-19's pool 2 and pool 3, the paper's at "
            "pool 2 and pool 5."
        )
    said.append(
        f"PSNR, SSIM and MS-SSIM: higher is better; {MEASURE_NAMES['gmsd']}: lower is better; gradient energy: 1 is as "
        "sharp as the truth. GMSD is not in Table 1; it stands for nearness to the eye."
    )
    return tuple(said)


def to_markdown(ablation: Ablation, *, command: str) -> str:
    """Write all tables in Markdown, with the notes and the command that made them."""
    first, *others = (markdown_of(table, rule="--:") for table in (result_table(ablation), *_tables(ablation)))
    return "\n\n".join([first, *notes(ablation), *others, f"Made by acutance {__version__}: `{command}`"]) + "\n"


def to_csv(ablation: Ablation) -> str:
    """Write a line for the input and one per model, each figure with its deviation; what is missing is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    figures = [name for column in COLUMNS for name in (column.name, f"{column.name}_deviation")]
    writer.writerow(["model", "label", "num_seeds", *figures, "paper_psnr_db", "paper_ssim"])
    writer.writerow(["input", "input", "", *_csv_figures(_of_input(ablation)), "", ""])
    for model, runs in ablation.models.items():
        row = find_paper_model(model)
        paper = ["", ""] if row is None else [row.psnr_db, row.ssim]
        writer.writerow([model, label_of(model), len(runs), *_csv_figures(_of_runs(runs)), *paper])
    return stream.getvalue()


def to_latex(ablation: Ablation) -> str:
    """Write all tables as LaTeX `tabular`s, which need no package, with the notes as comments above them."""
    comments = "\n".join(f"% {note}" for note in notes(ablation))
    bodies = [_latex_table(table) for table in (result_table(ablation), *_tables(ablation))]
    return "\n\n".join([f"% Made by acutance {__version__}\n{comments}", *bodies]) + "\n"


def _of_input(ablation: Ablation) -> list[Spread | None]:
    """Return the input's figures; of what only a trained model has, none."""
    scores = ablation.untouched
    return [Spread.of([None if column.of_scores is None else column.of_scores(scores)]) for column in COLUMNS]


def _of_runs(runs: Sequence[Measured]) -> list[Spread | None]:
    return [Spread.of([column.of_run(run) for run in runs]) for column in COLUMNS]


def _cells(spreads: Sequence[Spread | None]) -> Iterator[str]:
    for spread, column in zip(spreads, COLUMNS, strict=True):
        yield MISSING if spread is None else spread.words(column.digits)


def _paper_cells(row: PaperModel | None) -> tuple[str, str]:
    return (MISSING, MISSING) if row is None else (f"{row.psnr_db:.2f}", f"{row.ssim:.3f}")


def _csv_figures(spreads: Sequence[Spread | None]) -> list[float | str]:
    """Write mean and deviation of each, shortened to what a float32 holds."""
    pairs = [(None, None) if spread is None else (spread.mean, spread.deviation) for spread in spreads]
    return ["" if value is None else f"{value:.8g}" for pair in pairs for value in pair]


_LATEX = str.maketrans({
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "–": "--",
})  # fmt: skip


def _latex_table(table: ReportTable) -> str:
    lines = [" & ".join(cell.translate(_LATEX) for cell in line) + r" \\" for line in (table.header, *table.lines)]
    begin = rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}"
    return "\n".join(
        [f"% {table.title}", begin, r"\hline", lines[0], r"\hline", *lines[1:], r"\hline", r"\end{tabular}"]
    )
