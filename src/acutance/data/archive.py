"""Zip archives of photos, unpacked so that nothing lands where it should not and any interruption is made good.

An archive from the web is not trusted: names that lead elsewhere, links, twins and encrypted members are
refused before anything is written, and so is what the disk has no room for. Each file appears under its name
only when it is whole and its CRC is right, so unpacking again does only what is missing.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from acutance.downloads.disk import check_room, make_folder, writing
from acutance.errors import InputError, first_line

CHUNK_BYTES = 1 << 20
"""Bytes copied or checked at a time."""


@dataclass(frozen=True, slots=True)
class UnpackedFile:
    """A file of an archive, as it should lie in the folder."""

    name: str
    """Path below the folder, with slashes."""
    size_bytes: int
    crc32: int

    def is_in(self, folder: Path) -> bool:
        """Whether the file is there, with that size and CRC."""
        path = folder / self.name
        try:
            return path.stat().st_size == self.size_bytes and _crc32(path) == self.crc32
        except OSError:
            return False


def are_all_in(folder: Path, files: Sequence[UnpackedFile], *, progress: Callable[[float], None] | None = None) -> bool:
    """Whether every one of the files is in the folder, with its size and CRC."""
    meter = _Meter(sum(file.size_bytes for file in files), progress)
    for file in files:
        if not file.is_in(folder):
            return False
        meter.add(file.size_bytes)
    return True


def unpack(
    archive: Path, folder: Path, *, within: str, progress: Callable[[float], None] | None = None
) -> tuple[UnpackedFile, ...]:
    """Unpack an archive, leaving alone what is there already and right.

    Args:
        archive: A zip file.
        folder: Where its content goes; made if missing.
        within: The one folder that all of its files lie in.
        progress: Called with the share of bytes done, 0 … 1.

    Returns:
        All files of the archive, in its order.

    Raises:
        InputError: When it is no zip file, is damaged, or holds what it should not.
        OutputError: When its files cannot be written, or the disk has no room for them.
    """
    make_folder(folder)
    try:
        with zipfile.ZipFile(archive) as opened:
            # Not `is_dir`: of a name that begins with a zero byte nothing is left to look at.
            stored = [member for member in opened.infolist() if not member.orig_filename.endswith("/")]
            members = [(member, _checked(member, within)) for member in stored]
            files = tuple(file for _, file in members)
            _check_names(files)
            missing = [(member, file) for member, file in members if not file.is_in(folder)]
            missing_bytes = sum(file.size_bytes for _, file in missing)
            check_room(folder / within, missing_bytes)
            meter = _Meter(missing_bytes, progress)
            for member, file in missing:
                _extract(opened, member, folder / file.name, meter)
    except _Refused as refusal:
        raise InputError(f"{archive} {refusal}.") from refusal
    except _DAMAGED as error:
        raise InputError(
            f"{archive} is damaged or no zip archive ({first_line(error)}); delete it and its .sha256, and "
            "fetch it again."
        ) from error
    if progress is not None:
        progress(1.0)
    return files


_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, OSError)
"""What zipfile raises on archives that are not whole."""


class _Refused(Exception):
    """The archive holds what is not unpacked; the message continues a sentence about it."""


@dataclass(slots=True)
class _Meter:
    """Counts bytes and tells the share done."""

    total_bytes: int
    progress: Callable[[float], None] | None
    done_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        self.done_bytes += size_bytes
        if self.progress is not None and self.total_bytes:
            self.progress(self.done_bytes / self.total_bytes)


def _checked(member: zipfile.ZipInfo, within: str) -> UnpackedFile:
    """Refuse a member that would land elsewhere or is no plain file.

    Raises:
        _Refused: When it is one.
    """
    # The name as it is stored: zipfile cuts it at a zero byte and exchanges separators.
    name = member.orig_filename
    path = PurePosixPath(name)
    is_plain = not any(character in '\\:*?"<>|' or ord(character) < 32 for character in name)
    is_inside = path.parts[:1] == (within,) and len(path.parts) > 1 and ".." not in path.parts
    if not (is_plain and is_inside and path.as_posix() == name):
        raise _Refused(f"holds {name!r}; only plain names below {within}/ are unpacked")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _Refused(f"holds {name!r}, which is a link or a device; only files are unpacked")
    if member.flag_bits & 0x1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _Refused(f"holds {name!r}, which is encrypted or packed in a rare way; only plain zip is unpacked")
    return UnpackedFile(name, member.file_size, member.CRC)


def _check_names(files: Sequence[UnpackedFile]) -> None:
    """Refuse archives without files, and names that some file systems take for one.

    Raises:
        _Refused: When it is one of those.
    """
    if not files:
        raise _Refused("holds no files; get it from another place")
    if len({file.name.casefold() for file in files}) < len(files):
        raise _Refused("holds two files of one name; get it from another place")


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, meter: _Meter) -> None:
    """Unpack one file; at its end zipfile checks the CRC, and it yields no more than the declared size.

    Raises:
        BadZipFile: When the file is not what the archive says.
        OutputError: When it cannot be written.
    """
    temporary = target.with_name(f".{target.name}.part")  # always the same: what a killed process left is replaced
    make_folder(target.parent)
    with writing(target):
        try:
            with opened.open(member) as source, open(temporary, "wb") as sink:
                size_bytes = 0
                while chunk := source.read(CHUNK_BYTES):
                    sink.write(chunk)
                    size_bytes += len(chunk)
                    meter.add(len(chunk))
            if size_bytes != member.file_size:
                raise zipfile.BadZipFile(f"{member.filename} has {size_bytes} bytes instead of {member.file_size}")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _crc32(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc
