"""Work that a client waits for: it ends when that goes away, or when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from acutance.inference.inspection import Inspection
from acutance.server.admission import Admission
from acutance.server.files import Files
from acutance.server.jobs import JobResult
from acutance.server.limits import Limits
from acutance.server.metrics import Metrics
from acutance.server.options import Options
from acutance.server.pool import Pool
from acutance.server.refusals import Refused
from acutance.server.stopping import StopSignal
from acutance.server.tasks import Task
from acutance.server.uploads import Upload
from acutance.server.work import InspectTask, PictureTask
from acutance.server.workers import Workers, twice

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class DirectWork:
    """Does what somebody waits for, in the threads of the pool."""

    pool: Pool
    workers: Workers
    files: Files
    admission: Admission
    metrics: Metrics
    limits: Limits
    _stops: set[StopSignal] = field(default_factory=set, init=False)

    async def sharpen(
        self, upload: Upload, options: Options, client: str, gone: asyncio.Event
    ) -> tuple[Path, JobResult]:
        """Sharpen a picture.

        Args:
            upload: The picture.
            options: What is asked for, the format of the result included.
            client: Who waits.
            gone: Set when nobody waits any more: the work is given up.

        Returns:
            The result's file, which is the caller's to remove, and facts about it.

        Raises:
            AcutanceError: When it is not to be had.
        """
        path = self.files.new_passing()  # a file: what waits for a slow client must not lie in memory
        task = PictureTask(upload=upload.path, target=path, options=options, max_pixels=self.limits.max_pixels)
        runs = options.model.ensemble
        made = await self.result_of(
            task, client=client, gone=gone, undo=lambda: self.files.remove(upload.path, path), runs=runs
        )
        self.admission.took(made.seconds or 0.0, runs=runs)
        self.metrics.done(made, "direct")
        return path, made

    async def inspect(self, upload: Upload, client: str, gone: asyncio.Event) -> Inspection:
        """Look at a picture; arguments and errors are those of `sharpen`."""
        task = InspectTask(upload=upload.path, max_pixels=self.limits.max_pixels)
        return await self.result_of(task, client=client, gone=gone, undo=lambda: self.files.remove(upload.path))

    async def result_of(
        self, task: Task[T], *, client: str, gone: asyncio.Event, undo: Callable[[], None], runs: int = 1
    ) -> T:
        """Return what comes of a task, as long as somebody wants it.

        Args:
            task: Done once more where its worker dies.
            client: Who waits, for fairness.
            gone: Set when nobody waits any more.
            undo: Removes what the work has left; called when no result is returned, once the work has ended.
            runs: Of the network that it takes.

        Raises:
            Refused: When nobody waits any more; the work is given up then.
            AcutanceError: When it cannot be done.
        """
        stop = StopSignal(self.limits.run_s)

        def run() -> T:
            stop.check()
            return twice(lambda: self.workers.run(task, stop, lambda _: None))

        future = self.pool.submit(client, run, is_job=False, runs=runs)
        self._stops.add(stop)
        watch = asyncio.create_task(gone.wait())
        result = asyncio.wrap_future(future)
        try:
            await asyncio.wait((result, watch), return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise Refused(400, "cancelled", "the client went away.")
            return result.result()
        except BaseException:
            stop.set("cancelled")
            result.cancel()
            self.pool.withdraw(future)
            future.add_done_callback(lambda _: undo())
            raise
        finally:
            watch.cancel()
            self._stops.discard(stop)

    def end(self) -> None:
        """End all of it; who asks again finds the next server. From any thread."""
        for stop in list(self._stops):
            stop.set("stopping")
