"""How far unfinished jobs are, for those who watch: kept in memory only, told from threads, waited for in the loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from acutance.server.refusals import ProblemDetails, Refused

LEAST_S = 0.1
"""Watchers hear of progress no more often than this."""


class LiveJobs:
    """Progress of the jobs that are worked on, and who watches which job."""

    def __init__(self, max_watchers: int, max_per_client: int) -> None:
        self._max_watchers = max_watchers
        self._max_per_client = max_per_client
        self._watching: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shares: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._troubles: dict[str, ProblemDetails] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._lock = threading.Lock()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop that watchers wait in."""
        self._loop = loop

    def progress(self, job_id: str, share: float) -> None:
        """Say, from any thread, how far a job is, 0 … 1."""
        now = time.monotonic()
        with self._lock:
            self._shares[job_id] = share
            is_due = now - self._told.get(job_id, 0.0) >= LEAST_S
            if is_due:
                self._told[job_id] = now
        if is_due:
            self._wake(job_id)

    def changed(self, job_id: str, *, is_over: bool = False, trouble: ProblemDetails | None = None) -> None:
        """Say, from any thread, that a job's state has changed.

        Args:
            job_id: Which.
            is_over: It has no progress any more.
            trouble: Why it does not go on, where that cannot be written into the list of jobs.
        """
        with self._lock:
            if trouble is not None:
                self._troubles[job_id] = trouble
            else:
                self._troubles.pop(job_id, None)
            if is_over:
                self._shares.pop(job_id, None)
                self._told.pop(job_id, None)
        self._wake(job_id)

    def share(self, job_id: str) -> float:
        """Return how far a job is, 0 … 1."""
        with self._lock:
            return self._shares.get(job_id, 0.0)

    def trouble(self, job_id: str) -> ProblemDetails | None:
        """Return why a job does not go on, where the list of jobs cannot say it."""
        with self._lock:
            return self._troubles.get(job_id)

    @property
    def watchers(self) -> int:
        """Number of those who watch."""
        with self._lock:
            return self._watching.total()

    def check(self, client: str) -> None:
        """Say whether one more may watch.

        Raises:
            Refused: When too many watch already, or too many of the client.
        """
        with self._lock:
            is_full = self._watching.total() >= self._max_watchers
            has_all = self._watching[client] >= self._max_per_client
        if is_full or has_all:
            whose = "too many event streams are" if is_full else f"{self._max_per_client} event streams of yours are"
            raise Refused(429, "too_many_requests", f"{whose} open; ask now and then instead.", retry_after_s=5)

    @contextmanager
    def watch(self, job_id: str, client: str) -> Iterator[asyncio.Event]:
        """Give an event that is set at every change of a job.

        Raises:
            Refused: See `check`.
        """
        event = asyncio.Event()
        self.check(client)
        with self._lock:
            self._watching[client] += 1
            self._watchers.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            with self._lock:
                self._watching -= Counter((client,))  # what comes to nothing is dropped
                self._watchers[job_id].discard(event)
                if not self._watchers[job_id]:
                    del self._watchers[job_id]

    def wake_all(self) -> None:
        """Wake everybody: the server is stopping."""
        with self._lock:
            watched = list(self._watchers)
        for job_id in watched:
            self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        with self._lock:
            events = list(self._watchers.get(job_id, ()))
        for event in events:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(event.set)
