"""`acutance verify`: is a result what its record says, and does it come out again?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import ended_as_by_ctrl_c, readable
from acutance.cli.options import Json, given_path
from acutance.engines.engine import EngineName


def verify(
    result: Annotated[Path, typer.Argument(parser=given_path, metavar="RESULT", help="The sharpened photo.")],
    record: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="PATH",
            help="Its record, as --report wrote it: JSON or page. Default: the one beside it.",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            parser=given_path,
            metavar="PATH",
            help="The photo that it was made of. Default: the recorded name, beside the result or the record.",
        ),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="The engine that makes it again. Default: the recorded engine, if it is installed."),
    ] = None,
    hashes_only: Annotated[
        bool, typer.Option("--hashes-only", help="Compare hashes only; do not make it again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a sharpened photo against the record that --report wrote.

    It compares the hashes of record, result, input and model, and makes the result again. The same engine must give the
    same bytes, another one pixels within a stated bound. It ends with 1 when something is not as recorded.
    """
    from acutance.media.pil import silence_libtiff
    from acutance.trust.verification import as_rows
    from acutance.trust.verification import verify as verified

    silence_libtiff()
    with ended_as_by_ctrl_c():
        found = verified(
            result,
            record,
            source=source,
            engine=engine,
            makes_again=not hashes_only,
        )
    if as_json:
        typer.echo(json.dumps(as_rows(found), ensure_ascii=False))
    else:
        for line in str(found).splitlines():
            typer.echo(readable(line))
    if not found.is_true:
        raise typer.Exit(1)
