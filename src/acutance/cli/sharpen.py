"""`acutance sharpen`: the verb most people come for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import ended_as_by_ctrl_c
from acutance.cli.loading import loading
from acutance.cli.options import (
    BackProjection,
    DryRun,
    Engine,
    EnsembleOption,
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
    OnlyIfBlurred,
    Overwrite,
    PrecisionOption,
    Quiet,
    Resume,
    Strength,
    Threads,
    Tile,
    given_name,
    given_path,
)
from acutance.cli.signing_options import Certificate, Key, Timestamp, check_only_photos, credential_of
from acutance.cli.told_options import (
    Defocus,
    Gaussian,
    Kernel,
    Motion,
    RegionOption,
    region_of,
    told_by,
)
from acutance.cli.trust_options import MapOption, ReportOption, TrustOptions
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
    VideoOptions,
)
from acutance.errors import ConfigError


def sharpen(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=given_path,
            metavar="PATHS",
            help="Photos, videos, and folders of them; - reads one of them from stdin.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            parser=given_name,
            metavar="PATH",
            help="File or folder; - writes to stdout. Default: photo.sharp.jpg beside it.",
        ),
    ] = None,
    model: Model = "auto",
    strength: Strength = 1.0,
    fidelity: Fidelity = 1.0,
    motion: Motion = None,
    defocus: Defocus = None,
    gaussian: Gaussian = None,
    kernel: Kernel = None,
    region: RegionOption = None,
    tile: Tile = None,
    engine: Engine = "auto",
    precision: PrecisionOption = "auto",
    ensemble: EnsembleOption = 1,
    back_projection: BackProjection = None,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    max_memory: MaxMemory = None,
    include: Include = None,
    exclude: Exclude = None,
    jobs: Jobs = 1,
    resume: Resume = False,
    no_record: NoRecord = False,
    only_if_blurred: OnlyIfBlurred = False,
    keep_time: KeepTime = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
    from_s: From = 0.0,
    to_s: To = None,
    codec: Codec = "auto",
    quality: Quality = "high",
    smoothing: Smoothing = 0.0,
    picture_only: PictureOnly = False,
    container: ContainerName = None,
    stream: Stream = None,
    segment: Segment = None,
    map_to: MapOption = None,
    report: ReportOption = None,
    c2pa_certificate: Certificate = None,
    c2pa_key: Key = None,
    c2pa_timestamp: Timestamp = None,
) -> None:
    """Make blurred photos and videos sharp.

    acutance looks at each photo and takes the model that suits it, or leaves the photo as it is; --model names one for
    all. The result keeps the size, format, metadata and colours; a video also keeps its times, sounds and subtitles.
    Existing files stay unless you say --overwrite; --resume also renews outdated results of its own.
    """
    with loading():
        from acutance.cli.live import follow_camera
        from acutance.cli.pipes import is_piped, sharpen_pipe
        from acutance.cli.sharpen_run import SharpenOptions, planned, preview_plan, sharpen_plan
        from acutance.inference.sharpener import Sharpener

    sources = _sources(paths, stream, is_dry=dry_run)
    target, is_folder = (None, False) if output is None else (Path(output), output.endswith(("/", "\\")))
    is_pipe = stream is None and is_piped(sources, target, is_folder=is_folder, is_dry=dry_run)
    _check_places(container, segment, is_stream=stream is not None, is_stdout=output == "-", as_json=as_json)
    told, place = told_by(motion=motion, defocus=defocus, gaussian=gaussian, kernel=kernel), region_of(region)
    options = SharpenOptions(
        strength=strength,
        jobs=jobs,
        resume=resume,
        records=not no_record and (resume or len(sources) > 1 or any(os.path.isdir(path) for path in sources)),
        keeps_parts=not no_record,
        keeps_times=keep_time,
        only_if_blurred=only_if_blurred,
        overwrite=overwrite,
        as_json=as_json,
        quiet=quiet,
        container=container,
        trust=TrustOptions.of(context, is_pipe=is_pipe or stream is not None),
        video=VideoOptions(
            codec=codec, quality=quality, from_s=from_s, to_s=to_s, smoothing=smoothing, picture_only=picture_only
        ),
    )
    credential = credential_of(c2pa_certificate, c2pa_key, c2pa_timestamp)
    plan = (
        ()
        if stream is not None or is_pipe
        else planned(sources, target, options, is_folder=is_folder, include=include or (), exclude=exclude or ())
    )
    check_only_photos(credential, plan)
    with (
        ended_as_by_ctrl_c(),
        Sharpener(
            model,
            fidelity=fidelity,
            engine=engine,
            precision=precision,
            ensemble=ensemble,
            back_projection=back_projection,
            threads=threads,
            tile_px=tile,
            max_pixels=max_pixels,
            max_memory_mb=max_memory,
            told=told,
            region=place,
            signed_by=credential,
        ) as sharpener,
    ):
        if stream is not None:
            follow_camera(sharpener, stream, target, options, is_folder=is_folder, segment_min=segment)
        elif is_pipe and target is not None:
            sharpen_pipe(sharpener, sources[0], target, options)
        else:
            (preview_plan if dry_run else sharpen_plan)(sharpener, plan, options)


def _sources(paths: list[Path] | None, stream: str | None, *, is_dry: bool) -> list[Path]:
    """Return the files that are named, if no camera is.

    Raises:
        ConfigError: When there are both, or neither, or a camera where it is only to be told what would be done.
    """
    if is_dry and stream is not None:
        raise ConfigError("--dry-run: is for files and folders, not for cameras; leave it out.")
    if bool(paths) == (stream is not None):
        raise ConfigError("name photos, videos or folders, or one camera (--stream); acutance sharpen -h says more.")
    return paths or []


def _check_places(
    container: str | None, segment: float | None, *, is_stream: bool, is_stdout: bool, as_json: bool
) -> None:
    """Refuse options about the kind and the length of files where the names of the results say that, and two on stdout.

    Raises:
        ConfigError: When one is given.
    """
    if as_json and is_stdout:
        raise ConfigError("--json and -o -: both want stdout; name a file for the result, or leave --json out.")
    if segment is not None and not is_stream:
        raise ConfigError("--segment: is for a camera (--stream) that is followed into a folder; leave it out.")
    if container is not None and not (is_stream or is_stdout):
        raise ConfigError(
            "--container: is for stdout (-o -) and for a camera's folder; elsewhere the name of the result says what "
            "kind of video it is."
        )
