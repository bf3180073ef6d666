"""A bounded queue between two threads that either side can end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

INTERRUPTIBLE_S = 0.2
"""A wait without a limit could not be interrupted by Ctrl-C on Windows."""


class Cancelled(Exception):
    """The work was given up, here or elsewhere; whoever gave it up knows why."""


class Channel(Generic[Item]):
    """Hands items from one thread to another, at most `capacity` of them waiting.

    Examples:
        >>> channel = Channel[int](2)
        >>> channel.put(1)
        >>> channel.finish()
        >>> list(channel)
        [1]
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._is_finished = False
        self._is_cancelled = False

    def put(self, item: Item) -> None:
        """Append an item; wait while the channel is full.

        Raises:
            Cancelled: When the channel was cancelled.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._is_cancelled:
                self._changed.wait(INTERRUPTIBLE_S)
            self._check()
            self._items.append(item)
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that nothing more comes."""
        with self._changed:
            self._is_finished = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Drop what waits, and make both sides stop."""
        with self._changed:
            self._is_cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        """Take items until the channel is finished.

        Raises:
            Cancelled: When the channel was cancelled.
        """
        while True:
            with self._changed:
                while not (self._items or self._is_finished or self._is_cancelled):
                    self._changed.wait(INTERRUPTIBLE_S)
                self._check()
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def _check(self) -> None:
        if self._is_cancelled:
            raise Cancelled
