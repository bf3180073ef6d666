"""A queue that is fair between lanes: each lane's turn comes once a round, however many entries another has."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Entries in lanes, taken one lane after the other; within a lane, in order. For any threads.

    Examples:
        >>> queue = FairQueue[str]()
        >>> for lane, entry in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        ...     queue.put(lane, entry)
        >>> [queue.take(), queue.take(), queue.take()]
        ['a1', 'b1', 'a2']
    """

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[T]] = OrderedDict()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, lane: str, entry: T) -> None:
        """Add an entry at the end of its lane."""
        with self._changed:
            self._lanes.setdefault(lane, deque()).append(entry)
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for the next entry and remove it; None when the queue is closed."""
        with self._changed:
            while not self._lanes and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            lane, entries = self._lanes.popitem(last=False)
            entry = entries.popleft()
            if entries:
                self._lanes[lane] = entries  # at the end: the others come first
            return entry

    def withdraw(self, is_meant: Callable[[T], bool]) -> list[T]:
        """Remove and return the entries that are meant."""
        with self._changed:
            gone: list[T] = []
            for lane, entries in list(self._lanes.items()):
                gone += [entry for entry in entries if is_meant(entry)]
                kept = deque(entry for entry in entries if not is_meant(entry))
                if kept:
                    self._lanes[lane] = kept
                else:
                    del self._lanes[lane]
            return gone

    def close(self) -> None:
        """Let every `take` return None, now and later; entries that are left are not given out."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return sum(map(len, self._lanes.values()))
