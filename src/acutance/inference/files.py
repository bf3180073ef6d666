"""Many files: what happened to each is told, and one bad file never stops the rest."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from acutance.errors import AcutanceError, ConfigError, OutputError
from acutance.inference.ledger import Ledger, ResultStatus
from acutance.inference.listening import Found, Listener, ignore
from acutance.inference.picture_files import FileResult, sharpen_file
from acutance.inference.sharpener import Sharpener
from acutance.inference.workers import work_through
from acutance.media import (
    Fingerprint,
    PlannedFile,
    check_target,
    find_clashes,
    remove_leftovers,
)

SHARP = "sharp already: nothing is written"


def _is_sharp(source: Path, sharpener: Sharpener) -> bool:
    """Look whether the first picture of a file is sharp; what is too large to be held is not looked at."""
    from acutance.inference.inspecting import look_at
    from acutance.inference.inspection import first_photo

    with sharpener.opened(source) as pictures:
        if pictures.is_too_large_as_whole:
            return False
    photo = first_photo(source, max_pixels=sharpener.max_pixels)
    softness = look_at(photo.pixels, alpha=photo.alpha).softness
    return softness is not None and softness.kind == "sharp"


def counted(number: int, noun: str) -> str:
    """Return a number of things in words: `1 frame`, `2 frames`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file that is to be made."""

    file: PlannedFile
    overwrite: bool
    """Replace a target that exists."""
    tell: Callable[[float], None]
    """To be called with the share done, 0 … 1; may raise to break off."""
    ledger: Ledger | None
    before: os.stat_result | None
    """The state of the source before it was read."""

    @property
    def source_times_ns(self) -> tuple[int, int] | None:
        """When the source was read and changed last, as `os.utime` takes it; None where that is not known."""
        return None if self.before is None else (self.before.st_atime_ns, self.before.st_mtime_ns)

    @property
    def is_recorded(self) -> bool:
        """Whether the result is to be recorded."""
        return self.ledger is not None and self.ledger.records

    def enter(self, target: Fingerprint) -> None:
        """Record the result; to be called when all of the source has been read, before the target gets its name."""
        if self.ledger is not None:
            self.ledger.enter(self.file, self.before, target)


def sharpen_files(
    sharpener: Sharpener,
    plan: Sequence[PlannedFile],
    *,
    strength: float = 1.0,
    overwrite: bool = False,
    jobs: int = 1,
    ledger: Ledger | None = None,
    keep_times: bool = False,
    only_if_blurred: bool = False,
    progress: Callable[[float], None] | None = None,
    doing: Found = ignore,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[FileResult, None, None]:
    """Sharpen photos and yield what happened to each, in the order in which they are ready.

    A file is written whole or not at all. Errors that concern one file (unreadable, too large, target taken, disk full)
    are told in its result, and the next file follows. What killed runs have left half written in the folders of the
    targets is removed first.

    Args:
        sharpener: The opened model.
        plan: Sources and targets.
        strength: See `Sharpener.__call__`.
        overwrite: Replace targets that exist.
        jobs: How many files are in work at once. They share the one engine and its threads: the network is no faster,
            but does not wait while another file is read, coded or written. Each job takes the memory of a photo and a
            tile; results do not depend on their number.
        ledger: What earlier runs have finished, and where this one is recorded; None for neither.
        keep_times: Give each result the time of its photo.
        only_if_blurred: Write nothing for photos that are sharp already, whatever the model; of animations and pages
            the first picture counts.
        progress: Called with the share of all files done, 0 … 1, from any thread.
        doing: Called with the name of each phase of a file as it begins, from any thread, by models that look for
            what blurred the picture.
        should_stop: Asked before each file; if so, the files in work are finished and no other is begun.

    Raises:
        ConfigError: When there is to be no job.
    """

    def make(task: Task) -> FileResult:
        if only_if_blurred and _is_sharp(task.file.source, sharpener):
            return FileResult(source=task.file.source, target=task.file.target, status="skipped", found=(SHARP,))
        return sharpen_file(
            sharpener,
            task.file.source,
            task.file.target,
            strength=strength,
            overwrite=task.overwrite,
            listener=Listener(progress=task.tell, doing=doing),
            before_naming=task.enter,
            times_ns=task.source_times_ns if keep_times else None,
        )

    yield from make_files(
        plan, make, overwrite=overwrite, jobs=jobs, ledger=ledger, progress=progress, should_stop=should_stop
    )


def make_files(
    plan: Sequence[PlannedFile],
    make: Callable[[Task], FileResult],
    *,
    overwrite: bool = False,
    jobs: int = 1,
    ledger: Ledger | None = None,
    progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    is_in_callers_thread: bool = False,
) -> Generator[FileResult, None, None]:
    """Make files in whatever way, and yield what happened to each; see `sharpen_files`.

    Args:
        plan: Sources and targets.
        make: Makes one file. What it raises is told in the file's result.
        overwrite: Replace targets that exist.
        jobs: How many files are in work at once.
        ledger: What earlier runs have finished, and where this one is recorded; None for neither.
        progress: Called with the share of all files done, 0 … 1, from any thread.
        should_stop: Asked before each file.
        is_in_callers_thread: See `work_through`.

    Raises:
        ConfigError: When there is to be no job.
    """
    if jobs < 1:
        raise ConfigError(f"jobs = {jobs}: must be at least 1.")
    for folder in dict.fromkeys(file.target.parent for file in plan):
        remove_leftovers(folder)
    maker = _FileMaker(
        make,
        overwrite=overwrite,
        ledger=ledger,
        clashes=find_clashes([file.target for file in plan]),
        progress=_Progress(len(plan), progress),
    )
    yield from work_through(
        plan,
        maker.work,
        jobs=max(1, min(jobs, len(plan))),
        should_stop=should_stop,
        is_in_callers_thread=is_in_callers_thread,
    )


class _Progress:
    """The share of all files, from the shares of those in work."""

    def __init__(self, files: int, tell: Callable[[float], None] | None) -> None:
        self._files = files
        self._tell = tell
        self._lock = threading.Lock()
        self._sum = 0.0

    def add(self, share: float) -> None:
        """Add a share of one file to what is done."""
        with self._lock:
            self._sum += share
            if self._tell is not None:
                self._tell(min(1.0, self._sum / self._files))


class _FileMaker:
    """Makes one file after the other, in whichever thread; nothing of a file stays here."""

    def __init__(
        self,
        make: Callable[[Task], FileResult],
        *,
        overwrite: bool,
        ledger: Ledger | None,
        clashes: Mapping[Path, Path],
        progress: _Progress,
    ) -> None:
        self._make = make
        self._overwrite = overwrite
        self._ledger = ledger
        self._clashes = clashes
        self._progress = progress

    def work(self, file: PlannedFile, check: Callable[[], None]) -> FileResult:
        """Make a file, or say why not; `check` is called now and then, and may raise to break off."""
        start = time.perf_counter()
        told = 0.0

        def tell(share: float) -> None:
            nonlocal told
            check()
            self._progress.add(share - told)
            told = share

        try:
            result = self._made(file, tell)
        except AcutanceError as error:
            result = _failed(file, str(error))
        except MemoryError:
            result = _failed(
                file, f"{file.source}: not enough memory; use smaller tiles (--tile, tile_px), or fewer jobs."
            )
        except Exception as error:
            # The edge of a job: a bug that one file brings to light must not cost a person all the others.
            if os.environ.get("ACUTANCE_TRACEBACK"):
                raise
            result = _failed(
                file,
                f"{file.source}: unexpected {type(error).__name__}: {error}. This is a bug: please report it with the "
                "output of the same command under ACUTANCE_TRACEBACK=1.",
            )
        tell(1.0)
        return replace(result, seconds=time.perf_counter() - start)

    def _made(self, file: PlannedFile, tell: Callable[[float], None]) -> FileResult:
        status = self._status_of(file)
        if status == "finished":
            return FileResult(source=file.source, target=file.target, status="skipped")
        overwrite = self._overwrite or status == "outdated"
        check_target(file.target, overwrite=overwrite)
        return self._make(
            Task(file=file, overwrite=overwrite, tell=tell, ledger=self._ledger, before=_stat(file.source))
        )

    def _status_of(self, file: PlannedFile) -> ResultStatus:
        """Look a file up in the record, if there is one; refuse a result that would replace something unknown."""
        if file.target in self._clashes:
            raise OutputError(
                f"{file.target} and {self._clashes[file.target]} are one file on this disk, which does not tell such "
                "names apart; leave one out (--exclude, exclude), or write to another disk."
            )
        status = "none" if self._ledger is None else self._ledger.status_of(file)
        if self._ledger is not None and status == "none" and not self._overwrite and os.path.lexists(file.target):
            raise OutputError(f"{file.target} exists already{self._ledger.advice}.")
        return status


def _failed(file: PlannedFile, error: str) -> FileResult:
    return FileResult(source=file.source, target=file.target, status="failed", error=error)


def _stat(path: Path) -> os.stat_result | None:
    """Return the state of a file; None where it cannot be had, as reading it will say."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
