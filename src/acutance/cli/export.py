"""`acutance export`: from a training run's weights to a file that engines run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.options import Json, Overwrite

CALIBRATION_PHOTOS = 33
"""Photos that the ranges of --int8 are measured on, spread over the folder."""


def export(
    checkpoint: Annotated[Path, typer.Argument(help="generator.safetensors of a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
    half: Annotated[bool, typer.Option("--half", help="Keep the weights in 16 bits: half the file.")] = False,
    name: Annotated[str | None, typer.Option(help="Of the model, in the file; default the run's.")] = None,
    removes_shake: Annotated[
        bool,
        typer.Option("--removes-shake", help="Have camera shake looked for and undone before the network runs."),
    ] = False,
    int8: Annotated[
        Path | None,
        typer.Option(help="Write a graph of 8-bit integers, its ranges measured on the photos of this folder."),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="With --int8: weights of the same architecture that the graph is to serve as well."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write trained weights as ONNX and check them against torch; needs the extra `train`."""
    import json
    from dataclasses import asdict

    from acutance.cli.console import needs_extra, say

    with needs_extra("train", "exporting"):
        from acutance.exporting.export import export_int8, export_onnx
    from acutance.errors import ConfigError

    if int8 is None:
        if also:
            raise ConfigError("--also: only together with --int8 FOLDER.")
        report = export_onnx(checkpoint, output, half=half, name=name, removes_shake=removes_shake, overwrite=overwrite)
    else:
        if name is not None or removes_shake:
            raise ConfigError("--name, --removes-shake: not together with --int8 FOLDER.")
        photos = sorted(path for path in int8.rglob("*") if path.is_file())
        photos = photos[:: max(len(photos) // CALIBRATION_PHOTOS, 1)][:CALIBRATION_PHOTOS]
        report = export_int8([checkpoint, *(also or ())], output, photos, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "path": str(report.path)}))
    else:
        say(
            f"wrote {report.path}: model {report.spec.name}, {report.bytes / 1e6:.2f} MB, "
            f"largest difference to torch {report.largest_difference:.1e}"
        )
