"""What all verbs share in talking to a person: words and progress on stderr, results on stdout."""

from __future__ import annotations

import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from acutance.errors import EngineUnavailable
from acutance.extras import how_to_get

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells expect."""
LINE_EVERY_S = 60.0
"""Time from one line of progress to the next, where no bar is drawn."""


@cache
def _stderr() -> Console:
    """Return what draws on a terminal; off one, nothing needs rich, which takes a tenth of the shortest run."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def readable(text: str) -> str:
    """Return text with names in it so that it can be printed.

    A byte that is not UTF-8, and a character that would steer the terminal, become what Python writes for them in a
    string.
    """
    return "".join(_readable_character(character) for character in text)


def _readable_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":  # what Python makes of a byte in a name that is not UTF-8: U+DC80 … U+DCFF
        return f"\\x{ord(character) & 0xFF:02x}"
    return character.encode("unicode_escape").decode() if category in ("Cc", "Zl", "Zp") else character


def say(text: str) -> None:
    """Print one `readable` line for a person, on stderr; where that is full or gone, nobody reads it: work goes on."""
    line = readable(text)
    with suppress(OSError):
        if is_terminal():
            _stderr().print(line, markup=False, emoji=False)  # above a bar that is shown
        elif sys.stderr is not None:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def is_terminal() -> bool:
    """Say whether a person sees stderr as it is written."""
    return sys.stderr is not None and sys.stderr.isatty()


def show(table: RenderableType) -> None:
    """Print what is more than a line, such as a table, on stderr."""
    _stderr().print(table, soft_wrap=False)


class Bar:
    """A bar that is shown; called with the share done, 0 … 1."""

    def __init__(self, update: Callable[..., None]) -> None:
        self._update = update

    def __call__(self, share: float) -> None:
        """Show the share done."""
        self._update(completed=share)

    def name(self, doing: str) -> None:
        """Give the bar another title: what is being done now."""
        self._update(description=doing)


@contextmanager
def progress_bar(title: str, *, is_quiet: bool = False) -> Iterator[Bar]:
    """Show a bar with the time left on stderr; what is yielded is called with the share done, 0 … 1.

    Where stderr is not a terminal a line a minute says the same. When it is to be quiet, nothing does.
    """
    if is_quiet or not is_terminal():
        yield Bar((lambda **_: None) if is_quiet else _a_line_a_minute(title))
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_stderr(), transient=True) as progress:
        yield Bar(partial(progress.update, progress.add_task(title, total=1.0)))


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
        if now_s - self._said_s < LINE_EVERY_S:
            return
        self._said_s = now_s
        done = share - self._begun_share
        left_s = (1.0 - share) * (now_s - self._begun_s) / done if done > 0 else None
        left = "" if left_s is None else f"  {timedelta(seconds=round(left_s))} left"
        say(f"{words()}  {share:.1%}{left}")


def _a_line_a_minute(title: str) -> Callable[..., None]:
    """Return what is told of a bar that is not drawn, and says it once a minute."""
    lines, name = MinuteLines(), title

    def update(*, completed: float | None = None, description: str | None = None) -> None:
        nonlocal name
        if description is not None:
            name = description
        if completed is not None:
            lines(completed, lambda: name)

    return update


@contextmanager
def frames_bar() -> Iterator[Callable[[str, int, int | None, float | None], None]]:
    """Show how far a video is on stderr; the yielded function takes its name, frames, all frames, and seconds left.

    What is not known is None.
    """
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("frame {task.completed}/{task.fields[all]}"),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=_stderr(), transient=True) as progress:
        task = progress.add_task("", total=None, all="?", left="")

        def show(name: str, frames: int, total: int | None, seconds_left: float | None) -> None:
            left = "" if seconds_left is None else f"{timedelta(seconds=round(seconds_left))} left"
            all_frames = "?" if total is None else total
            progress.update(task, description=readable(name), completed=frames, total=total, all=all_frames, left=left)

        yield show


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Show a line that changes on stderr; the yielded function takes its text. Off a terminal nothing is drawn."""
    if not is_terminal():
        yield lambda text: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=_stderr(), transient=True) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=readable(text))


@contextmanager
def stop_request(when: str = "after this step") -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop in order; a second Ctrl-C stops at once.

    Args:
        when: When a request is met, in words.

    Yields a function that says whether stopping was asked for.
    """
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        say(f"stopping {when}; once more to stop at once")

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that what it has opened is cleaned up.

    A signal that is ignored (nohup) stays so. Outside the main thread, where none can be caught, nothing is done.
    """
    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
    before = {number: signal.getsignal(number) for number in numbers}
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        caught = []

    def end(number: int, _: object) -> None:
        raise KeyboardInterrupt

    for number in caught:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Turn a missing optional package, imported in this block, into a sentence that says how to get it.

    Raises:
        EngineUnavailable: When an import in the block fails.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"{what} needs {error.name}, which is not installed; run: {how_to_get(extra)}"
        ) from error
