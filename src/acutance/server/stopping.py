"""The signal by which a run is stopped: by its client, by its time limit, or because the server ends."""

from __future__ import annotations

import threading
import time
from typing import Literal

from acutance.server.refusals import Stopped


class StopSignal:
    """Set from any thread; looked at by the run between two tiles, since a tile itself cannot be interrupted."""

    def __init__(self, run_s: float) -> None:
        self._run_s = run_s
        self._deadline: float | None = None
        self._reason: Literal["cancelled", "stopping"] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to count the run's time."""
        self._deadline = time.monotonic() + self._run_s

    def set(self, reason: Literal["cancelled", "stopping"]) -> None:
        """Ask the run to stop; the first reason stays."""
        with self._lock:
            self._reason = self._reason or reason

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Stopped: When the run was asked to stop, or its time is over.
        """
        if self._reason is not None:
            raise Stopped(self._reason)
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise Stopped(
                "took_too_long",
                f"it took longer than the server's limit of {self._run_s:g} s; send a smaller one.",
            )
