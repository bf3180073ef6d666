"""Writing files so that at every moment there is either the whole file or none.

The bytes go into a temporary file of the same folder, are flushed to the disk, and then get their name in one
step. Without permission to overwrite, that step itself fails if the name is taken, even if another process
took it a moment ago.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from acutance.errors import OutputError
from acutance.media.part_file import part_file

OVERWRITE = "allow overwriting (--overwrite, overwrite=True)"
"""What to do about a place that is taken, for the command line and for Python: a part of sentences."""

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


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Size and hash of a file's content."""

    size_bytes: int
    sha256: str
    """In hex, lower case."""


def fingerprint_of(path: Path) -> Fingerprint:
    """Read a file through and return its fingerprint.

    Raises:
        OSError: When it cannot be read.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Fingerprint(file.tell(), digest.hexdigest())


class Patch(NamedTuple):
    """Bytes that replace others at the beginning of a file, when all of it is known: an offset, a size."""

    start: int
    content: bytes


def check_target(path: Path, *, overwrite: bool, beside: Iterable[Path] = ()) -> None:
    """Refuse a place where nothing may be written, before the work for it is done.

    Args:
        path: Of the file to be written.
        overwrite: Whether it may be there already.
        beside: Files that are read, or written, in the same run, and must never be replaced by it, whatever `overwrite`
            says.

    Raises:
        OutputError: When the path is a folder, is one of the files beside, is taken and `overwrite` is false, is too
            long, or lies where nothing may be written.
    """
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; name a file.")
        if any(_is_same(path, other) for other in beside):
            raise OutputError(f"{path} is itself one of the files; choose another name.")
        if not overwrite and os.path.lexists(path):
            raise _taken(path)
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # which fails for a name that is too long
            if overwrite and not stat.S_ISREG(path.stat().st_mode):
                raise OutputError(f"{path} is no file that could be replaced; choose another name, or write to stdout.")
        _check_folder(_followed(path, overwrite=overwrite).parent)
    except (OSError, ValueError) as error:
        raise not_written(path, error) from error


def check_reachable(path: Path) -> None:
    """Refuse a place of which it cannot be told whether something is there: `Path.exists` raises or hides that.

    Raises:
        OutputError: When its name is none or too long, or a folder on the way may not be searched.
    """
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()
    except (OSError, ValueError) as error:
        raise not_written(path, error) from error


def _is_same(path: Path, other: Path) -> bool:
    """Say whether two names are of one file, by a link or in other letters, too, or would be."""
    real, its = (os.path.normcase(os.path.realpath(name)) for name in (path, other))
    if real == its:
        return True
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there
        return False


def write_atomically(
    path: Path,
    parts: Iterable[bytes | memoryview | Patch],
    *,
    overwrite: bool,
    before_naming: Callable[[Fingerprint], None] | None = None,
    times_ns: tuple[int, int] | None = None,
    survives_power_loss: bool = True,
) -> None:
    """Write a file whole or not at all; missing folders are made.

    Args:
        path: Of the file. Where a symbolic link may be overwritten, the file that it points to is replaced.
        parts: The content, one after the other.
        overwrite: Whether a present file is replaced (its permissions stay).
        before_naming: Called with the fingerprint of the content when all of it is written, before the file gets its
            name; when it raises, nothing is left behind.
        times_ns: When the file is to have been read and changed last; None for now.
        survives_power_loss: Whether to wait until the disk has it; not for a file that is copied and thrown away.

    Raises:
        OutputError: When it cannot be written; nothing is left behind then.
    """
    with temporary_beside(path, overwrite=overwrite, times_ns=times_ns, survives_power_loss=survives_power_loss) as (
        temporary,
        file,
    ):
        try:
            fingerprint = _written(file, parts)
            file.flush()
            if fingerprint is None and before_naming is not None:
                fingerprint = fingerprint_of(temporary)
        except (OSError, ValueError) as error:
            raise not_written(path, error) from error
        if before_naming is not None and fingerprint is not None:
            before_naming(fingerprint)


def _written(file: BinaryIO, parts: Iterable[bytes | memoryview | Patch]) -> Fingerprint | None:
    """Write parts; return what is in the file, or None where that must be read again."""
    digest, size_bytes, is_patched = hashlib.sha256(), 0, False
    for part in parts:
        if isinstance(part, Patch):
            file.seek(part.start)
            file.write(part.content)
            file.seek(0, os.SEEK_END)
            is_patched = True
            continue
        file.write(part)
        digest.update(part)
        size_bytes += memoryview(part).nbytes
    return None if is_patched else Fingerprint(size_bytes, digest.hexdigest())


def joined_parts(parts: Iterable[bytes | memoryview | Patch]) -> bytes:
    """Return parts as the content of a file."""
    content = bytearray()
    for part in parts:
        if isinstance(part, Patch):
            content[part.start : part.start + len(part.content)] = part.content
        else:
            content += part
    return bytes(content)


@contextlib.contextmanager
def temporary_beside(
    path: Path, *, overwrite: bool, times_ns: tuple[int, int] | None = None, survives_power_loss: bool = True
) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a file to write; after the block it gets its name in one step, after an error it is removed.

    For libraries that want to write a file by its name; `write_atomically` is for bytes.

    Args:
        path: Of the file that is wanted; see `write_atomically`.
        overwrite: Whether a present file is replaced.
        times_ns: When the file is to have been read and changed last; None for now.
        survives_power_loss: See `write_atomically`.

    Yields:
        The path of the temporary file, and the file, which is empty and open for writing.

    Raises:
        OutputError: When the file cannot be there; what the block raises goes on as it is.
    """
    check_target(path, overwrite=overwrite)
    with contextlib.ExitStack() as stack:
        try:
            target = _followed(path, overwrite=overwrite)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary, file = stack.enter_context(part_file(target.parent))
        except (OSError, ValueError) as error:
            raise not_written(path, error) from error
        yield temporary, file
        try:
            file.flush()
            if survives_power_loss:
                os.fsync(file.fileno())
            file.close()  # Windows renames no open file
            if times_ns is not None:
                os.utime(temporary, ns=times_ns)
            if overwrite:
                with contextlib.suppress(OSError):  # no present file, or one of somebody else
                    temporary.chmod(stat.S_IMODE(target.stat().st_mode))
                temporary.replace(target)
            else:
                _name_if_free(temporary, target)
        except (OSError, ValueError) as error:
            raise not_written(path, error) from error


def _followed(path: Path, *, overwrite: bool) -> Path:
    """Return the file that is written: where a link may be overwritten, what it points to."""
    # Not Path.resolve: up to Python 3.12 it raises for a link that leads to itself.
    return Path(os.path.realpath(path)) if overwrite else path


def _check_folder(folder: Path) -> None:
    """Refuse a folder in which nothing may be written, or which cannot be made.

    Raises:
        OSError: When it is so.
    """
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


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
    return OutputError(f"{path} exists already; {OVERWRITE} or choose another name.")


def not_written(path: Path, error: OSError | ValueError) -> OutputError:
    """Return the sentence for an error that came up while a file was written."""
    number = error.errno if isinstance(error, OSError) else None
    reason = _REASONS.get(number or 0) or (isinstance(error, OSError) and error.strerror) or str(error)
    return OutputError(f"{path} cannot be written: {reason}.")
