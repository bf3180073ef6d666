"""What `acutance train` says of its steps, a line a minute, where stderr is a file or a pipe and no bar is drawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from acutance.cli.console import MinuteLines

if TYPE_CHECKING:
    from acutance.training.loop import Tick


class TrainingLines:
    """The lines of a training: step, loss, steps a second, share and time left.

    Args:
        lines: Says them when it is time to.
        clock: Seconds from any moment on.
    """

    def __init__(self, lines: MinuteLines | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines = lines or MinuteLines(clock=clock)
        self._clock = clock
        self._loss: float | None = None
        self._before: tuple[float, int] | None = None
        """Time and step of the line before."""

    def __call__(self, tick: Tick) -> None:
        """Take note of a step."""
        if tick.loss is not None:
            self._loss = tick.loss
        if self._before is None:
            self._before = self._clock(), tick.progress.iteration
        self._lines(tick.share, lambda: self._words(tick.progress.iteration))

    def _words(self, iteration: int) -> str:
        assert self._before is not None
        (before_s, before), now_s = self._before, self._clock()
        self._before = now_s, iteration
        loss = "" if self._loss is None else f"  loss {self._loss:.4g}"
        steps = iteration - before  # none, where a run has gone back to its last checkpoint
        rate = f"  {steps / (now_s - before_s):.3g} steps/s" if steps > 0 and now_s > before_s else ""
        return f"step {iteration}{loss}{rate}"
