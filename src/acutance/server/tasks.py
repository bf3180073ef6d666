"""What a worker is asked for: one piece of work on bytes that nobody trusts, as a value that fits into a line of JSON.

A task reads one file and writes another; both lie in the server's folder, and neither is named by a client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from acutance.inference.inspection import Inspection
from acutance.server.jobs import JobResult
from acutance.server.models import Models
from acutance.server.questions import Questioned, QuestionTask
from acutance.server.stopping import StopSignal
from acutance.server.video_work import VideoTask
from acutance.server.work import InspectTask, PictureTask

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


class Kind(Generic[T]):
    """A kind of task, and how it and what comes of it are written down."""

    def __init__(self, task: type[Task[T]], result: type[T]) -> None:
        self.task: TypeAdapter[Task[T]] = TypeAdapter(task)
        self.result: TypeAdapter[T] = TypeAdapter(result)


KINDS: dict[str, Kind[JobResult] | Kind[Inspection] | Kind[Questioned]] = {
    "InspectTask": Kind(InspectTask, Inspection),
    "PictureTask": Kind(PictureTask, JobResult),
    "QuestionTask": Kind(QuestionTask, Questioned),
    "VideoTask": Kind(VideoTask, JobResult),
}
"""By the name of the class: what workers know how to do."""
