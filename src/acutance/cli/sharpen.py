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
    MaxMemory,
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
from acutance.cli.video_options import (
    Codec,
    ContainerName,
    From,
    PictureOnly,
    Quality,
    Segment,
    Smoothing,
    Stream,
    To,
    video_settings,
)


def sharpen(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Photos, videos, and folders of them; - reads one of them from stdin."),
    ] = None,
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
    max_memory: MaxMemory = None,
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
    container: ContainerName = None,
    stream: Stream = None,
    segment: Segment = None,
) -> None:
    """Make blurred photos and videos sharp.

    The result keeps the size, format, metadata and colours; a video's times, sounds and subtitles, too. Nothing is
    replaced without --overwrite, but for a result of its own that --resume finds outdated.
    """
    from functools import partial

    from acutance.cli.live import follow_camera
    from acutance.cli.pipes import is_piped, sharpen_pipe
    from acutance.cli.sharpen_run import Order, sharpen_plan
    from acutance.inference.sharpener import Sharpener
    from acutance.media import plan_outputs
    from acutance.media.pil import silence_libtiff

    silence_libtiff()
    sources = _sources(paths, stream)
    is_folder = _is_meant_as_folder(output)
    is_single = stream is not None or is_piped(sources, output)
    naming = partial(plan_outputs, sources, output, output_is_folder=is_folder, overwrite=overwrite)
    plan = () if is_single else naming(include=include or (), exclude=exclude or ())
    order = Order(
        strength=strength,
        fidelity=fidelity,
        precision=precision.value,
        jobs=jobs,
        resume=resume,
        records=not no_record and (resume or len(sources) > 1 or any(path.is_dir() for path in sources)),
        keeps_parts=not no_record,
        keeps_times=keep_time,
        overwrite=overwrite,
        as_json=as_json,
        container=container,
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
        max_pixels=max_pixels,
        max_memory_mb=max_memory,
    ) as sharpener:
        if stream is not None:
            follow_camera(sharpener, stream, output, order, is_folder=is_folder, segment_min=segment)
        elif is_single:
            sharpen_pipe(sharpener, sources[0], order)
        else:
            sharpen_plan(sharpener, plan, order)


def _sources(paths: list[Path] | None, stream: str | None) -> list[Path]:
    """Return the files that are named, if no camera is.

    Raises:
        ConfigError: When there are both, or neither.
    """
    from acutance.errors import ConfigError

    if bool(paths) == (stream is not None):
        raise ConfigError("name photos, videos or folders, or one camera (--stream); acutance sharpen -h says more.")
    return paths or []


def _is_meant_as_folder(output: Path | None) -> bool:
    # Path("out/") forgets the slash that says what the user means; the raw argument has it.
    return output is not None and any(
        argument.endswith(("/", "\\")) and Path(argument) == output for argument in sys.argv
    )
