"""A place for one thing, the latest: who is slow sees fewer, never older ones."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Holds the latest item that was put in and not yet taken.

    Examples:
        >>> box = Mailbox[int]()
        >>> box.put(1)
        >>> box.put(2)
        >>> box.take(0.1), box.passed_over
        (2, 1)
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._is_finished = False
        self.passed_over = 0
        """Items that were replaced before anybody took them."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more comes, and nothing is left."""
        with self._changed:
            return self._is_finished and self._item is None

    def put(self, item: Item) -> None:
        """Put an item in; it takes the place of the one before."""
        with self._changed:
            self.passed_over += self._item is not None
            self._item = item
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that nothing more comes."""
        with self._changed:
            self._is_finished = True
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Item | None:
        """Take the item out; wait for it so long, and return None if none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._is_finished, timeout_s)
            item, self._item = self._item, None
            return item
