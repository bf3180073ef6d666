"""The service itself, without HTTP: what it is made of, how it starts, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from acutance.geometry import Box
from acutance.inference.inspection import Inspection
from acutance.server.admission import Admission
from acutance.server.files import Files
from acutance.server.job_runner import JobRunner
from acutance.server.job_store import JobStore
from acutance.server.jobs import UNFINISHED, Job, NewJob, new_job_id
from acutance.server.limits import Limits
from acutance.server.live import LiveJobs
from acutance.server.metrics import Metrics
from acutance.server.models import Models, check_choice
from acutance.server.options import Options, fingerprint_of, result_stem
from acutance.server.pool import Pool
from acutance.server.refusals import Refused
from acutance.server.stopping import StopSignal
from acutance.server.tasks import InspectTask, PictureTask
from acutance.server.telling import check_known
from acutance.server.tiles import look, remove_tiles
from acutance.server.uploads import Upload
from acutance.server.work import Sharpened
from acutance.server.worker_handle import WorkerLimits
from acutance.server.worker_process import WorkerSettings
from acutance.server.workers import WorkerProcesses, Workers, WorkersHere, twice

T = TypeVar("T")

_LOG = logging.getLogger("acutance.server")

SWEEP_S = 60.0
"""Between two looks for what has expired."""

LAST_TILE_S = 20.0
"""How long the tile that is being worked on may take when the server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedResult:
    """A result on its way to whom it was made for."""

    path: Path
    """Of its file, which is removed when it was sent."""
    bytes: int
    """Of the file."""
    sharpened: Sharpened
    """Facts about it."""


class Service:
    """Sharpens pictures for clients, at once or as jobs."""

    def __init__(self, models: Models, *, store: JobStore, files: Files, limits: Limits) -> None:
        self.models = models
        self.store = store
        self.files = files
        self.limits = limits
        self.metrics = Metrics()
        self.pool = Pool(limits.runs)
        self.videos = Pool(1)
        self.picture_workers, self.video_workers = _workers(models, limits)
        self.live = LiveJobs(limits.max_watchers, limits.max_watchers_per_client)
        self.admission = Admission(limits, free_bytes=lambda: files.free_bytes, stored_bytes=lambda: store.stored_bytes)
        self.jobs = JobRunner(
            store=store,
            files=files,
            picture_workers=self.picture_workers,
            video_workers=self.video_workers,
            pool=self.pool,
            videos=self.videos,
            admission=self.admission,
            live=self.live,
            metrics=self.metrics,
            limits=limits,
        )
        self._stopping_since: float | None = None
        self._direct: set[StopSignal] = set()
        """Of the requests that somebody waits for."""

    @property
    def is_stopping(self) -> bool:
        """Whether the server was asked to stop."""
        return self._stopping_since is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is worked on, and nobody waits for it."""
        return not (self.pool.busy or self.pool.waiting or self.videos.busy or self.admission.uploads)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work for the time of a block; at its end, jobs that are worked on have `drain_s` to come to their end."""
        loop = asyncio.get_running_loop()
        self.live.bind(loop)
        sweeper = None
        try:
            await asyncio.to_thread(self.picture_workers.start)
            await asyncio.to_thread(self.jobs.recover, loop)
            self.pool.start()
            self.videos.start()
            sweeper = asyncio.create_task(self._sweep())
            yield
        finally:
            if sweeper is not None:
                sweeper.cancel()
            self.stop()
            await asyncio.to_thread(self._close)

    def stop(self) -> None:
        """Begin to stop: let nobody in, begin no more jobs, end the event streams. From any thread; does not block."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            ending = threading.Timer(self.limits.drain_s, self._end_direct)
            ending.daemon = True
            ending.start()
        self.admission.close()
        self.jobs.stop_taking()
        self.live.wake_all()

    async def sharpen(self, upload: Upload, options: Options, client: str, gone: asyncio.Event) -> FinishedResult:
        """Sharpen a picture for somebody who waits.

        Args:
            upload: The picture; its file is removed.
            options: What is asked for, the format of the result included.
            client: Who waits.
            gone: Set when nobody waits any more: the work is given up.

        Raises:
            AcutanceError: When it is not to be had.
        """
        stop = StopSignal(self.limits.run_s)
        path = self.files.new_passing()
        task = PictureTask(upload=upload.path, target=path, options=options, max_pixels=self.limits.max_pixels)
        future = self.pool.submit(client, partial(self._sharpen_to, task, stop), is_job=False)
        try:
            return await self._awaited(future, stop, gone)
        except BaseException:
            future.add_done_callback(lambda _: self.files.remove(path))
            raise
        finally:
            future.add_done_callback(lambda _: self.files.remove(upload.path))

    async def inspect(self, upload: Upload, client: str, gone: asyncio.Event) -> Inspection:
        """Look at a picture for somebody who waits.

        Args:
            upload: The picture; its file is removed.
            client: Who waits.
            gone: Set when nobody waits any more: the work is given up.

        Raises:
            AcutanceError: When it cannot be read.
        """
        stop = StopSignal(self.limits.run_s)
        task = InspectTask(upload=upload.path, max_pixels=self.limits.max_pixels)
        future = self.pool.submit(client, partial(self._inspected, task, stop), is_job=False)
        try:
            return await self._awaited(future, stop, gone)
        finally:
            future.add_done_callback(lambda _: self.files.remove(upload.path))

    async def _awaited(self, future: Future[T], stop: StopSignal, gone: asyncio.Event) -> T:
        """Wait for work of the pool as long as somebody wants it.

        Raises:
            Refused: When nobody does any more; the work is given up then.
        """
        self._direct.add(stop)
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
            raise
        finally:
            watch.cancel()
            self._direct.discard(stop)

    async def submit(
        self, upload: Upload, options: Options, *, client: str, owner: str, key: str | None
    ) -> tuple[Job, bool]:
        """Take a picture in as a job; it takes a place in the queue.

        Returns:
            The job, and whether it is new: else its owner has posted it before, by the same key.

        Raises:
            Refused: When there is no place, when it cannot be stored, or when the key is that of another picture or of
                other options.
        """
        fingerprint = fingerprint_of(options, upload.digest)
        known = None if key is None else await asyncio.to_thread(self.store.by_key, owner, key)
        if known is not None:
            return _same(known, fingerprint), False
        job = NewJob(
            id=new_job_id(),
            client=client,
            owner=owner,
            key=key,
            fingerprint=fingerprint,
            stem=result_stem(upload.filename),
            options=options,
            upload_bytes=upload.bytes,
        )

        def keep() -> Job:
            try:
                self.files.keep_upload(upload.path, job.id)
                return self.jobs.accept(job)
            except BaseException:
                self.files.remove(self.files.upload(job.id))
                raise

        async def take() -> Job:
            self.admission.enter(client)
            try:
                added = await asyncio.to_thread(keep)
            except BaseException:
                self.admission.leave(client)
                raise
            if added.id != job.id:  # a twin of the same key was quicker
                self.files.remove(self.files.upload(job.id))
                self.admission.leave(client)
            return added

        # Shielded: who goes away now must not leave half a job behind.
        added = await asyncio.shield(asyncio.create_task(take()))
        return _same(added, fingerprint), added.id == job.id

    def check(self, options: Options) -> None:
        """Refuse at once what no run could give.

        Raises:
            Refused: See `check_choice`.
            ConfigError: See `check_known`.
        """
        check_choice(self.models.offered, options.model)
        check_known(options, self.models.offered)

    async def job(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            Refused: When there is none of that name.
        """
        job = await asyncio.to_thread(self.store.get, job_id)
        if job is None:
            raise Refused(404, "not_found", "there is no job of that name; it may have been forgotten long ago.")
        return job

    async def look(self, job_id: str, view: Box | None) -> Job:
        """Have the tiles of a job's picture written as they are finished, those in view first, until it is over.

        Args:
            job_id: Which.
            view: The part that is seen, in px of the picture as it is looked at; None is all of it.

        Raises:
            Refused: When there is no such job, or the disk does not take it.
        """
        job = await self.job(job_id)
        if job.state not in UNFINISHED:
            return job
        folder = self.files.tiles(job_id)
        await asyncio.to_thread(look, folder, view)
        job = await self.job(job_id)
        if job.state not in UNFINISHED:  # it ended meanwhile, and nobody else removes the folder
            await asyncio.to_thread(remove_tiles, folder)
        return job

    def _sharpen_to(self, task: PictureTask, stop: StopSignal) -> FinishedResult:
        """Sharpen a picture into a file: what waits for a slow client must not lie in memory."""
        stop.check()
        sharpened = twice(lambda: self.picture_workers.run(task, stop, lambda _: None))
        self.admission.took(sharpened.seconds)
        self.metrics.done(sharpened.megapixels, sharpened.seconds, "direct")
        return FinishedResult(path=task.target, bytes=task.target.stat().st_size, sharpened=sharpened)

    def _inspected(self, task: InspectTask, stop: StopSignal) -> Inspection:
        stop.check()
        return twice(lambda: self.picture_workers.run(task, stop, lambda _: None))

    def _end_direct(self) -> None:
        """End what somebody waits for; who asks again finds the next server."""
        for stop in list(self._direct):
            stop.set("stopping")

    async def _sweep(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.jobs.sweep)
            except Exception:  # noqa: BLE001 - an edge: it is logged, and the server goes on
                _LOG.exception("looking for expired jobs")
            await asyncio.sleep(SWEEP_S)

    def _close(self) -> None:
        since = self._stopping_since or time.monotonic()
        self.jobs.finish_running(max(0.0, since + self.limits.drain_s - time.monotonic()))
        is_over = self.pool.close(LAST_TILE_S)
        if not self.videos.close(LAST_TILE_S) or not is_over:
            _LOG.warning("a run did not end in time; its job is done anew by the next server")
        self.picture_workers.close()
        self.video_workers.close()
        with contextlib.suppress(Exception):
            self.store.close()
        self.models.close()


def _same(known: Job, fingerprint: str) -> Job:
    """Return a job that was posted before by the same key, if it was the same post.

    Raises:
        Refused: When it was another.
    """
    if known.fingerprint not in (None, fingerprint):
        raise Refused(
            422,
            "key_reused",
            "Idempotency-Key: was used for another picture or other options; take a new key for a new post.",
        )
    return known


def _workers(models: Models, limits: Limits) -> tuple[Workers, Workers]:
    """Return who works on pictures, and who on videos: processes, where others can open the models."""
    if models.settings is None:
        return WorkersHere(models), WorkersHere(models)
    settings = WorkerSettings(models=models.settings, memory_bytes=limits.worker_bytes, opens_first=True)
    takes = WorkerLimits(memory_bytes=limits.worker_bytes, run_s=limits.run_s)
    for_videos = replace(takes, run_s=limits.video_s)
    # Videos are rare and take long: between two of them nothing is kept.
    videos = WorkerProcesses(1, replace(settings, opens_first=False), for_videos, are_kept=False)
    return WorkerProcesses(limits.runs, settings, takes), videos
