"""`acutance sharpen`: the verb most people come for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.options import (
    Engine,
    EngineChoice,
    Exclude,
    Fidelity,
    Include,
    Jobs,
    Json,
    KeepTime,
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
from acutance.cli.video_options import Codec, From, PictureOnly, Quality, Smoothing, To, video_settings

PIPE = "-"


def sharpen(
    paths: Annotated[
        list[Path], typer.Argument(help="Photos, videos, and folders of them; - reads one photo from stdin.")
    ],
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
    keep_time: KeepTime = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    from_s: From = 0.0,
    to_s: To = None,
    codec: Codec = "auto",
    quality: Quality = "high",
    smoothing: Smoothing = 0.0,
    picture_only: PictureOnly = False,
) -> None:
    """Make blurred photos and videos sharp.

    The result keeps the size, format, metadata and colours; a video's times, sounds and subtitles, too. Nothing is
    replaced without --overwrite, but for a result of its own that --resume finds outdated.
    """
    from functools import partial

    from acutance.cli.sharpen_run import Order, sharpen_plan
    from acutance.inference.sharpener import Sharpener
    from acutance.media import DEFAULT_MAX_PIXELS, plan_outputs
    from acutance.media.pil import silence_libtiff

    silence_libtiff()
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
    order = Order(
        strength=strength,
        fidelity=fidelity,
        precision=precision.value,
        jobs=jobs,
        resume=resume,
        records=not no_record and (resume or len(paths) > 1 or paths[0].is_dir()),
        keeps_parts=not no_record,
        keeps_times=keep_time,
        overwrite=overwrite,
        as_json=as_json,
        video_settings=partial(
            video_settings,
            codec=codec,
            quality=quality,
            from_s=from_s,
            to_s=to_s,
            smoothing=smoothing,
            picture_only=picture_only,
        ),
    )
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
        else:
            sharpen_plan(sharpener, plan, order)


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
