"""`acutance doctor`: what this machine can do."""

from __future__ import annotations

import typer

from acutance.cli.options import Json


def doctor(as_json: Json = False) -> None:
    """Check the installation: versions, extras, the shipped models, and the speed of the default one here."""
    import json

    from acutance.cli.diagnosis import diagnose

    findings = diagnose()
    if as_json:
        typer.echo(json.dumps(findings, ensure_ascii=False))
        return
    for name, value in findings.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        typer.echo(f"{name:22} {shown}")
