"""Parts of a file, read as if they were a file of their own: for decoders that need not see the rest."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Part = tuple[int, int] | bytes
"""Offset and length within the file, or bytes that stand in it nowhere."""


class _Excerpt(io.RawIOBase):
    """The parts, one behind the other; nothing is copied before it is read."""

    def __init__(self, file: BinaryIO, parts: Iterable[Part]) -> None:
        super().__init__()
        self._file = file
        self._parts = [part for part in parts if _length(part)]
        *self._starts, self._size = accumulate(map(_length, self._parts), initial=0)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        wanted = memoryview(buffer).cast("B")
        if self._position >= self._size:
            return 0
        number = bisect_right(self._starts, self._position) - 1
        part, within = self._parts[number], self._position - self._starts[number]
        size = min(len(wanted), _length(part) - within)
        if isinstance(part, bytes):
            data = part[within : within + size]
        else:
            self._file.seek(part[0] + within)
            data = self._file.read(size)
        wanted[: len(data)] = data
        self._position += len(data)
        return len(data)


def _length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1]


def excerpt(file: BinaryIO, parts: Iterable[Part]) -> BinaryIO:
    """Return parts of a file as a file, to be read before the file itself is closed; it moves the file's position."""
    return cast(BinaryIO, io.BufferedReader(_Excerpt(file, parts)))
