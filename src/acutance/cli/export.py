"""`acutance export`: from a training run's weights to a file that engines run, and models for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from acutance.cli.console import needs_extra, say
from acutance.cli.options import Json, Overwrite
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.packaging.programs import Elsewhere

Program = Literal["darktable", "chainner", "ncnn"]


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT|MODEL",
            help="generator.safetensors of a run; with --for the name of a model, or an .onnx file.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx, .dtmodel or .param file to write.")],
    program: Annotated[
        Program | None,
        typer.Option("--for", help="Write a model as another program takes it (docs/how-to/elsewhere.md)."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep the weights in 16 bits: half the file.")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the model in the file; default: the run's.")] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:NAME",
            help="The class of a network of your own, whose code is run (or PACKAGE.MODULE:NAME).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write trained weights as ONNX, checked against torch, or a model for another program; needs the extra train."""
    if program is not None:
        if half:
            raise ConfigError("--half: is for checkpoints; a model for another program stays as it is.")
        with needs_extra("torch", f"--for {program}"):
            from acutance.packaging.programs import export_for

        _tell(export_for(program, source, output, name=name, overwrite=overwrite), as_json=as_json)
        return
    with needs_extra("train", "exporting"):
        from acutance.exporting.export import export_onnx

    report = export_onnx(source, output, half=half, name=name, network=network, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "path": str(report.path)}))
    else:
        say(
            f"wrote {report.path}: model {report.spec.name}, {report.bytes / 1e6:.2f} MB, "
            f"largest difference to torch {report.largest_difference:.1e}"
        )


def _tell(written: Elsewhere, *, as_json: bool) -> None:
    if as_json:
        told = {**asdict(written), "path": str(written.path), "has_exact_tiles": written.has_exact_tiles}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    say(f"wrote {written.path}: model {written.spec.name} for {written.program}, {written.bytes / 1e6:.2f} MB")
    if not written.has_exact_tiles:
        say(
            f"{written.program} gives tiles {written.context_px} px of context, and this network looks farther: the "
            "borders of tiles may be seen; take large ones"
        )
