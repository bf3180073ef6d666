"""Work on several things at once, in threads: so many at a time, results in the order in which they are ready."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

POLL_S = 0.5
"""How often a waiting main thread looks up: Windows does not wake it for Ctrl-C."""

PATIENCE_S = 5.0
"""How long threads that are to break off are waited for: a tile takes about a second."""


_left_behind: list[threading.Thread] = []
"""Threads that were not waited for any longer."""


def is_work_left_behind() -> bool:
    """Say whether a thread that nobody waits for is still in the middle of its work, as a tile in a network.

    It would come back from there into an interpreter that is being taken down, which C++ answers by aborting the
    process. So a program ends by `os._exit` then.
    """
    return any(thread.is_alive() for thread in _left_behind)


class Abandoned(BaseException):
    """Raised inside the work when nobody waits for it any more; no `Exception`, or it would be told as a failure."""


def work_through(
    items: Iterable[Item],
    work: Callable[[Item, Callable[[], None]], Result],
    *,
    jobs: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
    is_in_callers_thread: bool = False,
) -> Iterator[Result]:
    """Work on items and yield the results.

    With one job the items are worked on in order, each when the caller asks for its result. With more, each thread
    takes the next item when it is done with its own, so never more than `jobs` are in work. When the caller leaves the
    iteration early (an error, a second Ctrl-C), the threads break off at their next check, and are not waited for
    longer than a few seconds.

    The caller's thread only waits, even for one job: Python answers Ctrl-C in the main thread alone, and there not
    before a tile is through the network.

    Args:
        items: What to work on.
        work: Takes an item and a check, to be called now and then, which raises `Abandoned` when the result is no
            longer wanted. What else it raises ends the iteration.
        jobs: Threads.
        should_stop: Asked before each item; if so, what is in work is finished and nothing new begun.
        is_in_callers_thread: Work in the caller's thread, one item at a time: for work that has threads of its own and
            waits for them, as that on videos does.
    """
    if jobs > 1 and not is_in_callers_thread:
        yield from _in_threads(_Crew(items, work, should_stop), jobs)
        return
    for item in items:
        if should_stop():
            return
        if is_in_callers_thread:
            yield work(item, lambda: None)
        else:
            yield from _in_threads(_Crew([item], work, lambda: False), 1)


def _in_threads(crew: _Crew[Item, Result], jobs: int) -> Iterator[Result]:
    """Let a crew of so many threads work, and yield what they give."""
    threads = [threading.Thread(target=crew.run, name=f"job-{number}", daemon=True) for number in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        yield from crew.results(jobs)
    finally:
        crew.abandon()
        deadline = time.monotonic() + PATIENCE_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        _left_behind.extend(thread for thread in threads if thread.is_alive())


@dataclass(frozen=True, slots=True)
class _Ready(Generic[Result]):
    """A result that can be told."""

    result: Result


class _Crew(Generic[Item, Result]):
    """What the threads share: the items not yet taken, and the results not yet told."""

    def __init__(
        self, items: Iterable[Item], work: Callable[[Item, Callable[[], None]], Result], should_stop: Callable[[], bool]
    ) -> None:
        self._items = iter(items)
        self._work = work
        self._should_stop = should_stop
        self._taking = threading.Lock()
        self._is_abandoned = threading.Event()
        self._told: queue.SimpleQueue[_Ready[Result] | BaseException | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Work until nothing is left; what one thread does."""
        try:
            for item in self._taken():
                self._told.put(_Ready(self._work(item, self.check)))
        except Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._told.put(error)
        finally:
            self._told.put(None)

    def results(self, threads: int) -> Iterator[Result]:
        """Yield results until so many threads have ended."""
        while threads:
            try:
                told = self._told.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if told is None:
                threads -= 1
            elif isinstance(told, BaseException):
                raise told
            else:
                yield told.result

    def abandon(self) -> None:
        """Make the threads break off at their next check."""
        self._is_abandoned.set()

    def check(self) -> None:
        """Raise `Abandoned` if nobody waits any more."""
        if self._is_abandoned.is_set():
            raise Abandoned

    def _taken(self) -> Iterator[Item]:
        while True:
            with self._taking:
                if self._is_abandoned.is_set() or self._should_stop():
                    return
                try:
                    item = next(self._items)
                except StopIteration:
                    return
            yield item
