"""A worker: it takes a bundle of inputs, makes their results, and enters them into the ledger. Knows nothing of Ray."""

from __future__ import annotations

import math
import os
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from acutance.bulk.items import Item, is_picture_name
from acutance.bulk.ledger import Entry, Ledger
from acutance.bulk.store_errors import Unreachable, Vanished
from acutance.bulk.stores import Store
from acutance.errors import AcutanceError, InputError, OutputError, first_line
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.inference.picture_files import FileResult, sharpen_file
from acutance.media import plan_outputs

MOST_TRIES: Final = 3
"""A picture is set aside when its worker has died so often over it: once beside others, then alone."""
MOST_SHARD_TRIES: Final = 12
"""A tar file is: from the second time on, a picture in it that a worker dies over stays as it is the next time."""


class Attempts(Protocol):
    """Remembers, outside the worker, which pictures are in work: that is what a crash leaves behind."""

    def known(self, names: Sequence[str]) -> list[int]:
        """Return how often each was begun without coming to an end."""

    def begin(self, names: Sequence[str]) -> None:
        """Note that some are begun; noted when this returns."""

    def end(self, names: Sequence[str]) -> None:
        """Note that they have come to an end."""


class Worker:
    """Makes results. Safe to use from several threads: one reads or writes while another has the network."""

    def __init__(
        self, opened: PhotoSharpener, source: Store, target: Store, *, settings: str, attempts: Attempts | None = None
    ) -> None:
        """Take what is needed.

        Args:
            opened: The model.
            source: Where inputs lie.
            target: Where results go.
            settings: What results depend on, as the ledger names it.
            attempts: What remembers the pictures in work when this process is gone; None where nobody takes them up.
        """
        self._sharpener, self._source, self._target = opened, source, target
        self._settings = settings
        self._attempts = attempts
        self._ledger = Ledger(target)
        self._room = _Room()
        self._cpu_s = time.process_time()
        self._most: int | None = None
        """Pictures of a tar file, where only a sample is wanted."""
        self._share = 1.0

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
        tries = self._known([item.key for item in items])
        made: dict[str, Entry] = {}
        fresh = [item for item, before in zip(items, tries, strict=True) if not before]
        with self._noted([item.key for item in fresh]):  # together: to ask for each costs more than to suspect all
            for item in fresh:
                with self._room.entered(item.key, alone=False):
                    made[item.key] = self._outcome(item, is_retried=False)
        suspects = [(before, item) for item, before in zip(items, tries, strict=True) if before]
        for before, item in sorted(suspects, key=lambda pair: pair[0]):
            if before >= (MOST_SHARD_TRIES if item.is_shard else MOST_TRIES):
                reason = f"{item.path}: its worker died {before} times while it was in work; it is set aside."
                made[item.key] = self._entry(item, status="failed", reason=reason)
            else:
                with self._room.entered(item.key, alone=True), self._noted([item.key]):
                    made[item.key] = self._outcome(item, is_retried=True)
        cpu_s = self._cpu_since() / len(items)
        entries = [replace(made[item.key], cpu_seconds=cpu_s) for item in items]
        self._ledger.append(entries, [item.strength for item in items])
        return entries

    def sample(self, shard: Item, pictures: int) -> tuple[Entry, float]:
        """Make the first pictures of a tar file; returns what happened, and which share of the file that was, 0 … 1."""
        self._most, self._share = pictures, 1.0
        try:
            return self._outcome(shard, is_retried=False), self._share
        finally:
            self._most = None

    def _known(self, names: list[str]) -> list[int]:
        return self._attempts.known(names) if self._attempts else [0] * len(names)

    @contextmanager
    def _noted(self, names: Sequence[str]) -> Iterator[None]:
        if self._attempts is None or not names:
            yield
            return
        self._attempts.begin(names)
        yield
        self._attempts.end(names)  # not when something is raised that is no failure of the picture's

    def _cpu_since(self) -> float:
        """Return the CPU seconds of this process since this was asked last."""
        now = time.process_time()
        since, self._cpu_s = now - self._cpu_s, now
        return max(since, 0.0)

    def _outcome(self, item: Item, *, is_retried: bool) -> Entry:
        begun = time.perf_counter()
        try:
            self._target.check_key(item.key)
            with tempfile.TemporaryDirectory(prefix="acutance-") as folder:
                if item.is_shard:
                    entry = self._shard(item, Path(folder), is_retried=is_retried)
                else:
                    entry = self._picture(item, Path(folder))
        except Unreachable as error:
            entry = self._entry(item, status="failed", reason=str(error))
        except InputError as error:
            entry = self._entry(item, status="refused", reason=str(error))
        except AcutanceError as error:
            entry = self._entry(item, status="failed", reason=str(error))
        except MemoryError:
            reason = f"{item.path}: not enough memory; let fewer work at once (--workers)."
            entry = self._entry(item, status="failed", reason=reason)
        except Exception as error:
            # The edge of a worker: a bug that one picture brings to light must not cost all the others.
            if os.environ.get("ACUTANCE_TRACEBACK"):
                raise
            entry = self._entry(item, status="failed", reason=_bug(item.path, error))
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
        source = folder / _local_name(item.path)
        self._source.get(item.path, source)
        made = self._sharpened(source, folder, item.strength, name=item.path)
        key = _name_of(made, item.key)
        self._check_free(item, key)
        self._target.put(made.target, key)
        return self._entry(item, target=key, megapixels=made.megapixels, reason="; ".join(made.lost))

    def _check_free(self, item: Item, key: str) -> None:
        """Check that a result replaces no input, and is not called as another's is.

        Raises:
            InputError: When it would.
        """
        if self._source.is_at(item.path, self._target, key):
            raise InputError(f"{item.path}: its result would replace it; choose another place for the results.")
        if key != item.key and item.key == self._source.key_of(item.path):
            other = item.path + key.removeprefix(item.key)
            with suppress(Vanished):
                self._source.found(other)
                raise InputError(
                    f"{item.path}: by its content its result is called {key}, as that of {other} is; rename one."
                )

    def _shard(self, item: Item, folder: Path, *, is_retried: bool) -> Entry:
        """Make a tar file: its pictures sharpened, all else as it is, in their order (WebDataset goes by it).

        A picture that cannot be sharpened stays as it is, and is told.
        """
        target = folder / "result.tar"
        with self._source.opened(item.path) as file:
            try:
                with tarfile.open(fileobj=file, mode="r|*") as old, tarfile.open(target, "w") as new:
                    made, unmade = self._members(item, old, new, folder, is_retried=is_retried)
            except tarfile.TarError as error:
                raise InputError(f"{item.path}: no sound tar file ({first_line(error)}).") from error
        self._check_free(item, item.key)
        self._room.rest(item.key)  # it may be large; a store that hangs is the client library's affair
        self._target.put(target, item.key)
        reason = f"{len(unmade)} stay as they are: {' '.join(unmade[:20])}" if unmade else ""
        megapixels = sum(one.megapixels for one in made)
        return self._entry(item, target=item.key, pictures=len(made), megapixels=megapixels, reason=reason)

    def _members(
        self, item: Item, old: tarfile.TarFile, new: tarfile.TarFile, folder: Path, *, is_retried: bool
    ) -> tuple[list[FileResult], list[str]]:
        """Copy a tar file member by member; returns what was made, and why others were not."""
        made, unmade = list[FileResult](), list[str]()
        for member in old:
            if self._most is not None and len(made) + len(unmade) >= self._most:
                self._share = max(member.offset, 1) / max(item.size_bytes, member.offset, 1)
                break
            content = old.extractfile(member) if member.isfile() else None
            if content is None or not is_picture_name(member.name):
                new.addfile(member, content)
                continue
            self._room.renew(item.key)
            with tempfile.TemporaryDirectory(dir=folder) as inner:
                source = Path(inner) / _local_name(member.name)
                with source.open("wb") as out:
                    shutil.copyfileobj(content, out)
                one = self._member(item, member.name, source, is_noted=is_retried)
                if isinstance(one, str):
                    unmade.append(one)
                    _add(new, member, source, member.name)
                else:
                    made.append(one)
                    _add(new, member, one.target, _name_of(one, member.name))
        return made, unmade

    def _member(self, item: Item, member: str, source: Path, *, is_noted: bool) -> FileResult | str:
        """Make the result of a picture in a tar file, or say why that cannot be.

        Args:
            item: The tar file.
            member: Its name therein.
            source: Where it has been put.
            is_noted: A worker has died over the tar file before: note which picture is in work.
        """
        name, note = f"{item.path}: {member}", f"{item.key}\0{member}"
        if is_noted and self._known([note])[0]:
            return f"{name}: its worker died while it was in work."
        with self._noted([note]) if is_noted else nullcontext():
            try:
                return self._sharpened(source, source.parent, item.strength, name=name)
            except InputError as error:
                return str(error)
            except (AcutanceError, MemoryError):
                raise
            except Exception as error:
                if os.environ.get("ACUTANCE_TRACEBACK"):
                    raise
                return _bug(name, error)

    def _sharpened(self, source: Path, folder: Path, strength: float, *, name: str) -> FileResult:
        """Make the result of a file that is here, exactly as the verb `sharpen` does.

        Raises:
            InputError: When it cannot be sharpened; it is called by `name`.
        """
        try:
            (planned,) = plan_outputs([source], folder / "out", output_is_folder=True)
            if planned.kind == "video":
                raise InputError(f"{name} is a video: acutance sharpen takes it.")
            return sharpen_file(
                self._sharpener,
                planned.source,
                planned.target,
                strength=strength,
                overwrite=True,
                survives_power_loss=False,
            )
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
            return max([0.0, *(time.monotonic() - since for since in self._since.values())])

    def renew(self, name: str) -> None:
        """Count the time of what is in work from now on."""
        with self._changed:
            self._since[name] = time.monotonic()

    def rest(self, name: str) -> None:
        """Count it no longer."""
        with self._changed:
            self._since[name] = math.inf

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


def _local_name(path: str) -> str:
    """Return a name for a file here: that of an object may be longer than a file's, or be none."""
    return f"picture{PurePosixPath(path).suffix[:16]}"


def _bug(name: str, error: Exception) -> str:
    return f"{name}: unexpected {type(error).__name__}: {error}. This is a bug: please report it."


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, source: Path, name: str) -> None:
    """Add a file to a tar, with the times, rights and owner of a member of another."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = source.stat().st_size, member.mtime, member.mode
    entry.uid, entry.gid, entry.uname, entry.gname = member.uid, member.gid, member.uname, member.gname
    with source.open("rb") as file:
        tar.addfile(entry, file)
