"""The few threads that work on pictures; everything else waits in a fair queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from acutance.server.fair_queue import FairQueue

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    work: Callable[[], Any]
    is_job: bool
    future: Future[Any] = field(default_factory=Future)


class Pool:
    """A fixed number of threads, each at one piece of work at a time."""

    def __init__(self, runs: int) -> None:
        self._queue: FairQueue[_Entry] = FairQueue()
        self._busy = 0
        self._lock = threading.Lock()
        # Daemons: a second Ctrl-C must not wait for a tile.
        self._threads = [
            threading.Thread(target=self._work, name=f"acutance-run-{index}", daemon=True) for index in range(runs)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def submit(self, client: str, work: Callable[[], T], *, is_job: bool, runs: int = 1) -> Future[T]:
        """Queue a piece of work.

        Args:
            client: Whose turn it is; clients take turns, and so do one client's jobs and direct requests, for which
                somebody waits.
            work: What to do; what it returns or raises is in the future.
            is_job: Whether it is a job's.
            runs: Of the network that it takes: so many turns.
        """
        entry = _Entry(work, is_job)
        self._queue.put(f"{'job' if is_job else 'direct'} {client}", entry, turns=runs)
        return entry.future

    def withdraw(self, future: Future[Any]) -> bool:
        """Take work that has not begun out of the queue; its future is cancelled. False when it has begun."""
        return self._cancel(lambda entry: entry.future is future) > 0

    def withdraw_jobs(self) -> None:
        """Take all jobs that have not begun out of the queue."""
        self._cancel(lambda entry: entry.is_job)

    @property
    def waiting(self) -> int:
        """Pieces of work that have not begun."""
        return len(self._queue)

    @property
    def busy(self) -> int:
        """Pieces of work going on."""
        with self._lock:
            return self._busy

    def close(self, wait_s: float) -> bool:
        """Take on nothing more and wait for what is going on; whether it ended in time."""
        self._queue.close()
        end = time.monotonic() + wait_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _cancel(self, is_meant: Callable[[_Entry], bool]) -> int:
        gone = self._queue.withdraw(is_meant)
        for entry in gone:
            entry.future.cancel()
        return len(gone)

    def _work(self) -> None:
        while (entry := self._queue.take()) is not None:
            if entry.future.set_running_or_notify_cancel():
                self._do(entry)
            del entry  # or its result would live until the next one comes

    def _do(self, entry: _Entry) -> None:
        self._count(1)
        try:
            result = entry.work()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
            self._count(-1)
            entry.future.set_exception(error)
        else:
            self._count(-1)
            entry.future.set_result(result)

    def _count(self, change: int) -> None:
        with self._lock:
            self._busy += change
