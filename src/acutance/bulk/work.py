"""A worker: it takes a bundle of inputs, makes their results, and enters them into the ledger. Knows nothing of Ray."""

from __future__ import annotations

import os
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from acutance.bulk.items import Item, is_picture_name
from acutance.bulk.ledger import Entry, Ledger
from acutance.bulk.stores import Store, Unreachable, copy_out
from acutance.errors import AcutanceError, InputError, OutputError
from acutance.inference.picture_files import FileResult, sharpen_file
from acutance.inference.sharpener import Sharpener
from acutance.media import plan_outputs

MOST_TRIES: Final = 3
"""A picture is set aside when its worker has died so often over it: once beside others, then alone."""


class Attempts(Protocol):
    """Remembers, outside the worker, which pictures are in work: that is what a crash leaves behind."""

    def known(self, names: Sequence[str]) -> list[int]:
        """Return how often each was begun without coming to an end."""

    def begin(self, name: str) -> None:
        """Note that one is begun; noted when this returns."""

    def end(self, name: str) -> None:
        """Note that it has come to an end."""


class Worker:
    """Makes results. Safe to use from several threads: one reads or writes while another has the network."""

    def __init__(
        self, sharpener: Sharpener, source: Store, target: Store, *, settings: str, attempts: Attempts | None = None
    ) -> None:
        """Take what is needed.

        Args:
            sharpener: The opened model.
            source: Where inputs lie.
            target: Where results go.
            settings: What results depend on, as the ledger names it.
            attempts: What remembers the pictures in work when this process is gone; None where nobody takes them up.
        """
        self._sharpener, self._source, self._target = sharpener, source, target
        self._settings = settings
        self._attempts = attempts
        self._ledger = Ledger(target)
        self._room = _Room()
        self._cpu_s = time.process_time()

    @property
    def longest_s(self) -> float:
        """How long the picture that has been in work longest has been so; 0 when there is none."""
        return self._room.longest_s

    def work(self, items: Sequence[Item]) -> list[Entry]:
        """Make the results of a bundle; when this returns they are in place, and in the ledger.

        Those over which a worker may have died before come last, each alone in this process, so that no other picture
        dies with them.

        Returns:
            What happened to each, in their order.

        Raises:
            OutputError: When the ledger cannot be written.
        """
        tries = self._attempts.known([item.key for item in items]) if self._attempts else [0] * len(items)
        made: dict[str, Entry] = {}
        for item, before in sorted(zip(items, tries, strict=True), key=lambda pair: pair[1]):
            if before >= MOST_TRIES:
                reason = f"{item.path}: its worker died {before} times while it was in work; it is set aside."
                made[item.key] = self._entry(item, status="failed", reason=reason)
            else:
                with self._room.entered(item.key, alone=before > 0), self._noted(item.key):
                    made[item.key] = self._outcome(item)
        cpu_s = self._cpu_since() / len(items)
        entries = [replace(made[item.key], cpu_seconds=cpu_s) for item in items]
        self._ledger.append(entries, [item.strength for item in items])
        return entries

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        if self._attempts is None:
            yield
            return
        self._attempts.begin(name)
        yield
        self._attempts.end(name)  # not when something is raised that is no failure of the picture's

    def _cpu_since(self) -> float:
        """Return the CPU seconds of this process since this was asked last."""
        now = time.process_time()
        since, self._cpu_s = now - self._cpu_s, now
        return max(since, 0.0)

    def _outcome(self, item: Item) -> Entry:
        begun = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory(prefix="acutance-") as folder:
                entry = (self._shard if item.is_shard else self._picture)(item, Path(folder))
        except Unreachable as error:
            entry = self._entry(item, status="failed", reason=str(error))
        except InputError as error:
            entry = self._entry(item, status="refused", reason=str(error))
        except AcutanceError as error:
            entry = self._entry(item, status="failed", reason=str(error))
        except MemoryError:
            reason = f"{item.path}: not enough memory; give each worker more of the machine (--cpus-per-worker)."
            entry = self._entry(item, status="failed", reason=reason)
        except Exception as error:
            # The edge of a worker: a bug that one picture brings to light must not cost all the others.
            if os.environ.get("ACUTANCE_TRACEBACK"):
                raise
            reason = f"{item.path}: unexpected {type(error).__name__}: {error}. This is a bug: please report it."
            entry = self._entry(item, status="failed", reason=reason)
        return replace(entry, seconds=time.perf_counter() - begun)

    def _entry(self, item: Item, **values: object) -> Entry:
        fixed = Entry(
            key=item.key,
            path=item.path,
            version=item.version,
            settings=self._settings,
            status="done",
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return replace(fixed, **values)  # type: ignore[arg-type]

    def _picture(self, item: Item, folder: Path) -> Entry:
        source = folder / PurePosixPath(item.path).name
        self._source.get(item.path, source)
        made = self._sharpened(source, folder, item.strength, name=item.path)
        key = _name_of(made, item.key)
        self._target.put(made.target, key)
        return self._entry(item, target=key, megapixels=made.megapixels, reason="; ".join(made.lost))

    def _shard(self, item: Item, folder: Path) -> Entry:
        """Make a tar file: its pictures sharpened, all else as it is, in their order (WebDataset goes by it).

        A picture that cannot be sharpened stays as it is, and is told.
        """
        target = folder / "result.tar"
        with self._source.opened(item.path) as file:
            try:
                with tarfile.open(fileobj=file, mode="r|*") as old, tarfile.open(target, "w") as new:
                    made, unmade = self._members(item, old, new, folder)
            except tarfile.TarError as error:
                raise InputError(f"{item.path}: no sound tar file ({error}).") from error
        self._target.put(target, item.key)
        reason = f"{len(unmade)} stay as they are: {' '.join(unmade[:20])}" if unmade else ""
        megapixels = sum(one.megapixels for one in made)
        return self._entry(item, target=item.key, pictures=len(made), megapixels=megapixels, reason=reason)

    def _members(
        self, item: Item, old: tarfile.TarFile, new: tarfile.TarFile, folder: Path
    ) -> tuple[list[FileResult], list[str]]:
        """Copy a tar file member by member; returns what was made, and why others were not."""
        made, unmade = list[FileResult](), list[str]()
        for member in old:
            content = old.extractfile(member) if member.isfile() else None
            if content is None or not is_picture_name(member.name):
                new.addfile(member, content)
                continue
            with tempfile.TemporaryDirectory(dir=folder) as inner:
                source = Path(inner) / PurePosixPath(member.name).name
                copy_out(content, source)
                try:
                    one = self._sharpened(source, Path(inner), item.strength, name=f"{item.path}: {member.name}")
                except InputError as error:
                    unmade.append(str(error))
                    _add(new, member, source, member.name)
                else:
                    made.append(one)
                    _add(new, member, one.target, _name_of(one, member.name))
        return made, unmade

    def _sharpened(self, source: Path, folder: Path, strength: float, *, name: str) -> FileResult:
        """Make the result of a file that is here, exactly as the verb `sharpen` does.

        Raises:
            InputError: When it cannot be sharpened; it is called by `name`.
        """
        try:
            (planned,) = plan_outputs([source], folder / "out", output_is_folder=True)
            if planned.kind == "video":
                raise InputError(f"{name} is a video: acutance sharpen takes it.")
            return sharpen_file(self._sharpener, planned.source, planned.target, strength=strength, overwrite=True)
        except (InputError, OutputError) as error:
            raise type(error)(str(error).replace(str(source), name)) from error


def _name_of(result: FileResult, name: str) -> str:
    """Return the name of a result where the input is called `name`.

    Where it needs another ending (`a.jpg` that is a PNG picture), that is put behind: `a.png` may be there, too.
    """
    return name if PurePosixPath(name).suffix == result.target.suffix else name + result.target.suffix


class _Room:
    """Who is in work: many at once, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._since: dict[str, float] = {}
        self._is_one_alone = False

    @property
    def longest_s(self) -> float:
        with self._changed:
            return max((time.monotonic() - since for since in self._since.values()), default=0.0)

    @contextmanager
    def entered(self, name: str, *, alone: bool) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_one_alone and not (alone and self._since))
            self._is_one_alone = alone
            self._since[name] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._since[name]
                self._is_one_alone = False
                self._changed.notify_all()


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, source: Path, name: str) -> None:
    """Add a file to a tar, with the times, rights and owner of a member of another."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = source.stat().st_size, member.mtime, member.mode
    entry.uid, entry.gid, entry.uname, entry.gname = member.uid, member.gid, member.uname, member.gname
    with source.open("rb") as file:
        tar.addfile(entry, file)
