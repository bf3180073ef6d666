"""What was seen in photos, as a table for people, a line of JSON, and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from acutance.cli.console import readable
from acutance.inference.inspection import Inspection

if TYPE_CHECKING:
    from acutance.inference.inspected_files import InspectedFile


def softest_first(found: Sequence[InspectedFile]) -> list[InspectedFile]:
    """Sort: the softest photo first, those of which nothing is known last."""
    return sorted(
        (one for one in found if one.inspection is not None),
        key=lambda one: -1.0 if one.inspection is None else -(one.inspection.softness_px or 0.0),
    )


def json_line(result: InspectedFile) -> bytes:
    """Return one photo as a line of JSON; names that are not UTF-8 survive, escaped."""
    row = {
        "source": str(result.source),
        "error": result.error,
        "thumbnail": None if result.thumbnail is None else str(result.thumbnail),
        "seconds": round(result.seconds, 3),
        **({} if result.inspection is None else result.inspection.to_dict()),
    }
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")


def csv_of(found: Sequence[InspectedFile]) -> bytes:
    """Return a table with a row per photo, the softest first; those that failed at the end, with their error."""
    names = [field.name for field in fields(Inspection) if field.name != "worst"]
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["source", *names, "error"])
    for one in softest_first(found):
        row = {} if one.inspection is None else one.inspection.to_dict()
        table.writerow([str(one.source), *("" if row[name] is None else row[name] for name in names), ""])
    for one in found:
        if one.inspection is None:
            table.writerow([str(one.source), *("" for _ in names), one.error])
    return stream.getvalue().encode("utf-8", "backslashreplace")


def shown(found: Sequence[InspectedFile]) -> None:
    """Print the table for people on stdout: the softest first; a single photo as sentences."""
    photos = softest_first(found)
    if not photos:
        return
    if len(found) == 1:
        for sentence in sentences(photos[0]):
            typer.echo(readable(sentence))
        return
    table = Table(box=None, pad_edge=False)
    for figure in ("soft by", "sure", "noise", "JPEG"):
        table.add_column(figure, justify="right", no_wrap=True)
    # One below the other: side by side they leave each other no room on a terminal of 80 columns.
    table.add_column("photo, what was seen, and what helps", overflow="fold")
    for one in photos:
        seen = one.inspection
        assert seen is not None
        table.add_row(
            "–" if seen.softness_px is None else f"{seen.softness_px:.1f} px",
            _percent(seen.kind_confidence),
            "–" if seen.noise_levels is None else f"{seen.noise_levels:.1f}",
            "–" if seen.jpeg_quality is None else str(seen.jpeg_quality),
            Text(readable(str(one.source)), style="bold"),
        )
        table.add_row("", "", "", "", Text(_advised(seen)))
    console = Console(highlight=False, soft_wrap=False)
    console.print(table)


def sentences(one: InspectedFile) -> list[str]:
    """Say of one photo all that was seen, a line each."""
    seen = one.inspection
    assert seen is not None
    lines = [f"{one.source}: {_advised(seen)}"]
    if seen.kind_confidence is not None:
        told = f"  softness: {seen.kind}, {_percent(seen.kind_confidence)} sure"
        if seen.strength_px is not None and seen.strength_within is not None:
            told += f"; {seen.strength_px:.1f} px, give or take {100 * seen.strength_within:.0f} %"
        if seen.is_mixed:
            told += f"; not the same all over ({100 * seen.agreement:.0f} % of the places agree)"
        lines.append(told)
    if seen.noise_levels is not None:
        kind = "" if seen.noise_is_correlated is None else ", grain" if seen.noise_is_correlated else ", white"
        sure = f" ({_percent(seen.noise_is_correlated_confidence)} sure)" if kind else ""
        lines.append(f"  noise: {seen.noise_levels:.1f} levels{kind}{sure}")
    if seen.jpeg_quality is not None:
        told = f"  JPEG: quality {seen.jpeg_quality}"
        if seen.jpeg_is_doubled is not None:
            before = "saved before with a lower one" if seen.jpeg_is_doubled else "not saved before with a lower one"
            told += f", {before} ({_percent(seen.jpeg_is_doubled_confidence)} sure)"
        lines.append(told)
    if seen.is_enlarged:
        size = f"{seen.width / (seen.enlarged_factor or 1):.0f}×{seen.height / (seen.enlarged_factor or 1):.0f}"
        lines.append(
            f"  enlarged before, about {seen.enlarged_factor:.1f} times, from {size} px "
            f"({_percent(seen.is_enlarged_confidence)} sure)"
        )
    if max(seen.clipped_black, seen.clipped_white) >= CLIPPED:
        lines.append(f"  clipped: {100 * seen.clipped_black:.1f} % black, {100 * seen.clipped_white:.1f} % white")
    return lines


CLIPPED = 0.01
"""A smaller share of black and white pixels is not worth a line."""


def _advised(seen: Inspection) -> str:
    if seen.model is None:
        return seen.words
    gain = "" if seen.gain_db is None else f", about {seen.gain_db:+.1f} dB"
    return f"{seen.words} (model {seen.model}{gain})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{min(round(100 * share), 99)} %"
