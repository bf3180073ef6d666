"""What a run would do: which files would be made, which are finished, which cannot be written where they should go."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer

from acutance.cli.console import readable, say
from acutance.errors import AcutanceError, OutputError
from acutance.media import check_target, find_clashes, format_of

if TYPE_CHECKING:
    from acutance.inference.ledger import Ledger
    from acutance.media import PlannedFile

Status = Literal["would be made", "finished earlier", "would fail"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen to one file. Whether it can be read shows only when it is."""

    file: PlannedFile
    status: Status
    why: str = ""
    """Why it would fail: one sentence."""


def previews(
    plan: Sequence[PlannedFile], ledgers: Mapping[str, Ledger], *, overwrite: bool, is_signed: bool = False
) -> Iterator[Preview]:
    """Look at each file of a plan, and write nothing.

    Args:
        plan: Sources and targets.
        ledgers: What earlier runs have finished, by the kind of file.
        overwrite: Whether targets that exist would be replaced.
        is_signed: Whether results would be signed.
    """
    clashes = find_clashes([file.target for file in plan])
    for file in plan:
        try:
            if file.target in clashes:
                raise OutputError(f"{file.target} and {clashes[file.target]} are one file on this disk.")
            if is_signed:
                from acutance.provenance.signing import check_can_be_signed

                check_can_be_signed(format_of(file.target))
            known = ledgers[file.kind].status_of(file)
            if known != "finished":
                check_target(file.target, overwrite=overwrite or known == "outdated")
        except AcutanceError as error:
            yield Preview(file, "would fail", str(error))
        else:
            yield Preview(file, "finished earlier" if known == "finished" else "would be made")


def tell_previews(found: Iterable[Preview], *, as_json: bool, is_quiet: bool) -> Counter[Status]:
    """Tell each file on stdout, and the sum on stderr unless it is to be quiet; return how many there are of each."""
    counts: Counter[Status] = Counter()
    for preview in found:
        counts[preview.status] += 1
        file = preview.file
        if as_json:
            row = {"source": str(file.source), "target": str(file.target), "kind": file.kind}
            typer.echo(json.dumps({**row, "status": preview.status, "error": preview.why}))
            continue
        words = ": ".join(word for word in (preview.status, (preview.why or "").rstrip(".")) if word)
        typer.echo(readable(f"{file.source} -> {file.target}  ({words})"))
    if not is_quiet:
        say(f"{', '.join(f'{count} {status}' for status, count in counts.items())}; nothing was written (--dry-run)")
    return counts
