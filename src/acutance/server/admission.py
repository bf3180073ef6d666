"""Who is let in: the length of the queue, each client's share and rate, room on the disk.

An upload holds a slot while its body comes in, and a picture holds a place from the end of its upload to that of its
work: who sends slowly keeps others neither from sending nor from being worked on. What is on the disk is bounded by the
number of both.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from acutance.server.limits import Limits
from acutance.server.rates import Rates
from acutance.server.refusals import DISK_FULL, Refused

FIRST_GUESS_S = 2.0
"""How long a picture takes in one orientation, before one was done."""

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
        self._uploads: Counter[str] = Counter()
        self._runs: Counter[str] = Counter()
        """Runs of the network that the pictures inside take: one, or one for each orientation."""
        self._mean_s = FIRST_GUESS_S
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def inside(self) -> int:
        """Pictures that are in."""
        with self._lock:
            return self._inside.total()

    @property
    def runs(self) -> int:
        """Runs of the network that the pictures inside take."""
        with self._lock:
            return self._runs.total()

    @property
    def uploads(self) -> int:
        """Uploads that are coming in."""
        with self._lock:
            return self._uploads.total()

    @contextmanager
    def uploading(self, client: str, *, is_known: bool = False) -> Iterator[None]:
        """Give a slot for an upload for the time of a block.

        Args:
            client: Whose it is.
            is_known: Whether it may be one that was taken in before, for which no place is needed.

        Raises:
            Refused: When there is none, or would be no place for the picture.
        """
        wait_s = self._rates.take(client)
        if wait_s > 0:
            raise Refused(
                429,
                "too_many_requests",
                f"more than {self._limits.posts_per_minute:g} pictures a minute; wait a little.",
                retry_after_s=wait_s,
            )
        if not is_known:
            self._check_room()
        with self._lock:
            self._check_open()
            if not is_known:
                self._check_places(client)
            limits = self._limits
            is_full = self._uploads.total() >= limits.max_uploads
            if is_full or self._uploads[client] >= limits.max_uploads_per_client:
                words = "the server takes in" if is_full else "one client may send"
                most = limits.max_uploads if is_full else limits.max_uploads_per_client
                raise Refused(
                    429, "too_many_requests", f"{words} {most} uploads at once; wait a little.", retry_after_s=1
                )
            self._uploads[client] += 1
        try:
            yield
        finally:
            with self._lock:
                _give_back(self._uploads, client)

    def enter(self, client: str, *, runs: int = 1) -> None:
        """Take a place for a picture of a client, whose upload is complete.

        Args:
            client: Whose it is.
            runs: Of the network that it takes: one for each orientation.

        Raises:
            Refused: When there is none.
        """
        self._check_room()
        with self._lock:
            self._check_open()
            self._check_places(client)
            self._take(client, runs)

    def enter_again(self, client: str, *, runs: int = 1) -> None:
        """Take a place for a job that was let in before the server was started anew."""
        with self._lock:
            self._take(client, runs)

    def leave(self, client: str, *, runs: int = 1) -> None:
        """Give a place back; `runs` is as when it was taken."""
        with self._lock:
            _give_back(self._inside, client)
            _give_back(self._runs, client, runs)

    def took(self, seconds: float, *, runs: int = 1) -> None:
        """Hear how long a picture of so many runs took; for telling others when to come back."""
        with self._lock:
            self._mean_s += 0.1 * (seconds / runs - self._mean_s)

    def _take(self, client: str, runs: int) -> None:
        self._inside[client] += 1
        self._runs[client] += runs

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            self._is_closed = True

    def _wait_s(self, ahead: int) -> float:
        """Return the time until a tenth of the runs ahead is done, which is when a place is likely to be free."""
        return min(LONGEST_RETRY_S, max(1.0, math.ceil(0.1 * ahead) * self._mean_s / self._limits.runs))

    def _check_open(self) -> None:
        if self._is_closed:
            raise Refused(503, "stopping", "the server is stopping; try again in a minute.", retry_after_s=60)

    def _check_places(self, client: str) -> None:
        is_full = self._inside.total() >= self._limits.max_queue
        if is_full or self._inside[client] >= self._limits.max_queue_per_client:
            whose = "the server's queue is" if is_full else "your share of the server's queue is"
            raise Refused(
                429, "queue_full", f"{whose} full; wait a little.", retry_after_s=self._wait_s(self._runs[client])
            )

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


def _give_back(taken: Counter[str], client: str, count: int = 1) -> None:
    taken[client] -= count
    if taken[client] <= 0:
        del taken[client]
