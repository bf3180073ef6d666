"""A video in, a sharper video out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from acutance.inference.sharpener import Sharpener
from acutance.media.atomic import temporary_beside
from acutance.videos.containers import CONTAINERS, Container, container_of
from acutance.videos.job import VideoJob, VideoResult
from acutance.videos.opening import has_fast_start, open_video
from acutance.videos.progress import Report
from acutance.videos.segments import SegmentStore
from acutance.videos.settings import VideoSettings
from acutance.videos.writing import open_target

RAW = CONTAINERS[".y4m"]
"""Uncompressed frames with a short header, as FFmpeg, mpv and encoders read them from a pipe."""


def sharpen_video(
    sharpener: Sharpener,
    source: str | Path,
    target: str | Path,
    *,
    strength: float = 1.0,
    settings: VideoSettings | None = None,
    progress: Report | None = None,
    overwrite: bool = False,
    resume_key: str | None = None,
    before_naming: Callable[[Path], None] | None = None,
    times_ns: tuple[int, int] | None = None,
) -> VideoResult:
    """Sharpen a video file; all but the pixels stays: times, colours, rotation, sounds, subtitles, chapters.

    The file is written whole or not at all.

    Args:
        sharpener: The opened model.
        source: The video.
        target: The result; its ending says what kind of file (see `sharp_name` for a default).
        strength: See `Sharpener.__call__`.
        settings: Codec, quality, and which part.
        progress: Called after every frame, in the calling thread.
        overwrite: Replace a target that exists.
        resume_key: None leaves nothing behind when the run is stopped. A text keeps what is finished, in a hidden
            folder beside the target, and a next run with the same text goes on from there, if source, model and
            settings are the same. The text says what else the result depends on (fidelity, precision), or nothing.
        before_naming: Called with the finished file before it gets its name; when it raises, there is no result.
        times_ns: When the result is to have been read and changed last; None for now.

    Raises:
        InputError: When the source cannot be read or holds no video.
        OutputError: When the target cannot be written, or cannot hold what the source holds.
        ConfigError: When a setting is out of range, or the model is for photos only.
        EngineError: When the network fails.
    """
    source, target = Path(source), Path(target)
    settings = settings or VideoSettings()
    container = container_of(target)
    placed = temporary_beside(target, overwrite=overwrite, times_ns=times_ns)
    with placed as (part, _), open_video(source) as opened:
        job = VideoJob(
            sharpener,
            opened,
            container,
            strength=strength,
            settings=settings,
            name=str(source),
            target=target,
        )
        store = None if resume_key is None else SegmentStore(target, job.key(source, resume_key))
        starts_fast = has_fast_start(source)
        with open_target(part, container, keeps_keys=job.has_own_keys, starts_fast=starts_fast) as written:
            if store is None:
                result = job.run(written, progress)
            else:
                job.encode_into(store, progress)
                with open_video(source) as again:
                    result = job.join(store, again, written)
        result = job.checked(result, part)
        if before_naming is not None:
            before_naming(part)
    if store is not None:
        store.remove()
    return result


def sharpen_stream(
    sharpener: Sharpener,
    source: BinaryIO,
    target: BinaryIO | str | Path,
    *,
    container: Container | None = None,
    strength: float = 1.0,
    settings: VideoSettings | None = None,
    progress: Report | None = None,
    overwrite: bool = False,
) -> VideoResult:
    """Sharpen a video that comes through a pipe, frame by frame, and pass it on or write it to a file.

    Args:
        sharpener: The opened model.
        source: Raw video (Y4M), or any video that can be read from front to end: Matroska, NUT, MPEG-TS. It need not be
            seekable.
        target: Gets the result; need not be seekable, either, and nothing is kept on the disk. Or the path of a file,
            which is written whole or not at all.
        container: What is written. Default: what the path says; to a pipe raw video, which takes no sound. Matroska
            and NUT take all.
        strength: See `Sharpener.__call__`.
        settings: Codec, quality, and which part.
        progress: Called after every frame.
        overwrite: Replace a file that exists.

    Raises:
        InputError: When the source cannot be read or holds no video.
        OutputError: When the target cannot take it, or not what the source holds.
        EngineError: When the network fails.
    """
    settings = settings or VideoSettings()
    target = Path(target) if isinstance(target, str) else target
    kind = container or (container_of(target) if isinstance(target, Path) else RAW)
    with ExitStack() as stack:
        place: BinaryIO | Path = target
        if isinstance(target, Path):
            place, _ = stack.enter_context(temporary_beside(target, overwrite=overwrite))
        opened = stack.enter_context(open_video(source))
        job = VideoJob(
            sharpener,
            opened,
            kind,
            strength=strength,
            settings=settings,
            name="the input",
            target=target if isinstance(target, Path) else Path("the output"),
        )
        with open_target(place, kind, keeps_keys=job.has_own_keys) as written:
            result = job.run(written, progress)
        return job.checked(result, place) if isinstance(place, Path) else result
