"""How `acutance sharpen` works through videos, and shows how far each is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from acutance.cli.console import LINE_EVERY_S, frames_bar, is_terminal, say
from acutance.cli.file_report import FileReport
from acutance.errors import ConfigError, JobError

if TYPE_CHECKING:
    from acutance.media import PlannedFile
    from acutance.videos import VideoProgress, VideoSettings


def settings_or_failures(
    read: Callable[[], VideoSettings], plan: Sequence[PlannedFile], report: FileReport, *, are_all: bool
) -> VideoSettings | None:
    """Read the settings of videos; where the extra is missing, tell so for each of them.

    Args:
        read: Reads the settings.
        plan: The videos.
        report: Where they are told.
        are_all: Whether there is nothing else to do: then that the extra is missing is the end.

    Raises:
        JobError: When it is.
        ConfigError: When a setting is out of range.
    """
    from acutance.inference.picture_files import FileResult

    try:
        return read()
    except JobError as error:
        if are_all:
            raise
        for file in plan:
            words = f"{file.source} is a video; {error}"
            report.tell(FileResult(source=file.source, target=file.target, status="failed", error=words))
        return None


def check_codec(settings: VideoSettings, targets: Sequence[Path]) -> None:
    """Refuse a codec that none of the results can hold; where one can, the others are told when they fail.

    Args:
        settings: Names the codec.
        targets: The results, or names with the endings that they get.

    Raises:
        ConfigError: When it is so.
    """
    from acutance.videos.containers import container_of

    kinds = [container_of(target) for target in targets]
    if settings.codec != "auto" and not any(settings.codec in kind.codecs for kind in kinds):
        labels = " or ".join(dict.fromkeys(kind.label for kind in kinds))
        allowed = ", ".join(dict.fromkeys(codec for kind in kinds for codec in kind.codecs))
        raise ConfigError(f"codec {settings.codec}: {labels} does not hold it; choose {allowed}.")


@contextmanager
def shown_progress(*, is_quiet: bool = False) -> Iterator[Callable[[str, VideoProgress], None]]:
    """Show the frames of the video in work: as a bar on a terminal, else as a line now and then.

    The yielded function takes the video's name and how far it is. When it is to be quiet, nothing is shown.
    """
    if is_quiet:
        yield lambda name, done: None
        return
    if is_terminal():
        with frames_bar() as show:
            yield lambda name, done: show(name, done.frames, done.total, done.seconds_left)
        return
    last = time.monotonic()

    def tell(name: str, done: VideoProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY_S:
            last = time.monotonic()
            total = f" of {done.total}" if done.total else ""
            left = f", about {round(done.seconds_left / 60)} min left" if done.seconds_left is not None else ""
            say(f"{name}: frame {done.frames}{total}{left}")

    yield tell
