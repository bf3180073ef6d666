"""`acutance export`: from a training run's weights to a file that engines run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.options import Json, Overwrite


def export(
    checkpoint: Annotated[Path, typer.Argument(help="generator.safetensors of a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
    half: Annotated[bool, typer.Option("--half", help="Keep the weights in 16 bits: half the file.")] = False,
    name: Annotated[str | None, typer.Option(help="Of the model, in the file; default the run's.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write trained weights as ONNX and check them against torch; needs the extra `train`."""
    import json
    from dataclasses import asdict

    from acutance.cli.console import needs_extra, say

    with needs_extra("train", "exporting"):
        from acutance.exporting.export import export_onnx

    report = export_onnx(checkpoint, output, half=half, name=name, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "path": str(report.path)}))
    else:
        say(
            f"wrote {report.path}: model {report.spec.name}, {report.bytes / 1e6:.2f} MB, "
            f"largest difference to torch {report.largest_difference:.1e}"
        )
