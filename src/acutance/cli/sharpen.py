"""`acutance sharpen`: the verb most people come for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.options import (
    Engine,
    EngineChoice,
    Exclude,
    Fidelity,
    Include,
    Jobs,
    Json,
    MaxPixels,
    Model,
    NoRecord,
    Overwrite,
    PrecisionChoice,
    PrecisionOption,
    Resume,
    Threads,
    Tile,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from acutance.inference.journal import Making
    from acutance.inference.sharpener import Sharpener

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
    include: Include = None,
    exclude: Exclude = None,
    jobs: Jobs = 1,
    resume: Resume = False,
    no_record: NoRecord = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make blurred photos sharp.

    The result keeps the photo's size, format, metadata and colour profile. Nothing is replaced without --overwrite, but
    for a result of its own that --resume finds outdated.
    """
    from contextlib import closing

    from acutance.cli.console import INTERRUPTED, progress_bar, say
    from acutance.cli.file_report import FileReport
    from acutance.inference.files import sharpen_files
    from acutance.inference.ledger import Ledger
    from acutance.inference.sharpener import Sharpener
    from acutance.media import DEFAULT_MAX_PIXELS, plan_outputs

    is_piped = PIPE in {str(output), *map(str, paths)}
    if is_piped:
        _check_pipe(paths, output)
    plan = (
        ()
        if is_piped
        else plan_outputs(
            paths,
            output,
            output_is_folder=_is_meant_as_folder(output),
            overwrite=overwrite,
            include=include or (),
            exclude=exclude or (),
        )
    )
    records = not no_record and (resume or len(paths) > 1 or paths[0].is_dir())
    report = FileReport(len(plan), as_json=as_json, can_resume=records)
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
        making = _making(sharpener, strength=strength, fidelity=fidelity, precision=precision)
        try:
            with progress_bar("sharpening") as bar, _stopping_in_order(len(plan)) as is_asked:
                results = sharpen_files(
                    sharpener,
                    plan,
                    strength=strength,
                    overwrite=overwrite,
                    jobs=jobs,
                    ledger=Ledger(making, resume=resume, record=records),
                    progress=bar,
                    should_stop=is_asked,
                )
                with closing(results):
                    for result in results:
                        report.tell(result)
        except KeyboardInterrupt:
            say("acutance: interrupted; files that were finished are kept, none is half written.")
            raise typer.Exit(INTERRUPTED) from None
    report.conclude()
    if report.left or report.failed:
        raise typer.Exit(INTERRUPTED if report.left else 1)


def _stopping_in_order(files: int) -> AbstractContextManager[Callable[[], bool]]:
    """Let the first Ctrl-C end a run after the files in work; the run of a single file ends at once."""
    from contextlib import nullcontext

    from acutance.cli.console import stop_request

    return stop_request("after the files in work") if files > 1 else nullcontext(lambda: False)


def _making(sharpener: Sharpener, *, strength: float, fidelity: float, precision: PrecisionChoice) -> Making:
    """Return what the results depend on beside the photos."""
    from acutance.inference.journal import Making

    spec = sharpener.spec
    return Making(
        model=spec.name,
        weights_sha256=spec.weights_sha256,
        scale=spec.scale,
        strength=strength,
        fidelity=fidelity,
        precision=precision.value,
    )


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
