"""How far a video is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VideoProgress:
    """Frames done, and what is left."""

    frames: int
    """Frames that have been sharpened."""
    total: int | None
    """How many there are, as far as the file tells; None when it does not."""
    seconds_left: float | None
    """At the speed so far; None while that is not known."""

    @property
    def share(self) -> float | None:
        """The share of the work done, 0 … 1."""
        return None if self.total is None else min(self.frames / self.total, 1.0)


Report = Callable[[VideoProgress], None]
"""Takes the progress after every frame, in the thread that called."""


class Clock:
    """Counts frames and tells the progress to whoever wants it."""

    def __init__(
        self, total: int | None, report: Report | None, *, done: int = 0, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin to count.

        Args:
            total: How many frames there are, those that are done included.
            report: Takes the progress.
            done: Frames that an earlier run has done, which say nothing about the speed of this one.
            now: The time in seconds.
        """
        self._total = total
        self._done = done
        self._report = report
        self._now = now
        self._start = now()
        self.frames = done
        """Frames done so far."""

    def tick(self) -> None:
        """Count a frame."""
        self.frames += 1
        if self._report is None:
            return
        total = None if self._total is None else max(self._total, self.frames)  # the file may have told too few
        left = (
            None if total is None else (self._now() - self._start) / (self.frames - self._done) * (total - self.frames)
        )
        self._report(VideoProgress(self.frames, total, left))
