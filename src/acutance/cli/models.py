"""`acutance models`: what is shipped."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from acutance.cli.options import Json

PAPER_ROW = "gauss-1.6"
"""The blur that the paper's table is made with here."""


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
    Console().print(table)


def _figure(psnr_db: Mapping[str, float]) -> str:
    """Pick the figure that says most: of the paper's own row, or of the first that the model is for."""
    if not psnr_db:
        return "–"
    row = PAPER_ROW if PAPER_ROW in psnr_db else next(iter(psnr_db))
    return f"{psnr_db[row]:.2f} dB, {row}"
