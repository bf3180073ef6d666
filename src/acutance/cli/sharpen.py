"""`acutance sharpen`: the verb most people come for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.options import (
    Engine,
    EngineChoice,
    Fidelity,
    Json,
    MaxPixels,
    Model,
    Overwrite,
    PrecisionChoice,
    PrecisionOption,
    Threads,
    Tile,
)

if TYPE_CHECKING:
    from acutance.inference.files import FileResult

PIPE = "-"


def sharpen(
    paths: Annotated[list[Path], typer.Argument(help="Photos and folders of photos; - reads one photo from stdin.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File or folder; - writes to stdout. Default: photo.sharp.jpg beside it."),
    ] = None,
    model: Model = "fast",
    strength: Annotated[
        float,
        typer.Option("--strength", "-s", min=0.0, max=2.0, help="0 changes nothing, 1 is the network's answer."),
    ] = 1.0,
    fidelity: Fidelity = 1.0,
    tile: Tile = None,
    engine: Engine = EngineChoice.AUTO,
    precision: PrecisionOption = PrecisionChoice.AUTO,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make blurred photos sharp.

    The result keeps the photo's size, format, metadata and colour profile. Nothing is replaced without --overwrite.
    """
    from acutance.cli.console import progress_bar, say
    from acutance.inference.files import sharpen_files
    from acutance.inference.sharpener import Sharpener
    from acutance.media import DEFAULT_MAX_PIXELS, plan_outputs

    is_piped = PIPE in {str(output), *map(str, paths)}
    if is_piped:
        _check_pipe(paths, output)
    is_folder = _is_meant_as_folder(output)
    plan = () if is_piped else plan_outputs(paths, output, output_is_folder=is_folder, overwrite=overwrite)
    with Sharpener(
        model,
        fidelity=fidelity,
        engine=engine.engine,
        precision=precision.precision,
        threads=threads,
        tile_px=tile,
        max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
    ) as sharpener:
        if is_piped:
            sys.stdout.buffer.write(sharpener(_bytes_of(paths[0]), strength=strength))
            return
        failed = 0
        with progress_bar("sharpening") as bar:
            for result in sharpen_files(sharpener, plan, strength=strength, overwrite=overwrite, progress=bar):
                failed += result.status == "failed"
                _tell(result, as_json=as_json)
    if len(plan) > 1:
        say(f"{len(plan) - failed} of {len(plan)} photos sharpened" + (f", {failed} failed" if failed else ""))
    if failed:
        raise typer.Exit(1)


def _check_pipe(paths: list[Path], output: Path | None) -> None:
    from acutance.errors import ConfigError

    if len(paths) > 1 or str(output) != PIPE:
        raise ConfigError(
            "- is stdin or stdout, for one photo, and what comes from stdin goes to stdout: acutance sharpen - -o - "
            "<in.jpg >out.jpg, or acutance sharpen in.jpg -o - >out.jpg"
        )


def _bytes_of(path: Path) -> bytes:
    from acutance.errors import InputError

    if str(path) == PIPE:
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def _is_meant_as_folder(output: Path | None) -> bool:
    # Path("out/") forgets the slash that says what the user means; the raw argument has it.
    return output is not None and any(
        argument.endswith(("/", "\\")) and Path(argument) == output for argument in sys.argv
    )


def _tell(result: FileResult, *, as_json: bool) -> None:
    """Report one file: a line of JSON on stdout, or a sentence on stderr."""
    import json
    from dataclasses import asdict

    from acutance.cli.console import say

    if as_json:
        row = {**asdict(result), "source": str(result.source), "target": str(result.target)}
        typer.echo(json.dumps(row, ensure_ascii=False))
    if result.status == "failed":
        say(f"acutance: {result.error}")
    elif not as_json:
        lost = f"; not kept: {', '.join(result.lost)}" if result.lost else ""
        say(f"{result.target}  ({result.megapixels:.1f} megapixels, {result.seconds:.1f} s{lost})")
