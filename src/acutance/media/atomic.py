"""Writing files so that at every moment there is either the whole file or none.

The bytes go into a temporary file of the same folder, are flushed to the disk, and then get their name in one
step. Without permission to overwrite, that step itself fails if the name is taken, even if another process
took it a moment ago.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from acutance.errors import OutputError

_REASONS = {
    errno.ENOSPC: "the disk is full; make room or choose another place",
    errno.EDQUOT: "your disk quota is used up; make room or choose another place",
    errno.EACCES: "writing is not allowed there; choose another folder",
    errno.EPERM: "writing is not allowed there; choose another folder",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another place",
    errno.EFBIG: "the disk does not take files that large; choose another place",
}


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where nothing may be written, before the work for it is done.

    Raises:
        OutputError: When the path is a folder, or is taken and `overwrite` is false.
    """
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; name a file.")
        if not overwrite and os.path.lexists(path):
            raise _taken(path)
    except (OSError, ValueError) as error:
        raise _failed(path, error) from error


def write_atomically(path: Path, parts: Iterable[bytes | memoryview], *, overwrite: bool) -> None:
    """Write a file whole or not at all; missing folders are made.

    Args:
        path: Of the file. Where a symbolic link may be overwritten, the file that it points to is replaced.
        parts: The content, one after the other.
        overwrite: Whether a present file is replaced (its permissions stay).

    Raises:
        OutputError: When it cannot be written; nothing is left behind then.
    """
    check_target(path, overwrite=overwrite)
    try:
        target = path.resolve() if overwrite else path
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, parts, overwrite=overwrite)
    except (OSError, ValueError) as error:
        raise _failed(path, error) from error


def _write(path: Path, parts: Iterable[bytes | memoryview], *, overwrite: bool) -> None:
    temporary = path.with_name(f".acutance-{secrets.token_hex(8)}.part")
    # Not tempfile.mkstemp: its files are private (0600), whatever the umask says.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(descriptor)
        if overwrite:
            with contextlib.suppress(OSError):  # no present file, or one of somebody else
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        else:
            _name_if_free(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _name_if_free(temporary: Path, path: Path) -> None:
    """Give a file its final name, in one step that fails when the name is taken.

    Raises:
        OutputError: When it is.
    """
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:
        # The file system knows no links (FAT, some network drives): take the name with an empty file first.
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            raise _taken(path) from None
        temporary.replace(path)


def _taken(path: Path) -> OutputError:
    return OutputError(f"{path} exists already; allow overwriting or choose another name.")


def _failed(path: Path, error: OSError | ValueError) -> OutputError:
    number = error.errno if isinstance(error, OSError) else None
    reason = _REASONS.get(number or 0) or (isinstance(error, OSError) and error.strerror) or str(error)
    return OutputError(f"{path} cannot be written: {reason}.")
