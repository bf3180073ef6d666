"""`acutance doctor`: what this machine can do."""

from __future__ import annotations

import json

import typer

from acutance.cli.options import Json

LONGEST_IN_ROW = 60
"""Characters of what is listed in a row; anything longer gets a line of its own, and so do its neighbours."""


def doctor(as_json: Json = False) -> None:
    """Check the installation: versions, extras, the shipped models, and the speed of the default one here."""
    from acutance.cli.diagnosis import diagnose

    findings = diagnose()
    if as_json:
        typer.echo(json.dumps(findings, ensure_ascii=False))
        return
    for name, value in findings.items():
        lines = [value] if isinstance(value, str) else value
        are_sentences = any(len(line) > LONGEST_IN_ROW for line in lines)
        shown = (f"\n{'':23}" if are_sentences else ", ").join(lines)
        typer.echo(f"{name:22} {shown}")
