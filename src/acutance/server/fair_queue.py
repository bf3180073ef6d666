"""A queue that is fair between lanes: turns are shared, however many entries a lane has, and however large they are."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Entries in lanes, taken one lane after the other; within a lane, in order. For any threads.

    An entry may take several turns: its lane then waits as long as others need for as many. A lane that was away has
    saved up no turns, and has not got rid of those that it still owes.

    Examples:
        >>> queue = FairQueue[str]()
        >>> for lane, entry, turns in (("a", "a1", 2), ("a", "a2", 1), ("b", "b1", 1), ("b", "b2", 1), ("b", "b3", 1)):
        ...     queue.put(lane, entry, turns=turns)
        >>> [queue.take() for _ in range(5)]
        ['a1', 'b1', 'b2', 'a2', 'b3']
    """

    def __init__(self) -> None:
        self._lanes: dict[str, deque[tuple[int, T]]] = {}
        """In the order of whose turn it is where two are due at once."""
        self._due: dict[str, int] = {}
        """In turns, when a lane's next entry is due: of lanes that have one, and of those that owe turns."""
        self._now = 0
        """When the entry was due that was taken last."""
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, lane: str, entry: T, *, turns: int = 1) -> None:
        """Add an entry at the end of its lane, which takes so many turns."""
        with self._changed:
            if lane not in self._lanes:
                self._lanes[lane] = deque()
                self._due[lane] = max(self._now, self._due.get(lane, 0))
            self._lanes[lane].append((turns, entry))
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for the next entry and remove it; None when the queue is closed."""
        with self._changed:
            while not self._lanes and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            lane = min(self._lanes, key=self._due.__getitem__)
            entries = self._lanes.pop(lane)
            turns, entry = entries.popleft()
            self._now = self._due[lane]
            self._due[lane] += turns
            if entries:
                self._lanes[lane] = entries  # at the end: of those that are due at once the others come first
            self._forget()
            return entry

    def withdraw(self, is_meant: Callable[[T], bool]) -> list[T]:
        """Remove and return the entries that are meant."""
        with self._changed:
            gone: list[T] = []
            for lane, entries in list(self._lanes.items()):
                gone += [entry for _, entry in entries if is_meant(entry)]
                kept = deque((turns, entry) for turns, entry in entries if not is_meant(entry))
                if kept:
                    self._lanes[lane] = kept
                else:
                    del self._lanes[lane]
            self._forget()
            return gone

    def close(self) -> None:
        """Let every `take` return None, now and later; entries that are left are not given out."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _forget(self) -> None:
        """Forget lanes that have no entry and owe nothing."""
        self._due = {lane: due for lane, due in self._due.items() if lane in self._lanes or due > self._now}

    def __len__(self) -> int:
        with self._changed:
            return sum(map(len, self._lanes.values()))
