"""The disk that downloads go to: room on it, folders, small files written whole, one process at a time.

It knows nothing of the web. Whatever the operating system refuses leaves here as an `OutputError` in words.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acutance.errors import OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NEXT_STEPS = {
    errno.ENOSPC: "make room or choose another folder",
    errno.EDQUOT: "make room or choose another folder",
    errno.EFBIG: "choose a disk that takes files that large",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses in this block into words about `path`.

    Raises:
        OutputError: When anything in the block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        next_step = _NEXT_STEPS.get(error.errno or 0, "choose another folder")
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; {next_step}.") from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing.

    Raises:
        OutputError: When that is not possible.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def check_room(path: Path, needed_bytes: int) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        path: Of the file or folder to write, for the message; its parent folder exists.
        needed_bytes: What will be written.

    Raises:
        OutputError: When less is free.
    """
    with writing(path):
        free_bytes = shutil.disk_usage(path.parent).free
    if needed_bytes > free_bytes:
        raise OutputError(
            f"{path} needs {readable_size(needed_bytes)} and {readable_size(free_bytes)} are free there; "
            "make room or choose another folder."
        )


def readable_size(size_bytes: int) -> str:
    """Write a number of bytes as a person reads it: 3.53 GB, 449 MB, 1.2 kB."""
    size = float(min(size_bytes, 10**30))  # a server may claim anything, also what no float can hold
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:  # from there on three digits would be 1e+03
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def replace_text(path: Path, text: str) -> None:
    """Write a small text file in one step: at every moment the old or the new one is there.

    Raises:
        OSError: When it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Let one process (or thread) at a time into the block; others wait at its door.

    The operating system frees the lock of a process that is killed. Where the file system knows no locks (some
    network drives), there is none.

    Args:
        lock: An empty file that exists while the lock is held; its folder exists.

    Raises:
        OutputError: When the file cannot be made.
    """
    while True:
        with contextlib.ExitStack() as stack:
            with writing(lock):
                file = stack.enter_context(open(lock, "ab"))
            _wait_for_lock(file.fileno())
            if not _is_file_at(lock, file.fileno()):
                continue  # its last holder removed it: what is locked here is a file without a name
            stack.callback(_remove_lock, lock)
            yield
            return


def _wait_for_lock(descriptor: int) -> None:
    if sys.platform == "win32":
        while True:
            with contextlib.suppress(OSError):  # LK_LOCK gives up after ten seconds
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                return
    else:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_file_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _remove_lock(lock: Path) -> None:
    with contextlib.suppress(OSError):  # Windows removes no open files: there an empty one stays
        lock.unlink()
