"""How far long work is, as a line a minute, where stderr is a file or a pipe and no bar is drawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from acutance.cli.console import is_terminal, say

if TYPE_CHECKING:
    from acutance.training.loop import Tick

EVERY_S = 60.0
"""Time from one line to the next."""


class MinuteLines:
    """Says once in a while how much of some work is done, and how long the rest takes; on a terminal nothing.

    Args:
        clock: Seconds from any moment on.
        is_shown: Whether lines are wanted; None: off a terminal.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, is_shown: bool | None = None) -> None:
        self._clock = clock
        self._is_shown = not is_terminal() if is_shown is None else is_shown
        self._begun_s = self._said_s = clock()
        self._begun_share: float | None = None

    def __call__(self, share: float, words: Callable[[], str]) -> None:
        """Take note of the share done, 0 … 1, and say it where it is time to.

        Args:
            share: Of all the work; what is there at the first call counts as done before.
            words: What is said in front.
        """
        if not self._is_shown:
            return
        now_s = self._clock()
        if self._begun_share is None:
            self._begun_s, self._begun_share = now_s, share
        if now_s - self._said_s < EVERY_S:
            return
        self._said_s = now_s
        done = share - self._begun_share
        left_s = (1.0 - share) * (now_s - self._begun_s) / done if done > 0 else None
        left = "" if left_s is None else f"  {timedelta(seconds=round(left_s))} left"
        say(f"{words()}  {share:.1%}{left}")


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
