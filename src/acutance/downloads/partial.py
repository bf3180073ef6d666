"""A file that is still being downloaded: its bytes so far, their hash, and which version of which file they are of.

Two files beside the target: `<file>.part` holds the bytes, `<file>.part.json` says where they come from. The
second is written before the first byte, so bytes without a known origin are never gone on with.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from acutance.downloads.disk import replace_text, writing
from acutance.downloads.hashes import CHUNK_BYTES
from acutance.downloads.source import Version


class PartialFile:
    """The part of a download that has arrived; a context manager, which keeps the part when it is left.

    Every method raises OutputError when the disk refuses.
    """

    def __init__(self, target: Path, url: str) -> None:
        """Open what an earlier attempt has left, if it was of the same address, or begin with nothing."""
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._origin = target.with_name(f"{target.name}.part.json")
        self._url = url
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.version: Version | None = None
        """Of the remote file that the bytes are of; None as long as there are none."""
        with writing(self.path):
            self._file = open(self.path, "a+b")  # noqa: SIM115, closed by `__exit__`
        try:
            with writing(self.path):
                self._take_up()
        except BaseException:
            self._file.close()
            raise

    def _take_up(self) -> None:
        self.version = self._read_origin()
        if self.version is None:
            self.clear()
            return
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            self._digest.update(chunk)
            self.size_bytes += len(chunk)

    def _read_origin(self) -> Version | None:
        """Which version the bytes are of, or None when that is not known, or of another address."""
        try:
            values = json.loads(self._origin.read_text(encoding="utf-8"))
            return Version(**values["version"]) if values["url"] == self._url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hex."""
        return self._digest.hexdigest()

    @property
    def total_bytes(self) -> int | None:
        """Size of the whole file, where the server announced it."""
        return None if self.version is None else self.version.size_bytes

    @property
    def is_whole(self) -> bool:
        """Whether as many bytes have come as the server announced; False when it announced nothing."""
        return self.size_bytes == self.total_bytes

    def clear(self) -> None:
        """Forget all bytes."""
        with writing(self.path):
            self._file.truncate(0)
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.version = None

    def begin(self, version: Version) -> None:
        """Begin anew with a version of the file."""
        self.clear()
        with writing(self._origin):
            replace_text(self._origin, json.dumps({"url": self._url, "version": asdict(version)}))
        self.version = version

    def append(self, chunk: bytes) -> None:
        """Add the next bytes."""
        with writing(self.path):
            self._file.write(chunk)
            self._file.flush()  # what is in memory only is lost with the process
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    def finish(self) -> None:
        """Give the file its final name; only now does anything of that name exist."""
        with writing(self.target):
            os.fsync(self._file.fileno())
            self._file.close()
            self.path.replace(self.target)
            self._origin.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove it: what has come is of no use."""
        self._file.close()
        with writing(self.path):
            self.path.unlink(missing_ok=True)
            self._origin.unlink(missing_ok=True)

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk, which `append` has already told
            self._file.close()
        if self.size_bytes == 0 and self.path.exists():  # nothing worth keeping
            self.discard()
