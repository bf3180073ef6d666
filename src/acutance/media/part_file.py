"""The temporary file of a result that is being written: its writer holds a lock on it as long as it lives.

A process that is killed leaves its temporary file behind. The next run removes it, and knows by the lock, which the
operating system frees with the process, that it is not another run's, still at work: neither an age nor a process
number would tell, since writing may take long, numbers are given again, and a folder may be shared by machines.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_NAME = re.compile(r"\.acutance-[0-9a-f]{16}[^/]*\.part")

FORGOTTEN_S = 24 * 3600
"""Where the file system knows no locks, a temporary file that nobody has written to for so long is left over."""


_open: set[tuple[int, Path]] = set()
"""The process, and the path, of the temporary files that are being written."""


@atexit.register
def _remove_open() -> None:
    """Remove what threads leave that are in the middle of a tile when the process ends: nobody waits for them."""
    for process, path in tuple(_open):
        if process == os.getpid():  # not a fork's parent's
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def part_name(mark: str = "") -> str:
    """Make up the name of a temporary file, hidden and not yet taken, with a mark in it."""
    return f".acutance-{secrets.token_hex(8)}{mark}.part"


@contextmanager
def part_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Make a temporary file, open for writing, and remove it at the end if it has not got another name.

    Yields:
        Its path, and the file, which may be closed in the block.

    Raises:
        OSError: When it cannot be made.
    """
    path, descriptor = _create(folder)
    keeper, entry = -1, (os.getpid(), path)
    _open.add(entry)
    try:
        with open(descriptor, "wb") as file:
            # A lock belongs to the open file, not to its number: this one holds it until the file has got its name.
            keeper = -1 if sys.platform == "win32" else os.dup(descriptor)
            yield path, file
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        _open.discard(entry)
        if keeper >= 0:
            os.close(keeper)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed runs have left in a folder; those of live ones stay.

    What cannot be listed, locked or removed stays without a word: nothing depends on it.
    """
    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:
            found = [Path(entry) for entry in entries if _NAME.fullmatch(entry.name)]
        for path in found:
            with contextlib.suppress(OSError):
                _remove_if_left(path)


def _create(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / part_name()
        # Not tempfile.mkstemp: its files are private (0600), whatever the umask says.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        if sys.platform == "win32":
            return path, descriptor
        with contextlib.suppress(OSError):  # no locks there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.lexists(path):
            return path, descriptor
        os.close(descriptor)  # another run has removed it before it was locked


def _remove_if_left(path: Path) -> None:
    """Remove a temporary file unless its writer lives.

    Raises:
        OSError: When it does, or when the file cannot be removed.
    """
    if path.is_symlink():
        return  # none of ours
    if sys.platform == "win32":
        path.unlink()  # which fails while its writer has it open
        return
    with open(path, "r+b") as file:  # for writing: network drives lock no others
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            is_held = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
            if is_held or time.time() - path.stat().st_mtime < FORGOTTEN_S:
                return
        path.unlink()
