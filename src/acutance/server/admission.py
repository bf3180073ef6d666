"""Who is let in: the length of the queue, each client's share and rate, room on the disk.

A picture takes a place when its upload begins and gives it back when its work has ended, so that what is on the disk
and in memory is bounded by the number of places.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable

from acutance.server.limits import Limits
from acutance.server.rates import Rates
from acutance.server.refusals import DISK_FULL, Refused

FIRST_GUESS_S = 2.0
"""How long a picture takes, before one was done."""

LONGEST_RETRY_S = 600.0


class Admission:
    """Counts the pictures that are in. For any threads."""

    def __init__(self, limits: Limits, free_bytes: Callable[[], int], stored_bytes: Callable[[], int]) -> None:
        """Begin with nobody in.

        Args:
            limits: What is allowed.
            free_bytes: Says how much is free on the disk.
            stored_bytes: Says how much all jobs have stored.
        """
        self._limits = limits
        self._free_bytes = free_bytes
        self._stored_bytes = stored_bytes
        self._rates = Rates(per_minute=limits.posts_per_minute, at_once=limits.posts_at_once)
        self._inside: Counter[str] = Counter()
        self._mean_s = FIRST_GUESS_S
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def inside(self) -> int:
        """Pictures that are in."""
        with self._lock:
            return self._inside.total()

    def enter(self, client: str) -> None:
        """Take a place for a picture of a client.

        Raises:
            Refused: When there is none.
        """
        wait_s = self._rates.take(client)
        if wait_s > 0:
            raise Refused(
                429,
                "too_many_requests",
                f"more than {self._limits.posts_per_minute:g} pictures a minute; wait a little.",
                retry_after_s=wait_s,
            )
        self._check_room()
        with self._lock:
            if self._is_closed:
                raise Refused(503, "stopping", "the server is stopping; try again in a minute.", retry_after_s=60)
            is_full = self._inside.total() >= self._limits.max_queue
            if is_full or self._inside[client] >= self._limits.max_queue_per_client:
                whose = "the server's queue is" if is_full else "your share of the server's queue is"
                raise Refused(
                    429, "queue_full", f"{whose} full; wait a little.", retry_after_s=self._wait_s(self._inside[client])
                )
            self._inside[client] += 1

    def enter_again(self, client: str) -> None:
        """Take a place for a job that was let in before the server was started anew."""
        with self._lock:
            self._inside[client] += 1

    def leave(self, client: str) -> None:
        """Give a place back."""
        with self._lock:
            self._inside[client] -= 1
            if self._inside[client] <= 0:
                del self._inside[client]

    def took(self, seconds: float) -> None:
        """Hear how long a picture took; for telling others when to come back."""
        with self._lock:
            self._mean_s += 0.1 * (seconds - self._mean_s)

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            self._is_closed = True

    def _wait_s(self, ahead: int) -> float:
        """Return the time until a tenth of the pictures ahead is done, which is when a place is likely to be free."""
        return min(LONGEST_RETRY_S, max(1.0, math.ceil(0.1 * ahead) * self._mean_s / self._limits.runs))

    def _check_room(self) -> None:
        if self._free_bytes() < self._limits.min_free_bytes:
            raise Refused(507, "storage_full", DISK_FULL, retry_after_s=60)
        if self._stored_bytes() > self._limits.max_stored_bytes:
            raise Refused(
                429,
                "queue_full",
                "the server keeps as much as it may; fetch and delete results, or wait until they expire.",
                retry_after_s=LONGEST_RETRY_S,
            )
