"""A run of `acutance sharpen` over files: photos first, then videos, with progress, a record, and an exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from acutance.cli.console import INTERRUPTED, progress_bar, say, stop_request
from acutance.cli.file_report import FileReport
from acutance.cli.video_files import check_codec, settings_or_failures, shown_progress
from acutance.extras import how_to_get
from acutance.inference.files import counted, sharpen_files
from acutance.inference.journal import ResultKey
from acutance.inference.known_results import KnownResults
from acutance.inference.ledger import Ledger
from acutance.media import plan_outputs, raw_files_in
from acutance.media.pil import silence_libtiff

if TYPE_CHECKING:
    from acutance.cli.trust_options import TrustOptions
    from acutance.cli.video_options import VideoOptions
    from acutance.inference.sharpener import Sharpener
    from acutance.media import PlannedFile
    from acutance.videos import VideoSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpenOptions:
    """What the user wants of all files."""

    strength: float
    jobs: int
    resume: bool
    records: bool
    """Whether a record is left beside the results."""
    keeps_parts: bool
    """Whether what is finished of a video is kept when it is stopped."""
    keeps_times: bool
    """Whether results get the times of their photos."""
    only_if_blurred: bool
    """Whether nothing is written for photos that are sharp already."""
    overwrite: bool
    as_json: bool
    quiet: bool
    """Whether nothing but failures is told."""
    container: str | None
    """Ending of the kind of video on stdout or in a camera's folder, its dot left out; None: that of what is read."""
    video: VideoOptions
    """How videos are written."""
    trust: TrustOptions
    """Which maps and records are written beside the results."""


def planned(
    sources: Sequence[Path],
    output: Path | None,
    options: SharpenOptions,
    *,
    is_folder: bool,
    include: Sequence[str],
    exclude: Sequence[str],
) -> tuple[PlannedFile, ...]:
    """Say for every file where its result goes; see `plan_outputs`. Results of earlier runs are passed over, and told.

    Raises:
        InputError: See `plan_outputs`; OutputError, too.
        ConfigError: When there are options of videos, and no video.
    """
    silence_libtiff()
    results = KnownResults()
    plan = plan_outputs(
        sources,
        output,
        output_is_folder=is_folder,
        overwrite=options.overwrite,
        include=include,
        exclude=exclude,
        is_result=results.has,
    )
    if results.found and not options.quiet:
        say(f"{counted(results.found, 'result')} of earlier runs passed over: the photos are in the folder, too")
    if not options.quiet and (passed_over := raw_files_in(sources, include=include, exclude=exclude)):
        names = f"{counted(sum(passed_over.values()), 'raw file')} of cameras ({', '.join(passed_over)})"
        say(f"{names} passed over: {how_to_get('raw')} makes acutance read them")
    if all(file.kind == "photo" for file in plan):
        options.video.refuse_any("there is none among the files")
    if options.trust.has_any:
        options.trust.check(plan)
    return plan


def sharpen_plan(sharpener: Sharpener, plan: Sequence[PlannedFile], options: SharpenOptions) -> None:
    """Sharpen all files of a plan, and tell each.

    Raises:
        typer.Exit: With code 1 when some failed, 130 when the run was stopped.
        JobError: When there are only videos, and the extra is missing.
        ConfigError: When a setting is out of range.
    """
    photos = [file for file in plan if file.kind == "photo"]
    videos = [file for file in plan if file.kind == "video"]
    noun = "files" if photos and videos else "videos" if videos else "photos"
    report = FileReport(
        len(plan), as_json=options.as_json, can_resume=options.records, noun=noun, is_quiet=options.quiet
    )
    settings = settings_or_failures(options.video.settings, videos, report, are_all=not photos) if videos else None
    if settings is not None:
        check_codec(settings, [file.target for file in videos])
    try:
        with _stopping_in_order(photos, videos) as is_asked:
            if photos:
                _sharpen_photos(sharpener, photos, options, report, is_asked=is_asked)
            if settings is not None and not is_asked():
                _sharpen_videos(sharpener, videos, settings, options, report, is_asked=is_asked)
    except KeyboardInterrupt:
        advice = " Go on with --resume." if options.records else ""
        say(f"acutance: interrupted; files that were finished are kept, none is half written.{advice}")
        raise typer.Exit(INTERRUPTED) from None
    report.conclude()
    if report.left or report.failed:
        raise typer.Exit(INTERRUPTED if report.left else 1)


def _sharpen_photos(
    sharpener: Sharpener,
    photos: Sequence[PlannedFile],
    options: SharpenOptions,
    report: FileReport,
    *,
    is_asked: Callable[[], bool],
) -> None:
    trust = None
    if options.trust.has_any:
        from acutance.cli.trust_files import TrustWriter

        trust = TrustWriter(sharpener, options.trust, photos)
    with progress_bar("sharpening", is_quiet=options.quiet) as bar:
        results = sharpen_files(
            sharpener,
            photos,
            strength=options.strength,
            overwrite=options.overwrite,
            jobs=options.jobs,
            ledger=Ledger(_result_key(sharpener, options), resume=options.resume, record=options.records),
            keep_times=options.keeps_times,
            only_if_blurred=options.only_if_blurred,
            progress=bar,
            doing=bar.name,
            should_stop=is_asked,
        )
        with closing(results):
            for result in results:
                report.tell(trust(result) if trust else result)


def _sharpen_videos(
    sharpener: Sharpener,
    videos: Sequence[PlannedFile],
    settings: VideoSettings,
    options: SharpenOptions,
    report: FileReport,
    *,
    is_asked: Callable[[], bool],
) -> None:
    from acutance.videos.files import sharpen_videos

    with shown_progress(is_quiet=options.quiet) as show:
        results = sharpen_videos(
            sharpener,
            videos,
            strength=options.strength,
            settings=settings,
            overwrite=options.overwrite,
            ledger=_video_ledger(sharpener, settings, options),
            resume_key=_resume_key(sharpener) if options.keeps_parts else None,
            keep_times=options.keeps_times,
            progress=lambda file, done: show(str(file.source), done),
            should_stop=is_asked,
        )
        done = 0
        with closing(results):
            for result in results:
                report.tell(result)
                done += 1
    if done < len(videos) and options.keeps_parts:
        name = videos[done].source
        say(f"what is finished of {name} is kept beside its result; the same command goes on there.")


def _video_ledger(sharpener: Sharpener, settings: VideoSettings, options: SharpenOptions) -> Ledger:
    from acutance.videos.files import video_key

    key = replace(_result_key(sharpener, options), video=video_key(settings), back_projection=False)
    return Ledger(key, resume=options.resume, record=options.records)


def _resume_key(sharpener: Sharpener) -> str:
    """Return what the finished parts of a video depend on that neither the model nor its settings say."""
    engine, told = sharpener.engine_settings, sharpener.settings.words
    ensemble = f", ensemble {engine.ensemble}" if engine.ensemble != 1 else ""
    return f"fidelity {engine.fidelity:g}, precision {engine.precision}{ensemble}{told and f', {told}'}"


def preview_plan(sharpener: Sharpener, plan: Sequence[PlannedFile], options: SharpenOptions) -> None:
    """Say what `sharpen_plan` would do with each file, and do nothing.

    Raises:
        typer.Exit: With code 1 when some would fail.
        JobError, ConfigError: See `sharpen_plan`.
    """
    from acutance.cli.dry_run import previews, tell_previews

    ledgers = {"photo": Ledger(_result_key(sharpener, options), resume=options.resume, record=options.records)}
    if videos := [file.target for file in plan if file.kind == "video"]:
        settings = options.video.settings()
        check_codec(settings, videos)
        ledgers["video"] = _video_ledger(sharpener, settings, options)
    is_signed = sharpener.settings.signed_by is not None
    counts = tell_previews(
        previews(plan, ledgers, overwrite=options.overwrite, is_signed=is_signed),
        as_json=options.as_json,
        is_quiet=options.quiet,
    )
    if counts["would fail"]:
        raise typer.Exit(1)


def _stopping_in_order(
    photos: Sequence[PlannedFile], videos: Sequence[PlannedFile]
) -> AbstractContextManager[Callable[[], bool]]:
    """Let the first Ctrl-C end a run after the photos in work, or the frame; the run of a single photo ends at once."""
    if not videos and len(photos) < 2:
        return nullcontext(lambda: False)
    return stop_request("after the files in work" if photos else "after the frame in work")


def _result_key(sharpener: Sharpener, options: SharpenOptions) -> ResultKey:
    """Return what the results depend on beside the photos."""
    spec, engine = sharpener.spec, sharpener.engine_settings
    return ResultKey(
        model=spec.name,
        weights_sha256=spec.weights_sha256,
        scale=spec.scale,
        strength=options.strength,
        fidelity=engine.fidelity,
        precision=engine.precision,
        ensemble=engine.ensemble,
        back_projection=sharpener.is_corrected,
        told=sharpener.settings.words,
        signed="" if sharpener.settings.signed_by is None else sharpener.settings.signed_by.fingerprint,
    )
