"""`acutance models`: what is shipped."""

from __future__ import annotations

import typer

from acutance.cli.options import Json


def models(as_json: Json = False) -> None:
    """List the models that are shipped, with what each costs and gives."""
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from acutance.inference.engine import open_engine
    from acutance.zoo.catalogue import check_files, list_models

    rows = []
    for row in list_models():
        check_files(row)
        engine = open_engine(row.files["fidelity"].path, engine="onnxruntime")
        rows.append((row, engine.spec))
        engine.close()
    if as_json:
        typer.echo(json.dumps([{**asdict(row), "spec": asdict(spec)} for row, spec in rows], ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "MB", "parameters", "GFLOP/MP", "PSNR gauss-1.6", "what for"):
        table.add_column(title, justify="left" if title in ("model", "what for") else "right")
    for row, spec in rows:
        table.add_row(
            row.name,
            f"{row.bytes / 1e6:.1f}",
            f"{spec.parameters:,}",
            f"{2e-3 * spec.macs_per_pixel:.0f}",
            f"{row.psnr_db['gauss-1.6']:.2f} dB",
            row.summary,
        )
    Console().print(table)
