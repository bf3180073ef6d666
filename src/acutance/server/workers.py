"""Who does the work: processes that can be killed, or, for engines that are open in this one, this one.

A worker does one task at a time. Whatever a task does to its process (it hangs in a decoder, eats the memory, crashes),
the process is ended half a second after being asked to stop, at its limits at once, and another takes its place.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar, cast

from acutance.errors import AcutanceError
from acutance.server.confinement import Layer, missing_words
from acutance.server.limits import Limits
from acutance.server.models import Models
from acutance.server.refusals import Refused, Stopped
from acutance.server.stopping import StopSignal
from acutance.server.tasks import Progress, Task
from acutance.server.worker_handle import WorkerDied, WorkerLimits, WorkerProcess
from acutance.server.worker_process import WorkerSettings

_LOG = logging.getLogger("acutance.server")

T = TypeVar("T")

KEPT_MB = 600
"""A worker that holds more than this when it has nothing to do is replaced by a fresh one."""


class Workers(Protocol):
    """Does tasks; no more at once than it was made for. For any threads."""

    def start(self) -> None:
        """Make ready, without waiting for it."""

    def run(self, task: Task[T], stop: StopSignal, progress: Progress) -> T:
        """Do a task; blocks.

        Raises:
            Stopped: When it was asked for, or its time is over.
            WorkerDied: When its process ended.
            AcutanceError: When it cannot be done.
        """

    @property
    def restarts(self) -> int:
        """How often a process had to be replaced."""

    def close(self) -> None:
        """End everything at once."""


class WorkersHere:
    """Does tasks in the threads that ask: for engines that are open here, and where nothing untrusted comes in."""

    restarts = 0

    def __init__(self, models: Models) -> None:
        self._models = models

    def start(self) -> None:
        """Do nothing."""

    def run(self, task: Task[T], stop: StopSignal, progress: Progress) -> T:
        """Do a task; see `Workers.run`."""
        return task.run(self._models, stop, progress)

    def close(self) -> None:
        """Do nothing: the models are not ours."""


class WorkerProcesses:
    """Does tasks in processes of their own."""

    def __init__(self, count: int, settings: WorkerSettings, limits: WorkerLimits, *, are_kept: bool = True) -> None:
        """Plan them; nothing is started yet.

        Args:
            count: How many tasks may be done at once.
            settings: What each is told first.
            limits: What each may take.
            are_kept: Whether they stay after a task; else one is started for each.
        """
        self._settings = settings
        self._limits = limits
        self._are_kept = are_kept
        self._free: queue.SimpleQueue[WorkerProcess | None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._count = count
        self._spare: WorkerProcess | None = None
        """Opened and idle: who comes next must not wait until a fresh one has opened its engine."""
        self._alive: set[WorkerProcess] = set()
        self._restarts = 0
        self._is_ending = False
        self.layers: tuple[Layer, ...] | None = None
        """What confines the workers; None until one was ready."""
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start the processes that are kept, and a spare, and let them open the default model; does not wait for it."""
        if self._are_kept:
            for _ in range(self._count):
                self._free.get()
                self._free.put(self._started())
            with self._lock:  # now: after the first task it would take time from the second
                self._spare = self._started()

    @property
    def restarts(self) -> int:
        """How often a process had to be replaced."""
        return self._restarts

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of those that live."""
        with self._lock:
            return tuple(process.pid for process in self._alive)

    @property
    def busy_ids(self) -> tuple[int, ...]:
        """Of those that have something to do."""
        with self._lock:
            return tuple(process.pid for process in self._alive if not process.is_idle)

    def run(self, task: Task[T], stop: StopSignal, progress: Progress) -> T:
        """Do a task; see `Workers.run`."""
        process = self._free.get()
        try:
            if process is None or not process.is_alive:
                self._end(process)
                process = None  # if the next line raises, there is none
                process = self._next_one()
            return cast("T", process.run(task, stop, progress, self._limits))
        except Stopped as stopped:
            self._is_ending = self._is_ending or stopped.reason == "stopping"  # nobody is needed any more
            raise
        finally:
            self._free.put(self._kept(process))

    def close(self) -> None:
        """End everything at once."""
        with self._lock:
            self._is_ending = True
            alive = list(self._alive)
        for process in alive:
            self._end(process)

    def _kept(self, process: WorkerProcess | None) -> WorkerProcess | None:
        """Return who does the next task: the same process, or a fresh one that makes ready meanwhile."""
        if process is None:
            return None
        is_sound = process.is_alive and process.is_idle
        is_kept = is_sound and self._are_kept and process.resident_bytes < KEPT_MB * 1e6
        if not is_kept:
            self._end(process)
            self._restarts += not is_sound
        if not self._are_kept or self._is_ending:
            return process if is_kept else None
        try:
            following = process if is_kept else self._next_one()
            with self._lock:
                if self._spare is None:
                    self._spare = self._started()
        except (OSError, AcutanceError):  # the next task tries again, and says what is wrong
            _LOG.warning("a worker cannot be started", exc_info=True)
            return process if is_kept else None
        return following

    def _next_one(self) -> WorkerProcess:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and spare.is_alive:
            return spare
        self._end(spare)
        return self._started()

    def _started(self) -> WorkerProcess:
        with self._lock:
            if self._is_ending:
                raise Stopped("stopping")
            process = WorkerProcess(self._settings, self._note_layers)
            self._alive.add(process)
            return process

    def _note_layers(self, held: tuple[Layer, ...]) -> None:
        """Say once what of the confinement does not hold here, if anything; see `acutance doctor`."""
        with self._lock:
            is_known, self.layers = self.layers is not None, held
        if is_known or not self._settings.folders:
            return
        missing = missing_words(held)
        if missing:
            _LOG.warning("workers are not confined as they should be on this system: %s", "; ".join(missing))

    def _end(self, process: WorkerProcess | None) -> None:
        if process is not None:
            process.kill()
            with self._lock:
                self._alive.discard(process)


def twice(work: Callable[[], T]) -> T:
    """Do something once more where its worker died: who waits for it does not know of workers.

    Raises:
        Refused: When it died again.
    """
    with contextlib.suppress(WorkerDied):
        return work()
    try:
        return work()
    except WorkerDied as error:
        raise Refused(500, "gave_up", "the server's worker went down twice with this picture; send another.") from error


def workers_for(models: Models, limits: Limits, folders: tuple[Path, ...]) -> tuple[Workers, Workers]:
    """Return who works on pictures, and who on videos: processes, where others can open the models."""
    if models.settings is None:
        return WorkersHere(models), WorkersHere(models)
    settings = WorkerSettings(
        models=models.settings, memory_bytes=limits.worker_bytes, opens_first=True, folders=folders
    )
    takes = WorkerLimits(memory_bytes=limits.worker_bytes, run_s=limits.run_s)
    for_videos = replace(takes, run_s=limits.video_s)
    # Videos are rare and take long: between two of them nothing is kept.
    videos = WorkerProcesses(1, replace(settings, opens_first=False), for_videos, are_kept=False)
    return WorkerProcesses(limits.runs, settings, takes), videos
