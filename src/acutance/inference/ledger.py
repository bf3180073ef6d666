"""What is finished, and what may be made again: a run's knowledge of earlier runs, for resuming.

A line of the record is written *before* its result gets its name, with the hash of the result. So whenever a process is
killed there is either a result with its line, or a line without its result, which says nothing; never a result that
nobody knows. A line written afterwards would leave a gap in which a finished file has none, and is made twice or left
as a stranger's. A result is finished when it is there and its bytes are those of a line with the same photo and the
same settings; the name alone proves nothing.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Literal

from acutance.errors import InputError, OutputError
from acutance.inference.journal import Journals, Record, ResultKey, source_name
from acutance.media import Fingerprint, PlannedFile, fingerprint_of
from acutance.media.atomic import OVERWRITE

ResultStatus = Literal["finished", "outdated", "none"]
"""Of a result: made of this photo in this way; made by acutance of this photo, which or whose settings have changed;
or not there, or not known."""


class Ledger:
    """Looks results up in the records beside them, and enters new ones; safe to use from several threads.

    Args:
        key: The settings of this run.
        resume: Whether to look up; otherwise nothing is known of any result.
        record: Whether to enter.
    """

    def __init__(self, key: ResultKey, *, resume: bool = False, record: bool = True) -> None:
        self._key = key
        self._journals = Journals()
        self._resumes = resume
        self.records = record
        """Whether this run leaves a record."""

    @property
    def advice(self) -> str:
        """What to do about a result that is there and not known: the end of a sentence."""
        if self._resumes:
            return f", and no record says that it was made of this photo; {OVERWRITE} or choose another name"
        hint = "; if an earlier run made it, resume (--resume, resume=True), else" if self.records else ";"
        return f"{hint} {OVERWRITE} or choose another name"

    def status_of(self, file: PlannedFile) -> ResultStatus:
        """Say what is known of the result of a photo.

        Raises:
            OutputError: When the record cannot be read, or the photo has itself been replaced by a result that was made
                with other settings.
            InputError: When the photo cannot be read.
        """
        if not self._resumes:
            return "none"
        try:
            return self._status(file)
        except OSError as error:
            name = error.filename or file.target
            raise InputError(f"{name} cannot be read ({error.strerror or error}).") from error

    def enter(self, file: PlannedFile, before: os.stat_result | None, target: Fingerprint) -> None:
        """Record a result before it gets its name, when all of its photo has been read.

        Args:
            file: The photo and its result.
            before: The photo's state before it was read; None when it was not there then.
            target: Of the result.

        Raises:
            InputError: When the photo has changed since, or cannot be read again.
            OutputError: When the record cannot be written.
        """
        if not self.records:
            return
        try:
            content = fingerprint_of(file.source)
            after = file.source.stat()
        except OSError as error:
            raise InputError(f"{file.source} cannot be read ({error.strerror or error}).") from error
        if before is None or (after.st_mtime_ns, content.size_bytes) != (before.st_mtime_ns, before.st_size):
            raise InputError(f"{file.source} was changed while it was read; sharpen it again.")
        folder = file.target.parent
        record = Record(
            source=source_name(file.source, folder),
            source_bytes=content.size_bytes,
            source_mtime_ns=after.st_mtime_ns,
            source_sha256=content.sha256,
            target=file.target.name,
            target_bytes=target.size_bytes,
            target_sha256=target.sha256,
            key=self._key,
        )
        self._journals.append(folder, record)

    def _status(self, file: PlannedFile) -> ResultStatus:
        try:
            state = file.target.stat()
        except OSError:
            return "none"  # writing will say what is wrong there, if anything
        if not stat.S_ISREG(state.st_mode):
            return "none"
        records = self._journals.records_of(file.target)
        size_bytes = state.st_size
        if size_bytes == 0 and records:
            return (
                "outdated"  # where there are no hard links, a name is taken with an empty file: a run was killed then
            )
        if all(record.target_bytes != size_bytes for record in records):
            return "none"  # and need not be read
        sha256 = fingerprint_of(file.target).sha256
        return self._judge(file, [record for record in records if record.target_sha256 == sha256])

    def _judge(self, file: PlannedFile, records: list[Record]) -> ResultStatus:
        """Judge a result by the records whose bytes it has."""
        if not records:
            return "none"
        if file.source.exists() and file.source.samefile(file.target):
            # The photo was replaced by its result. Another version of acutance is no reason to sharpen that again.
            if any(replace(record.key, acutance=self._key.acutance) == self._key for record in records):
                return "finished"
            raise OutputError(
                f"{file.target} was made of its photo with other settings, and the photo is gone; get it back, or "
                "sharpen the result once more without resuming."
            )
        photo = _Photo(file.source)
        name = source_name(file.source, file.target.parent)
        if any(record.key == self._key and photo.is_of(record, name) for record in records):
            return "finished"
        is_own = any(record.source == name or photo.has_bytes_of(record) for record in records)
        return "outdated" if is_own else "none"


class _Photo:
    """A photo that is compared with records, and read at most once for that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = path.stat()
        self._sha256 = ""

    def is_of(self, record: Record, name: str) -> bool:
        """Say whether it is the recorded one, unchanged; its time is trusted only under the same name."""
        is_untouched = (record.source, record.source_mtime_ns) == (name, self._state.st_mtime_ns)
        return (is_untouched and record.source_bytes == self._state.st_size) or self.has_bytes_of(record)

    def has_bytes_of(self, record: Record) -> bool:
        """Say whether its content is the recorded one."""
        if record.source_bytes != self._state.st_size or not stat.S_ISREG(self._state.st_mode):
            return False
        self._sha256 = self._sha256 or fingerprint_of(self._path).sha256
        return record.source_sha256 == self._sha256
