"""Jobs: taken in, worked on one after the other, tried again where that may help, and forgotten in the end.

The list of jobs is always changed before anything is answered or removed, so that at every moment a server that is
killed can be started again: what it had begun is queued again, what was done stays done.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from acutance.errors import AcutanceError
from acutance.media.formats import sniff_format
from acutance.media.video_formats import video_suffix_of
from acutance.server.admission import Admission
from acutance.server.files import Files, head_of
from acutance.server.job_store import JobStore
from acutance.server.jobs import Job, JobResult, NewJob
from acutance.server.limits import Limits
from acutance.server.live import LiveJobs
from acutance.server.metrics import Metrics
from acutance.server.options import MEDIA_TYPES
from acutance.server.pool import Pool
from acutance.server.refusals import INTERNAL, ErrorCode, ProblemDetails, Refused, Stopped, problem_of
from acutance.server.stopping import StopSignal
from acutance.server.tiles import remove_tiles
from acutance.server.video_work import VideoTask, head_for_videos, is_video, video_type_of
from acutance.server.work import PictureTask
from acutance.server.worker_handle import WorkerDied
from acutance.server.workers import Workers

_LOG = logging.getLogger("acutance.server")

TAKEN_DOWN = ProblemDetails(
    status=500,
    error="gave_up",
    detail="the server went down each time that it worked on this picture; it is not tried again.",
)

WORKER_DOWN = ProblemDetails(
    status=500,
    error="worker_died",
    detail="the server's worker went down while it worked on this picture; it tries again by itself.",
)

_TRIED_AGAIN: dict[ErrorCode, str] = {
    "out_of_memory": "the server had not enough memory for this picture; it tries again by itself.",
    "storage_full": "the server's disk is full; nothing was lost, it tries again by itself.",
    "storage_busy": "the server's list of jobs was locked; it tries again by itself.",
}
"""What may be gone in a while, and what is said until then."""

STORAGE: frozenset[ErrorCode] = frozenset(("storage_full", "storage_busy"))

LONGEST_WAIT_S = 600.0
"""A job that is put off again and again is put off for twice as long each time, up to this."""


@dataclass(kw_only=True)
class JobRunner:
    """Runs jobs. Its methods block for the disk: they belong into threads, but for those that say otherwise."""

    store: JobStore
    files: Files
    picture_workers: Workers
    video_workers: Workers
    pool: Pool
    videos: Pool
    admission: Admission
    live: LiveJobs
    metrics: Metrics
    limits: Limits
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _futures: dict[str, Future[None]] = field(default_factory=dict, init=False)
    _stops: dict[str, StopSignal] = field(default_factory=dict, init=False)
    _placed: dict[str, tuple[str, int]] = field(default_factory=dict, init=False)
    """Client, and runs of the network, of the jobs that have a place."""
    _tries: dict[str, int] = field(default_factory=dict, init=False)
    """How often a job was put off, since this server began."""
    _is_stopping: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def recover(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on where a server before this one ended, however it ended."""
        self._loop = loop
        for job in self.store.in_states("running"):
            self._recover(job)
        queued = self.store.in_states("queued")
        done = self.store.in_states("done")
        kept = {job.id for job in (*queued, *(job for job in done if job.options.is_questioned))}
        self.files.tidy(uploads=kept, results={job.id for job in done})
        for job in queued:
            self.admission.enter_again(job.client, runs=job.options.model.ensemble)
            self._take(job)

    def accept(self, job: NewJob) -> Job:
        """Put a job whose upload is in its place into the list, and queue it; it already has a place in the queue.

        Raises:
            Refused: When the list cannot be written.
        """
        added = self.store.add(job)
        if added.id == job.id:
            self._take(added)
        return added

    def cancel(self, job_id: str) -> None:
        """Stop an unfinished job; remove the result of a finished one.

        Raises:
            Refused: When the list cannot be written.
        """
        if self.store.cancel(job_id):
            with self._lock:
                stop, future = self._stops.get(job_id), self._futures.get(job_id)
            if stop is not None:
                stop.set("cancelled")  # the place is given back when the run has ended
            else:
                if future is not None and not self.pool.withdraw(future):
                    self.videos.withdraw(future)
                self._over(job_id)
            self.files.remove(self.files.upload(job_id), self.files.result(job_id))
            self.files.remove_video(job_id)
            remove_tiles(self.files.tiles(job_id))
            self.metrics.jobs.labels("cancelled").inc()
        elif self.store.discard(job_id):
            self.files.remove(*self.files.all_of_result(job_id))
        self.live.changed(job_id, is_over=True)

    def sweep(self) -> None:
        """Let old results expire, and forget what expired long ago."""
        now = time.time()
        for job_id in self.store.expire(now - self.limits.keep_s):
            self.files.remove(*self.files.all_of_result(job_id))
            self.live.changed(job_id, is_over=True)
        self.store.forget(now - self.limits.keep_s - self.limits.remember_s)
        self.files.remove_forgotten()

    def stop_taking(self) -> None:
        """Begin no more jobs: those that wait stay in the list. Does not block."""
        with self._lock:
            self._is_stopping = True
        self.pool.withdraw_jobs()
        self.videos.withdraw_jobs()

    def finish_running(self, wait_s: float) -> None:
        """Wait for the jobs that are worked on; those that take longer are put back into the list."""
        with self._lock:
            running = [self._futures[job_id] for job_id in self._stops if job_id in self._futures]
        wait([future for future in running if not future.cancelled()], timeout=wait_s)
        with self._lock:
            stops = list(self._stops.values())
        for stop in stops:
            stop.set("stopping")

    def _recover(self, job: Job) -> None:
        """Settle a job that was running when the server died."""
        result = self.files.result(job.id)
        if result.exists():  # it is whole, by the way it is written: only the note is missing
            format_ = sniff_format(head_of(result))
            facts = JobResult(
                media_type=MEDIA_TYPES[format_] if format_ else video_type_of(head_for_videos(result)),
                bytes=result.stat().st_size,
                seconds=None,
                megapixels=None,
                lost=(),
            )
            self.store.finish(job.id, facts)
        elif job.attempts >= self.limits.max_attempts:
            self.store.fail(job.id, TAKEN_DOWN)
        else:
            self.store.put_back(job.id, counts=True)

    def _take(self, job: Job) -> None:
        with self._lock:
            self._placed[job.id] = (job.client, job.options.model.ensemble)
        self._queue(job.id)

    def _queue(self, job_id: str) -> None:
        with self._lock:
            if self._is_stopping or job_id not in self._placed:
                return
            # Under the lock: a worker that begins it at once must find its future here.
            # Videos have a thread of their own: pictures must not wait for hours.
            pool = self.videos if self._is_video(job_id) else self.pool
            client, runs = self._placed[job_id]
            self._futures[job_id] = pool.submit(client, partial(self._run, job_id), is_job=True, runs=runs)

    def _is_video(self, job_id: str) -> bool:
        try:
            return is_video(head_for_videos(self.files.upload(job_id)))
        except OSError:  # the run will say what is wrong
            return False

    def _run(self, job_id: str) -> None:
        """Work on a job; in a thread of the pool. Whatever happens is in the list afterwards, or is tried again."""
        stop = StopSignal(self.limits.video_s if self._is_video(job_id) else self.limits.run_s)
        with self._lock:
            self._stops[job_id] = stop
            if self._is_stopping:
                stop.set("stopping")
        is_over = True
        trouble = None
        try:
            job = self.store.begin(job_id)
            if job is not None:
                self.live.changed(job_id)
                is_over = self._settled(job, stop)
        except Refused as error:  # the list cannot be written now
            _LOG.warning("job %s: %s", job_id, error)
            is_over = False
            words = _TRIED_AGAIN.get(error.problem.error, error.problem.detail)
            trouble = replace(error.problem, detail=words)
        except Exception:  # noqa: BLE001 - an edge: it is logged, and the server goes on
            _LOG.exception("job %s: unexpected error", job_id)
            with suppress(Refused):
                self.store.fail(job_id, INTERNAL)
        finally:
            with self._lock:
                self._stops.pop(job_id, None)
                self._futures.pop(job_id, None)
        if is_over:
            remove_tiles(self.files.tiles(job_id))
            self._over(job_id)
        else:
            self._again(job_id)
        self.live.changed(job_id, is_over=is_over, trouble=trouble)

    def _settled(self, job: Job, stop: StopSignal) -> bool:
        """Do a job's work and note what came of it; whether that is final.

        Raises:
            Refused: When it cannot be noted.
        """
        try:
            facts = self._made_video(job, stop) if self._is_video(job.id) else self._made_picture(job, stop)
        except (AcutanceError, MemoryError, OSError) as error:
            return self._failed(job, error)
        if self.store.finish(job.id, facts):
            self.metrics.done(facts, "job")
            if not job.options.is_questioned:
                self.files.remove(self.files.upload(job.id))
        else:  # cancelled meanwhile
            self.files.remove(self.files.result(job.id))
        self.files.remove_video(job.id)
        return True

    def _made_picture(self, job: Job, stop: StopSignal) -> JobResult:
        made = self.files.new_passing()
        task = PictureTask(
            upload=self.files.upload(job.id),
            target=made,
            options=job.options,
            max_pixels=self.limits.max_pixels,
            tiles=self.files.tiles(job.id),
        )
        try:
            facts = self.picture_workers.run(task, stop, partial(self.live.progress, job.id))
            size_bytes = made.stat().st_size  # a worker is not trusted
            self.files.keep(made, self.files.result(job.id))
        finally:
            self.files.remove(made)
        self.admission.took(facts.seconds or 0.0, runs=job.options.model.ensemble)
        return replace(facts, bytes=size_bytes)

    def _made_video(self, job: Job, stop: StopSignal) -> JobResult:
        upload = self.files.upload(job.id)
        target = self.files.video(job.id, video_suffix_of(head_for_videos(upload), ""))
        task = VideoTask(upload=upload, target=target, options=job.options, max_pixels=self.limits.max_pixels)
        facts = self.video_workers.run(task, stop, partial(self.live.progress, job.id))
        self.files.keep(target, self.files.result(job.id))
        return facts

    def _failed(self, job: Job, error: Exception) -> bool:
        """Note that a job's work did not succeed; whether that is final."""
        if isinstance(error, Stopped) and error.reason == "cancelled":
            return True
        if isinstance(error, Stopped) and error.reason == "stopping":
            self.store.put_back(job.id, counts=False)
            return False
        if isinstance(error, WorkerDied):
            _LOG.warning("job %s: %s", job.id, error)
            problem: ProblemDetails = TAKEN_DOWN
            again: ProblemDetails | None = WORKER_DOWN
        else:
            problem = problem_of(error)
            words = _TRIED_AGAIN.get(problem.error)
            again = None if words is None else replace(problem, detail=words)
            if problem.status >= 500:
                _LOG.warning("job %s: %s", job.id, error, exc_info=error)
        is_counted = problem.error not in STORAGE  # a disk may be full for long: nothing is given up for that
        if again is not None and (job.attempts < self.limits.max_attempts or not is_counted):
            self.store.put_back(job.id, again, counts=is_counted)
            return False
        if self.store.fail(job.id, problem):
            self.metrics.jobs.labels("failed").inc()
        self.files.remove(self.files.upload(job.id))
        self.files.remove_video(job.id)
        return True

    def _again(self, job_id: str) -> None:
        """Queue a job once more, in a while."""
        with self._lock:
            if job_id not in self._placed or self._loop is None:
                return
            tries = self._tries[job_id] = self._tries.get(job_id, 0) + 1
        wait_s = min(LONGEST_WAIT_S, self.limits.retry_s * 2 ** min(tries - 1, 20))
        with suppress(RuntimeError):  # the loop is closed: the next server goes on with it
            self._loop.call_soon_threadsafe(self._loop.call_later, wait_s, self._queue, job_id)

    def _over(self, job_id: str) -> None:
        """Give a job's place back, once."""
        with self._lock:
            placed = self._placed.pop(job_id, None)
            self._futures.pop(job_id, None)
            self._tries.pop(job_id, None)
        if placed is not None:
            self.admission.leave(placed[0], runs=placed[1])
