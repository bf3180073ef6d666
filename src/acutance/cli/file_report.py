"""What happened to files, told to a person (a line each, a table at the end) or to a program (lines of JSON)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from acutance.cli.console import is_terminal, readable, say, show

if TYPE_CHECKING:
    from rich.table import Table

    from acutance.inference.picture_files import FileResult

LISTED_FAILURES = 30
"""More of them are not repeated in the table; each has had its line."""

ALIKE = 10
"""Of sentences that differ in nothing but names, so many are told; the others are counted at the end."""


class FileReport:
    """Tells results as they come, and sums them up."""

    def __init__(
        self, planned: int, *, as_json: bool, can_resume: bool, noun: str = "photos", is_quiet: bool = False
    ) -> None:
        """Begin with nothing.

        Args:
            planned: How many files there are.
            noun: What they are.
            as_json: Tell each as a line of JSON on stdout; a person still reads failures and the sum.
            can_resume: Whether there is a record that `--resume` goes on by.
            is_quiet: Tell a person nothing but failures, and that the run was stopped.
        """
        self._planned = planned
        self._noun = noun
        self._as_json = as_json
        self._can_resume = can_resume
        self._is_quiet = is_quiet
        self._alike: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._sharp = 0
        self._failures: list[str] = []

    @property
    def failed(self) -> int:
        """How many files failed."""
        return self._counts["failed"]

    @property
    def left(self) -> int:
        """How many were not begun, or broken off."""
        return self._planned - self._counts.total()

    def tell(self, result: FileResult) -> None:
        """Report one file: a line of JSON on stdout, or a sentence on stderr."""
        self._counts[result.status] += 1
        self._sharp += result.status == "skipped" and bool(result.found)
        if self._as_json:
            row = {**asdict(result), "source": str(result.source), "target": str(result.target)}
            # A name that is not UTF-8 has lone surrogates in it; what this writes for them is JSON's escape.
            typer.echo(json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        if result.status == "failed":
            if self._is_new(_without_names(result)):
                self._failures.append(result.error)
                say(f"acutance: {self._failures[-1]}")
        elif not (self._as_json or self._is_quiet) and (result.status == "done" or self._is_new(_SKIPPED)):
            say(_sentence(result))
            for note in result.notes if result.status == "done" else ():
                say(f"  {note}")

    def _is_new(self, kind: str) -> bool:
        """Count a sentence, its names left out; say whether it is among the first of its kind."""
        self._alike[kind] += 1
        return self._alike[kind] <= ALIKE

    def conclude(self) -> None:
        """Sum up, where there was more than one file: in a table on a terminal, else in a sentence."""
        for kind, count in self._alike.items():
            if count > ALIKE and kind != _SKIPPED:  # those are in the sum
                say(f"acutance: and {count - ALIKE} more: {kind}")
        if self._planned < 2 or (self._is_quiet and not self.left):
            return
        done, skipped = self._counts["done"], self._counts["skipped"]
        words = [f"{done} of {self._planned} {self._noun} sharpened"]
        words += [f"{skipped - self._sharp} finished earlier"] if skipped > self._sharp else []
        words += [f"{self._sharp} sharp already"] if self._sharp else []
        words += [f"{self.failed} failed"] if self.failed else []
        words += [f"{self.left} not begun"] if self.left else []
        advice = "; go on with --resume" if self.left and self._can_resume else ""
        has_table = is_terminal() and not self._is_quiet
        if has_table:
            show(self._table())
        if advice or not has_table:
            say(f"{'stopped: ' if self.left else ''}{', '.join(words)}{advice}")

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        table.add_column("status")
        table.add_column(self._noun, justify="right")
        table.add_column("why", overflow="fold")
        skipped = [f"{self._sharp} sharp already"] if self._sharp else []
        skipped += ["finished earlier"] if self._counts["skipped"] > self._sharp else []
        reasons = {"skipped": ", ".join(skipped), "not begun": "stopped"}
        for status, count in (*((name, self._counts[name]) for name in ("done", "skipped")), ("not begun", self.left)):
            if count:
                table.add_row(status, str(count), reasons.get(status, ""))
        listed = self._failures[:LISTED_FAILURES]
        more = self.failed - len(listed)
        for number, reason in enumerate([*listed, *([f"and {more} more, told above"] if more else [])]):
            table.add_row(*(("", "") if number else ("failed", str(self.failed))), Text(readable(reason)))
        return table


_SKIPPED = "finished earlier"
_NAME = "…"


def _without_names(result: FileResult) -> str:
    """Return why a file failed in words that are the same for all files that failed so."""
    words = result.error
    for path in (result.target, result.source):
        words = words.replace(str(path), _NAME)
    return words


def _sentence(result: FileResult) -> str:
    if result.status == "skipped":
        return f"{result.source}  ({result.found[0]})" if result.found else f"{result.target}  (finished earlier)"
    lost = f"; not kept: {', '.join(result.lost)}" if result.lost else ""
    return f"{result.target}  ({result.facts}, {result.seconds:.1f} s{lost})"
