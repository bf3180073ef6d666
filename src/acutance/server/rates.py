"""How often a client may come: a bucket of tokens for each."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 10_000
"""Clients whose buckets are kept; the one that was longest away is forgotten first."""


class Rates:
    """A bucket of `at_once` tokens for each client, filled at an even rate; each request takes one."""

    def __init__(
        self,
        *,
        per_minute: float,
        at_once: int,
        now: Callable[[], float] = time.monotonic,
        remembered: int = REMEMBERED,
    ) -> None:
        self._per_s = per_minute / 60
        self._at_once = float(at_once)
        self._now = now
        self._remembered = remembered
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client → tokens, when that was
        self._lock = threading.Lock()

    def take(self, client: str) -> float:
        """Take a token; return 0, or the seconds until there is one (then none is taken)."""
        now = self._now()
        with self._lock:
            tokens, since = self._buckets.pop(client, (self._at_once, now))
            tokens = min(self._at_once, tokens + (now - since) * self._per_s)
            is_allowed = tokens >= 1
            self._buckets[client] = (tokens - 1 if is_allowed else tokens, now)
            if len(self._buckets) > self._remembered:
                self._buckets.popitem(last=False)
        return 0.0 if is_allowed else (1 - tokens) / self._per_s

    def __len__(self) -> int:
        return len(self._buckets)
