"""Many videos, one after the other: what happened to each is told, and one bad file never stops the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from acutance.inference.files import Task, counted, make_files
from acutance.inference.ledger import Ledger
from acutance.inference.picture_files import FileResult
from acutance.inference.sharpener import Sharpener
from acutance.inference.workers import Abandoned
from acutance.media import PlannedFile, fingerprint_of
from acutance.videos.job import VideoResult
from acutance.videos.progress import VideoProgress
from acutance.videos.settings import VideoSettings
from acutance.videos.sharpening import sharpen_video

FileProgress = Callable[[PlannedFile, VideoProgress], None]
"""Takes the progress of a file after every frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFileResult(FileResult):
    """What happened to one video."""

    video: VideoResult | None = None
    """What was made of it; None when nothing was."""

    @property
    def facts(self) -> str:
        """What a person wants to know of a finished one, in a few words."""
        made = self.video
        if made is None:
            return ""
        kept = f", {counted(made.copied_streams, 'other stream')} copied" if made.copied_streams else ""
        return f"{counted(made.frames, 'frame')} of {made.size.width}×{made.size.height}, {made.codec}{kept}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a person should know, in sentences."""
        return () if self.video is None else (*self.video.found, *self.video.warnings)


def video_key(settings: VideoSettings) -> str:
    """Return what a result depends on of the settings, for `ResultKey.video`."""
    return json.dumps(asdict(settings))


def sharpen_videos(
    sharpener: Sharpener,
    plan: Sequence[PlannedFile],
    *,
    strength: float = 1.0,
    settings: VideoSettings | None = None,
    overwrite: bool = False,
    ledger: Ledger | None = None,
    resume_key: str | None = None,
    keep_times: bool = False,
    progress: FileProgress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[FileResult, None, None]:
    """Sharpen videos and yield what happened to each.

    They are done one by one, in the caller's thread: each keeps all cores busy.

    Args:
        sharpener: The opened model.
        plan: Sources and targets.
        strength: See `Sharpener.__call__`.
        settings: Codec, quality, and which part.
        overwrite: Replace targets that exist.
        ledger: What earlier runs have finished, and where this one is recorded; None for neither.
        resume_key: See `sharpen_video`.
        keep_times: Give each result the time of its video.
        progress: Called after every frame.
        should_stop: Asked after every frame; if so, the video in work is broken off and no other begun.
    """

    def make(task: Task) -> FileResult:
        def report(done: VideoProgress) -> None:
            task.tell(done.share or 0.0)
            if progress is not None:
                progress(task.file, done)
            if should_stop():
                raise Abandoned

        made = sharpen_video(
            sharpener,
            task.file.source,
            task.file.target,
            strength=strength,
            settings=settings,
            progress=report,
            overwrite=task.overwrite,
            resume_key=resume_key,
            before_naming=partial(_enter, task),
            times_ns=task.source_times_ns if keep_times else None,
        )
        return VideoFileResult(
            source=task.file.source,
            target=task.file.target,
            status="done",
            megapixels=made.frames * made.size.pixels / 1e6,
            video=made,
        )

    try:
        yield from make_files(
            plan, make, overwrite=overwrite, ledger=ledger, should_stop=should_stop, is_in_callers_thread=True
        )
    except Abandoned:
        return


def _enter(task: Task, finished: Path) -> None:
    """Record a result before it gets its name."""
    if task.is_recorded:
        task.enter(fingerprint_of(finished))
