"""A recognition as tables, in Markdown too, as lines of CSV, or as JSON; every form says the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from acutance import __version__
from acutance.evaluation.recognition.rates import percent
from acutance.evaluation.recognition.reading import Rate, ReadItem, Recognition
from acutance.evaluation.report import MISSING, ReportTable, Value, csv_of, markdown_of

JSON_FORMAT: Final = "acutance-recognition-1"
WHOLE: Final = ("qr", "faces")
"""A code is read or not, a face found or not: they have no wrong characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What has to be known to get the same figures."""

    command: str
    fonts: tuple[str, ...]
    """Those that letters were drawn with."""
    missing: tuple[str, ...] = ()
    """Judges that were not installed, each with the way to get it."""


def tables(found: Recognition) -> tuple[ReportTable, ...]:
    """Lay it out: for each kind and judge the exact rates and, of letters, the wrong characters."""
    rates = found.rates
    made = []
    for kind in dict.fromkeys(rate.kind for rate in rates):
        for judge in dict.fromkeys(rate.judge for rate in rates if rate.kind == kind):
            cells = [rate for rate in rates if rate.kind == kind and rate.judge == judge]
            title = f"{kind}, {max(rate.count for rate in cells)} items, {judge}"
            done, exactly = ("found", "found") if kind.startswith("faces") else ("read", "read exactly")
            made.append(_table(f"{title}: {exactly} (95 %)", cells, lambda rate: percent(rate.exact)))
            if not kind.startswith(WHOLE):
                made.append(_table(f"{title}: wrong characters (95 %)", cells, lambda rate: percent(rate.wrong, 1)))
            made.append(_table(f"{title}: newly {done} / no longer {done}", cells, _changed))
    return tuple(made)


def to_markdown(found: Recognition, setting: Setting) -> str:
    """Write the tables in Markdown, and under them what made them."""
    parts = [markdown_of(table) for table in tables(found)]
    parts += [f"Not measured: {sentence}" for sentence in setting.missing]
    parts.append(f"Letters: {', '.join(setting.fonts) or 'none'}.")
    parts.append(f"Made by acutance {__version__}: `{setting.command}`")
    return "\n\n".join(parts) + "\n"


def to_csv(found: Recognition) -> str:
    """Write every reading as a line of CSV under a header."""
    return csv_of([_flat(one) for one in found.readings])


def to_json(found: Recognition, setting: Setting) -> str:
    """Write rates and readings as JSON."""
    document = {
        "format": JSON_FORMAT,
        "acutance": __version__,
        **asdict(setting),
        "rates": [asdict(rate) for rate in found.rates],
        "readings": [_flat(one) for one in found.readings],
    }
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _flat(one: ReadItem) -> dict[str, Value]:
    return {**asdict(one), "exact": one.is_exact, "wrong": round(one.wrong, 4)}


def _changed(rate: Rate) -> str:
    return MISSING if rate.gained is None else f"{rate.gained} / {rate.lost}"


def _table(title: str, rates: Sequence[Rate], words: Callable[[Rate], str]) -> ReportTable:
    """Restorers are lines, since they are many and their names long; conditions are columns."""
    conditions = tuple(dict.fromkeys(rate.condition for rate in rates))
    cells = {(rate.restorer, rate.condition): words(rate) for rate in rates}
    return ReportTable(
        title=title,
        header=("", *conditions),
        lines=tuple(
            (name, *(cells.get((name, one), MISSING) for one in conditions))
            for name in dict.fromkeys(rate.restorer for rate in rates)
        ),
    )
