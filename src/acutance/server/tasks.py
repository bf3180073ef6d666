"""What a worker is asked for: one piece of work on bytes that nobody trusts, as a value that fits into a line of JSON.

A task reads one file and writes another; both lie in the server's folder, and neither is named by a client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from acutance.inference.inspection import Inspection
from acutance.server.jobs import JobResult
from acutance.server.models import Models
from acutance.server.options import Options
from acutance.server.refusals import storage_refusal
from acutance.server.stopping import StopSignal
from acutance.server.video_work import sharpen_video_upload
from acutance.server.work import Sharpened, inspect_upload, sharpen_upload

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

Progress = Callable[[float], None]


class Task(Protocol[T_co]):
    """A piece of work."""

    def run(self, models: Models, stop: StopSignal, progress: Progress) -> T_co:
        """Do it.

        Args:
            models: Where sharpeners come from.
            stop: Looked at between tiles and frames.
            progress: Called with the share that is done, 0 … 1.

        Raises:
            AcutanceError: When it cannot be done.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureTask:
    """Sharpen a picture, an animation or pages."""

    upload: Path
    target: Path
    """Written in the end; who asks for the task makes its name last, or removes it."""
    options: Options
    max_pixels: int
    tiles: Path | None = None
    """A folder for finished tiles, which is there while somebody looks; None where nobody can."""

    def run(self, models: Models, stop: StopSignal, progress: Progress) -> Sharpened:
        """Do it; see `sharpen_upload`."""
        content, sharpened = sharpen_upload(
            self.upload,
            self.options,
            models=models,
            max_pixels=self.max_pixels,
            stop=stop,
            progress=progress,
            tiles=self.tiles,
        )
        try:
            self.target.write_bytes(content)
        except OSError as error:
            raise storage_refusal(error) from error
        return sharpened


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTask:
    """Sharpen a video."""

    upload: Path
    target: Path
    """What is finished of it is kept beside this, for a next run."""
    options: Options
    max_pixels: int

    def run(self, models: Models, stop: StopSignal, progress: Progress) -> JobResult:
        """Do it; see `sharpen_video_upload`."""
        return sharpen_video_upload(
            self.upload,
            self.target,
            self.options,
            models=models,
            max_pixels=self.max_pixels,
            stop=stop,
            progress=progress,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectTask:
    """Look at a picture; of an animation or pages at the first."""

    upload: Path
    max_pixels: int

    def run(self, models: Models, stop: StopSignal, progress: Progress) -> Inspection:
        """Do it; see `inspect_upload`."""
        del models, progress
        return inspect_upload(self.upload, max_pixels=self.max_pixels, stop=stop)


class Kind(Generic[T]):
    """A kind of task, and how it and what comes of it are written down."""

    def __init__(self, task: type[Task[T]], result: type[T]) -> None:
        self.task: TypeAdapter[Task[T]] = TypeAdapter(task)
        self.result: TypeAdapter[T] = TypeAdapter(result)


KINDS: dict[str, Kind[Sharpened] | Kind[JobResult] | Kind[Inspection]] = {
    "InspectTask": Kind(InspectTask, Inspection),
    "PictureTask": Kind(PictureTask, Sharpened),
    "VideoTask": Kind(VideoTask, JobResult),
}
"""By the name of the class: what workers know how to do."""
