"""`acutance models`: what is shipped and what the user has added; adding and removing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

import typer

from acutance.cli.console import needs_extra, progress_bar, say
from acutance.cli.options import Json

PAPER_ROW = "gauss-1.6"
"""The blur that the paper's table is made with here."""

app = typer.Typer(help="List the models; add networks of others, and remove them.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False) -> None:
    """List the models, shipped and added, with what each costs and gives; add networks of others, and remove them."""
    if context.invoked_subcommand is not None:
        return

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from acutance.engines.engine import EngineSettings
    from acutance.engines.model_file import read_spec
    from acutance.engines.opening import open_engine
    from acutance.zoo.catalogue import check_files, list_models
    from acutance.zoo.own_models import check_own_model, list_own_models

    rows = []
    for row in list_models():
        check_files(row)
        engine = open_engine(row.files["fidelity"].path, EngineSettings(engine="onnxruntime"))
        rows.append((row, engine.spec))
        engine.close()
    own_rows = []
    for own in list_own_models():
        check_own_model(own)
        own_rows.append((own, read_spec(own.path.read_bytes(), name=own.name)))
    if as_json:
        shipped = [{**asdict(row), "spec": asdict(spec)} for row, spec in rows]
        added = [{**asdict(own), "path": str(own.path), "spec": asdict(spec)} for own, spec in own_rows]
        typer.echo(json.dumps(shipped + added, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "MB", "parameters", "GFLOP/MP", "PSNR on bsd100", "fidelity", "what for"):
        table.add_column(title, justify="left" if title in ("model", "what for") else "right")
    for row, spec in rows:
        table.add_row(
            row.name,
            f"{row.bytes / 1e6:.1f}",
            f"{spec.parameters:,}",
            f"{2e-3 * spec.macs_per_pixel:.0f}",
            _figure(row.psnr_db),
            "0 … 1" if "perceptual" in row.files else "1",
            row.summary,
        )
    for own, spec in own_rows:
        by_torch = "; torch runs it" if spec.needs_torch else ""
        for_what = f"{own.summary}; its tiles are {spec.tiles_in_words}{by_torch}"
        table.add_row(own.name, f"{own.bytes / 1e6:.1f}", f"{spec.parameters:,}", "–", "–", "1", Text(for_what))
    Console().print(table)


@app.command()
def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL",
            help="An .onnx file, or weights of torch (.pth, .safetensors: extra `foreign`), here or on the web.",
        ),
    ],
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="What the file's hash has to be.")] = None,
    name: Annotated[str | None, typer.Option(help="What the model is to be called; default the file's name.")] = None,
    summary: Annotated[str | None, typer.Option(help="What it is for, in one line.")] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="TOML file that tells what cannot be found; default the one beside the file, of its name."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at a network of others, and keep it as a model that every verb, the page and the API have by its name."""
    from acutance.engines.adding import Converter, add_model
    from acutance.zoo.own_models import WEIGHT_ENDINGS

    convert: Converter | None = None
    if PurePosixPath(urlsplit(source).path).suffix.lower() in WEIGHT_ENDINGS:
        with needs_extra("foreign", f"converting {source}"):
            from acutance.exporting.foreign_weights import convert_weights as convert
    with progress_bar("downloading") as show:
        card = add_model(
            source, sha256=sha256, name=name, summary=summary, settings=settings, convert=convert, progress=show
        )
    if as_json:
        typer.echo(json.dumps({**asdict(card), "path": str(card.path)}, ensure_ascii=False))
        return
    for fact in card.facts:
        say(f"{fact['what']}: {fact['value']} ({fact['source']})")
    say(f"added {card.name}: {card.path}, sha256 of the source {card.source_sha256}")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="Of a model that you have added.")]) -> None:
    """Remove a model that was added."""
    from acutance.zoo.own_models import remove_model

    say(f"removed {remove_model(name).name}")


def _figure(psnr_db: Mapping[str, float]) -> str:
    """Pick the figure that says most: of the paper's own row, or of the first that the model is for."""
    if not psnr_db:
        return "–"
    row = PAPER_ROW if PAPER_ROW in psnr_db else next(iter(psnr_db))
    return f"{psnr_db[row]:.2f} dB, {row}"
