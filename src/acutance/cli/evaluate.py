"""`acutance evaluate`: how well models and classical filters do on sharp photos degraded by the protocol."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.options import Engine, EngineChoice, Json, Overwrite, Threads

if TYPE_CHECKING:
    from acutance.data.protocol import Psf, Row


def evaluate(
    test: Annotated[list[Path], typer.Option("--test", help="Folder of sharp photos; may be repeated.")],
    *,
    rows: Annotated[
        str | None,
        typer.Option(help="Rows of the protocol, e.g. gauss-1.0,defocus-2; default all that can be made."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="A model's name or an .onnx file; may be repeated; default none."),
    ] = None,
    kernels: Annotated[
        Path | None, typer.Option(help="Measured kernels for camera-shake: an .npz file of 2-D arrays.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Measure the classical filters, too.")] = True,
    every: Annotated[int, typer.Option(min=1, help="Take only each n-th photo of a folder.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Take at most so many photos of a folder.")] = None,
    engine: Engine = EngineChoice.AUTO,
    threads: Threads = None,
    as_json: Json = False,
    csv: Annotated[Path | None, typer.Option(help="Write every measurement to this CSV file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this Markdown file.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure the classical filters, and any models, on sharp photos that are degraded and restored.

    Without --json the tables are printed: drawn on a terminal, as Markdown into a pipe or a file.
    """
    from rich.console import Console

    from acutance.cli.console import progress_bar
    from acutance.data.protocol import load_psfs
    from acutance.evaluation.baselines import BASELINES
    from acutance.evaluation.evaluate import evaluate as measure
    from acutance.evaluation.evaluate import open_test_set
    from acutance.evaluation.report import to_csv, to_json, to_markdown, to_rich
    from acutance.evaluation.restorers import open_models
    from acutance.media.atomic import check_target, write_atomically

    for target in (csv, markdown):
        if target is not None:
            check_target(target, overwrite=overwrite)
    psfs = () if kernels is None else load_psfs(kernels)
    chosen = _chosen_rows(rows, psfs)
    test_sets = [open_test_set(folder, every=every, limit=limit) for folder in test]
    with (
        open_models(model or (), engine=engine.engine, threads=threads) as models,
        progress_bar("measuring") as bar,
    ):
        evaluation = measure(test_sets, chosen, [*(BASELINES if baselines else ()), *models], psfs=psfs, progress=bar)
    command = _command({
        "--test": test,
        "--rows": [",".join(row.name for row in chosen)],
        "--model": model or (),
        "--kernels": [kernels],
        "--every": [every if every > 1 else None],
        "--limit": [limit],
        "--engine": [engine if model and engine != "auto" else None],
    })  # fmt: skip
    if csv is not None:
        write_atomically(csv, [to_csv(evaluation).encode()], overwrite=overwrite)
    if markdown is not None:
        write_atomically(markdown, [to_markdown(evaluation, command=command).encode()], overwrite=overwrite)
    if as_json:
        typer.echo(to_json(evaluation, command=command), nl=False)
        return
    console = Console()
    if not console.is_terminal:
        typer.echo(to_markdown(evaluation, command=command), nl=False)
        return
    for table in to_rich(evaluation):
        console.print(table)


def _chosen_rows(names: str | None, psfs: Sequence[Psf]) -> tuple[Row, ...]:
    """Return the named rows; without names all that can be made, and say which cannot."""
    from acutance.cli.console import say
    from acutance.data.protocol import ROWS, MeasuredBlur, find_row

    if names is not None:
        return tuple(find_row(name.strip()) for name in names.split(","))
    made = tuple(row for row in ROWS if psfs or not isinstance(row.blur, MeasuredBlur))
    for row in ROWS:
        if row not in made:
            say(f"{row.name} is left out: give its measured kernels with --kernels.")
    return made


def _command(options: Mapping[str, Sequence[object | None]]) -> str:
    """Write the command that gives the same figures, as one would type it."""
    words = [
        word for name, values in options.items() for value in values if value is not None for word in (name, value)
    ]
    return shlex.join(["acutance", "evaluate", *map(str, words)])
