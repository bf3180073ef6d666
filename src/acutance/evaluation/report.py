"""An evaluation for people and for programs: tables in Markdown and on the terminal, CSV, JSON.

A table has a line per row of the protocol and a column per restorer, with cells such as `28.21 / .843`. Rows that have
measures of their own stand in tables of their own.
Markdown and JSON also say what made them, the command and the version, without which a figure means nothing.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from acutance import __version__
from acutance.evaluation.evaluate import Evaluation, Mean, Measurement
from acutance.evaluation.scores import Scores

JSON_FORMAT = 1
"""Version of the JSON."""

Value = str | int | float | None
"""Of one field of a record."""

MISSING = "–"
"""Cell of a restorer that had nothing to say about a row."""


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A finished table: words only."""

    title: str
    """Test set, number of photos, and what a cell holds."""
    header: tuple[str, ...]
    """Heads of the columns."""
    lines: tuple[tuple[str, ...], ...]
    """Cells, line by line; the first is the row's name."""


def _share(value: float | None, digits: int = 3) -> str:
    """Format a value around 0 … 1 without its leading zero, as the field's tables do."""
    if value is None:
        return MISSING
    text = _plain(value, digits)
    return text[1:] if text.startswith("0.") else text


def _plain(value: float, digits: int) -> str:
    return "∞" if math.isinf(value) else f"{value:.{digits}f}"


def _some(value: float | None, digits: int) -> str:
    return MISSING if value is None else _plain(value, digits)


def _grain(scores: Scores) -> str:
    if scores.grain_before is None or scores.grain_after is None:
        return MISSING
    return f"{scores.grain_before:.1f} → {scores.grain_after:.1f}"


@dataclass(frozen=True, slots=True)
class _Figure:
    """One of the figures in a cell."""

    name: str
    """In the table's title."""
    words: Callable[[Scores], str]


_PSNR = _Figure("PSNR (dB)", lambda scores: _plain(scores.psnr_db, 2))
_SSIM = _Figure("SSIM", lambda scores: _share(scores.ssim))
_MS_SSIM = _Figure("MS-SSIM", lambda scores: _share(scores.ms_ssim))
_GMSD = _Figure("GMSD (lower is better)", lambda scores: _share(scores.gmsd))
_VGG = _Figure("distance of VGG-19 features (lower is better)", lambda scores: _share(scores.vgg))
_LPIPS = _Figure("LPIPS (v0.1, VGG-16; lower is better)", lambda scores: _share(scores.lpips))
_DISTS = _Figure("DISTS (lower is better)", lambda scores: _share(scores.dists))
_ENERGY = _Figure("gradient energy (1 = as sharp as the truth)", lambda scores: _plain(scores.gradient_energy, 2))
_SHIFTED = _Figure("PSNR at the best shift within ±5 px (dB)", lambda scores: _some(scores.psnr_shifted_db, 2))
_KEPT_PSNR = _Figure("PSNR to the input (dB)", lambda scores: _plain(scores.psnr_db, 2))
_CHANGE = _Figure("largest change (levels)", lambda scores: _some(scores.largest_change, 0))
_GRAIN = _Figure("grain in flat places, before → after (levels)", _grain)

_LEARNT: Mapping[str, _Figure] = {"lpips": _LPIPS, "dists": _DISTS, "vgg": _VGG}
"""By their names in `Scores`: those that need the weights of a network."""


def tables(evaluation: Evaluation) -> tuple[ReportTable, ...]:
    """Lay an evaluation out in tables: for each test set one of right and one of sharp.

    LPIPS and its like stand in the second where they were measured on any of the set's photos. Where rows were measured
    at the best shift, too, or have an input that should be kept, a table of these follows.
    """
    means = evaluation.means
    made: list[ReportTable] = []
    for test_set in dict.fromkeys(mean.test_set for mean in means):
        of_set = [mean for mean in means if mean.test_set == test_set]
        scores = [one.scores for one in evaluation.measurements if one.test_set == test_set]
        learnt = [figure for name, figure in _LEARNT.items() if any(getattr(one, name) is not None for one in scores)]
        kept = [mean for mean in of_set if mean.scores.largest_change is not None]
        restored = [mean for mean in of_set if mean not in kept]
        shifted = [mean for mean in restored if mean.scores.psnr_shifted_db is not None]
        laid_out = (
            (restored, (_PSNR, _SSIM)),
            (restored, (_MS_SSIM, _GMSD, *learnt, _ENERGY)),
            (shifted, (_SHIFTED,)),
            (kept, (_KEPT_PSNR, _CHANGE, _GRAIN)),
        )
        made += [_table(means_of_table, figures) for means_of_table, figures in laid_out if means_of_table]
    return tuple(made)


def to_markdown(evaluation: Evaluation, *, command: str) -> str:
    """Write the tables in Markdown, and under them the command that made them."""
    parts = [markdown_of(table) for table in tables(evaluation)]
    parts.append(f"Made by acutance {__version__}: `{command}`")
    return "\n\n".join(parts) + "\n"


def to_rich(evaluation: Evaluation) -> tuple[Table, ...]:
    """Make the tables for a terminal."""
    return tuple(map(rich_of, tables(evaluation)))


def markdown_of(table: ReportTable, *, rule: str = "---") -> str:
    """Write a table in Markdown, its title above it; below the head of each column but the first stands the rule."""
    lines = [table.header, ("---", *(rule,) * (len(table.header) - 1)), *table.lines]
    rows = (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
    return "\n".join([f"**{table.title}**", "", *rows])


def rich_of(table: ReportTable) -> Table:
    """Make a table for a terminal; what looks like markup in a name is none."""
    rich_table = Table(title=Text(table.title), title_justify="left")
    for number, head in enumerate(table.header):
        rich_table.add_column(Text(head), justify="left" if number == 0 else "right")
    for line in table.lines:
        rich_table.add_row(*map(Text, line))
    return rich_table


def to_csv(evaluation: Evaluation) -> str:
    """Write every measurement as a line of CSV under a header; what was not measured is empty."""
    return csv_of([_flat(one) for one in evaluation.measurements])


def csv_of(records: Sequence[Mapping[str, Value]]) -> str:
    """Write records of one form as lines of CSV under a header; nothing of none."""
    stream = io.StringIO()
    if records:
        writer = csv.DictWriter(stream, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return stream.getvalue()


def to_json(evaluation: Evaluation, *, command: str) -> str:
    """Write means and measurements as JSON.

    JSON has no infinity: the PSNR of equal photos is the string "Infinity", which Python's `float` and
    JavaScript's `Number` read. What was not measured is null.
    """
    document = {
        "format": JSON_FORMAT,
        "acutance": __version__,
        "command": command,
        "means": [_finite(_flat(mean)) for mean in evaluation.means],
        "measurements": [_finite(_flat(one)) for one in evaluation.measurements],
    }
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _flat(record: Measurement | Mean) -> dict[str, Value]:
    values = asdict(record)
    scores, seconds = values.pop("scores"), values.pop("seconds")
    return {**values, **scores, "seconds": round(seconds, 4)}


def _finite(record: dict[str, Value]) -> dict[str, Value]:
    return {key: "Infinity" if value == math.inf else value for key, value in record.items()}


def _table(means: list[Mean], figures: tuple[_Figure, ...]) -> ReportTable:
    """Lay out the means of one test set."""
    cells = {(mean.row, mean.restorer): " / ".join(figure.words(mean.scores) for figure in figures) for mean in means}
    title = " / ".join(figure.name for figure in figures)
    restorers = tuple(dict.fromkeys(mean.restorer for mean in means))
    rows = tuple(dict.fromkeys(mean.row for mean in means))
    count = max(mean.count for mean in means)
    return ReportTable(
        title=f"{means[0].test_set}, {count} photo{'s' if count > 1 else ''}: {title}",
        header=("row", *restorers),
        lines=tuple((row, *(cells.get((row, name), MISSING) for name in restorers)) for row in rows),
    )
