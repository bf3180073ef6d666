"""Where pictures come from and go to: a folder, or an address that fsspec knows (`s3://bucket/photos`)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

import fsspec
from fsspec import AbstractFileSystem
from fsspec.utils import stringify_path

from acutance.bulk.store_errors import Unreachable, Vanished, persistently, told
from acutance.errors import InputError, OutputError
from acutance.media import write_atomically

FOLDER: Final = ".acutance"
"""Within a target: the ledger, nothing else."""
PAGE: Final = 1000
"""Names in one answer of an object store."""
_COPY_BYTES: Final = 1 << 20

_OBJECTS: Final = ("gs", ("gs", "gcs"), ("abfs", "az", "abfss"))
"""Protocols whose files are objects, beside S3: each appears when all of it has arrived."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a store."""

    path: str
    """As the store's file system knows it."""
    size_bytes: int
    version: str
    """Changes when the content does: the store's etag, else size and time."""


@dataclass(frozen=True)
class Store:
    """A place for files, by address; may be sent to other processes, which open it anew.

    Credentials, and the address of an own S3 server, are the store's own matter (environment, profile, role): nothing
    of them is in here.
    """

    address: str
    system: AbstractFileSystem = field(init=False, repr=False, compare=False)
    root: str = field(init=False)
    """Of all paths: the address without its protocol."""

    def __post_init__(self) -> None:
        """Open the file system.

        Raises:
            InputError: When no installed library knows the address.
        """
        protocol = fsspec.core.split_protocol(self.address)[0] or "file"
        settings: dict[str, Any] = {"use_listings_cache": False}
        if protocol in ("s3", "s3a"):
            # Many clients at once are told to slow down now and then: the client library waits and tries again.
            settings["config_kwargs"] = {"retries": {"max_attempts": 10, "mode": "adaptive"}}
        try:
            system = fsspec.filesystem(protocol, **({"auto_mkdir": False} if protocol == "file" else settings))
        except ImportError as error:
            raise InputError(
                f"{self.address}: no library for {protocol}:// is installed; install the one that fsspec names for it "
                f"({error.msg})."
            ) from error
        except ValueError as error:
            raise InputError(f"{self.address}: {protocol}:// is no kind of address that fsspec knows.") from error
        root = str(system._strip_protocol(stringify_path(self.address)))
        object.__setattr__(self, "system", system)
        object.__setattr__(self, "root", root.rstrip("/"))

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        """Send the address only."""
        return Store, (self.address,)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, or of a disk that all machines share."""
        return self.system.protocol in ("file", "local", ("file", "local"))

    def path_of(self, key: str) -> str:
        """Return the path of a file by its name below the root."""
        return f"{self.root}/{key}"

    def key_of(self, path: str) -> str:
        """Return the name below the root of a path that was listed."""
        return path.removeprefix(f"{self.root}/")  # an object store's name may itself begin with a slash

    def is_inside(self, other: Store) -> bool:
        """Say whether it is the other place, or lies below it."""
        return type(self.system) is type(other.system) and f"{self._real_root}/".startswith(f"{other._real_root}/")

    def key_inside(self, other: Store) -> str | None:
        """Return what all names of this store begin with that lie in the other; None where it is not within this."""
        if not other.is_inside(self) or other._real_root == self._real_root:
            return None
        return other._real_root.removeprefix(f"{self._real_root}/") + "/"

    def is_at(self, path: str, other: Store, key: str) -> bool:
        """Say whether a path of this store is that of a name in the other: one would replace what the other holds."""
        if type(self.system) is not type(other.system):
            return False
        place = other.path_of(key)
        return os.path.realpath(path) == os.path.realpath(place) if self.is_local else path == place

    @property
    def _real_root(self) -> str:
        return os.path.realpath(self.root).rstrip("/") if self.is_local else self.root

    def check_key(self, key: str) -> None:
        """Check that a name can be that of a result.

        Raises:
            InputError: When it would lead out of the store or into the ledger's folder, or is not one file's own.
        """
        fault = key_fault(key)
        if not fault and self._has_folders and "//" in f"/{key}":
            fault = "a part without characters"
        if fault:
            raise InputError(
                f"{self.address}: no result can have the name {key!r} ({fault}); rename the input, or name its result "
                "in the column `key` of a manifest."
            )

    @property
    def _has_folders(self) -> bool:
        """Whether `a//b` and `a/b` are one file."""
        return not hasattr(self.system, "call_s3") and self.system.protocol not in _OBJECTS

    def listed(self, below: str = "") -> Iterator[Listed]:
        """Yield all files, a page at a time, in no order that could be relied on.

        Raises:
            Unreachable: When it cannot be listed.
        """
        root = f"{self.root}/{below}".rstrip("/")
        with told(self.address, Unreachable):
            if hasattr(self.system, "call_s3"):
                yield from self._listed_s3(root)
            elif self.is_local:
                yield from _walked(root)
            else:
                for _, _, files in self.system.walk(root, detail=True):
                    for entry in files.values():
                        yield _listed_as(entry, entry["name"])

    def any_file(self) -> str | None:
        """Return the name of some file that is not hidden; None where there is none, or no such place."""
        with suppress(Vanished):
            for entry in self.listed():
                key = self.key_of(entry.path)
                if not any(part.startswith(".") for part in key.split("/")):
                    return key
        return None

    def found(self, path: str) -> Listed:
        """Look one file up; its version is that of `listed`.

        Raises:
            Vanished: When it is not there.
            Unreachable: When the store does not tell.
        """
        if self.is_local:
            with told(path, Unreachable):
                state = os.stat(path)
                return Listed(path, state.st_size, f"{state.st_size}-{state.st_mtime_ns}")
        return _listed_as(persistently(path, Unreachable, lambda: self.system.info(path)), path)

    def read(self, path: str) -> bytes:
        """Return the content of a small file."""
        return persistently(path, Unreachable, lambda: cast(bytes, self.system.cat_file(path)))

    def get(self, path: str, target: Path) -> None:
        """Copy a file here.

        Raises:
            Vanished: When it is no longer there.
            Unreachable: When it cannot be had.
        """
        if self.is_local:
            with told(path, Unreachable):
                target.symlink_to(os.path.abspath(path))
                target.stat()
            return
        persistently(path, Unreachable, lambda: self.system.get_file(path, str(target)))

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file to be read from its beginning to its end."""
        with told(path, Unreachable), self.system.open(path, "rb", cache_type="readahead") as file:
            yield file

    def put(self, source: Path, key: str) -> None:
        """Put a file in place, whole or not at all: who looks sees the old one or the new one.

        Object stores show an object when all of it has arrived; elsewhere it gets its name in one step at the end.

        Raises:
            OutputError: When that is not possible.
        """
        path = self.path_of(key)
        if self.is_local:
            with source.open("rb") as file:
                write_atomically(Path(path), iter(lambda: file.read(_COPY_BYTES), b""), overwrite=True)
            return
        persistently(path, OutputError, lambda: self._put(source, path))

    def remove(self, paths: list[str]) -> None:
        """Remove files; those that are gone already are no failure."""
        for path in paths:
            with told(path, OutputError), suppress(FileNotFoundError):
                self.system.rm_file(path)

    def check_writable(self, key: str) -> None:
        """Write a small file and remove it again.

        Raises:
            OutputError: When nothing can be written here.
        """
        path = self.path_of(key)
        if self.is_local:
            write_atomically(Path(path), [b"acutance"], overwrite=True)
        else:
            with told(self.address, OutputError):
                self._make_folder(path)
                self.system.pipe_file(path, b"acutance")
        self.remove([path])

    def _make_folder(self, path: str) -> None:
        """Make the folder of a file, where there are folders."""
        if self._has_folders:
            self.system.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _put(self, source: Path, path: str) -> None:
        if not self._has_folders:
            self.system.put_file(str(source), path)
            return
        self._make_folder(path)
        temporary = f"{path}.{os.getpid()}-{random.getrandbits(32):08x}.part"
        try:
            self.system.put_file(str(source), temporary)
            self.system.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                self.system.rm_file(temporary)
            raise

    def _listed_s3(self, root: str) -> Iterator[Listed]:
        """List by pages: the file system's own `find` would hold a million names at once."""
        bucket, _, prefix = root.partition("/")
        request: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else "", "MaxKeys": PAGE}
        while True:
            answer = self.system.call_s3("list_objects_v2", **request)
            for entry in answer.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    yield Listed(f"{bucket}/{entry['Key']}", entry["Size"], entry["ETag"].strip('"'))
            if not answer.get("IsTruncated"):
                return
            request["ContinuationToken"] = answer["NextContinuationToken"]


def key_fault(key: str) -> str:
    """Say why a name can be that of no result in any store; empty when it can."""
    parts = key.split("/")
    if not parts[-1]:
        return "no name"
    if any(part in (".", "..") for part in parts):
        return "a part that leads to another folder"
    if parts[0] == FOLDER:
        return "the ledger's folder"
    return "a zero byte" if "\0" in key else ""


def _listed_as(entry: dict[str, Any], path: str) -> Listed:
    """Return what a file system says of a file, whichever words it has for it."""
    version = entry.get("ETag") or entry.get("etag") or entry.get("md5Hash")
    changed = entry.get("mtime") or entry.get("LastModified") or entry.get("created")
    size_bytes = int(entry.get("size") or 0)
    return Listed(path, size_bytes, str(version).strip('"') if version else f"{size_bytes}-{changed}")


def _walked(root: str) -> Iterator[Listed]:
    """List a folder's files without holding more than one folder's names; links to folders are not followed."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            if folder == root:
                raise
            continue  # removed since its own folder was read
        with entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # as above
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file():
                        state = entry.stat()
                        yield Listed(entry.path, state.st_size, f"{state.st_size}-{state.st_mtime_ns}")
