"""The record of what was made: `.acutance.jsonl` in each folder that results are written to, a line per result.

It lies beside the results, not at the root of a run, so that it is found from a result alone: folders may be moved,
and the next run may name other ones. It is only ever appended to. A line that is torn, because the process was killed
or the disk full while it was written, is passed over.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from acutance import __version__
from acutance.errors import OutputError

RECORD_NAME = ".acutance.jsonl"
RECORD_FORMAT = 2
"""Version of a line; lines of others are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKey:
    """What, beside the photo, a result depends on."""

    model: str
    """Its name."""
    weights_sha256: str
    scale: int
    strength: float
    fidelity: float
    precision: str
    """As it was asked for: `auto` may be another arithmetic on another machine."""
    video: str = ""
    """How a video is written, and which part of it; nothing of a photo."""
    ensemble: int = 1
    """Orientations of which the mean is taken."""
    back_projection: bool = False
    """Whether the network's answer is corrected by what was seen."""
    told: str = ""
    """What blurred the photo and which region is restored, where that was told."""
    signed: str = ""
    """SHA-256 of the certificate that signs the result; empty: it is not signed."""
    acutance: str = __version__
    """Version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line: a result, the photo that it was made of, and how."""

    source: str
    """Path of the photo from the folder of the record, with slashes."""
    source_bytes: int
    source_mtime_ns: int
    source_sha256: str
    target: str
    """Name of the result."""
    target_bytes: int
    target_sha256: str
    key: ResultKey

    def to_line(self) -> bytes:
        """Write it as a line of JSON. Names that are not UTF-8 survive, as lone surrogates, escaped."""
        return json.dumps({"format": RECORD_FORMAT, **asdict(self)}).encode("ascii") + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Record | None:
        """Read what `to_line` wrote; None for anything else. What a later version has added is left out."""
        try:
            values = json.loads(line)
            if values["format"] != RECORD_FORMAT:
                return None
            record = cls(**(_known(cls, values) | {"key": ResultKey(**_known(ResultKey, values["key"]))}))
            return record if isinstance(record.target, str) else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def source_name(source: Path, folder: Path) -> str:
    """Return how a record in a folder calls a photo."""
    try:
        return Path(os.path.relpath(source, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return Path(os.path.abspath(source)).as_posix()


class Journals:
    """The records of all folders that a run writes to; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[Path, dict[str, list[Record]]] = {}

    def records_of(self, target: Path) -> list[Record]:
        """Return what earlier runs have recorded of a result, whether it is there or not; the oldest first.

        Raises:
            OutputError: When there is a record that cannot be read.
        """
        with self._lock:
            if target.parent not in self._records:
                self._records[target.parent] = _read(target.parent / RECORD_NAME)
            return self._records[target.parent].get(target.name, [])

    def append(self, folder: Path, record: Record) -> None:
        """Add a line to the record of a folder; it is on the disk when this returns.

        Raises:
            OutputError: When it cannot be written.
        """
        path = folder / RECORD_NAME
        try:
            with self._lock, open(path, "a+b") as file:
                is_torn = file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
                file.write(b"\n" * is_torn + record.to_line())  # at the end, wherever was read
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"the record {path} cannot be written ({error.strerror or error}); do without it (--no-record, "
                "record=False)."
            ) from error


def _read(path: Path) -> dict[str, list[Record]]:
    """Read a record by the names of the results; nothing where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        if not path.parent.is_dir():  # a part of the path is a file: writing will say so
            return {}
        raise OutputError(
            f"the record {path} cannot be read ({error.strerror or error}); only resuming needs it."
        ) from error
    found: dict[str, list[Record]] = {}
    for record in filter(None, map(Record.of_line, content.splitlines())):
        found.setdefault(record.target, []).append(record)
    return found


def _known(kind: type[ResultKey | Record], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a line's values that this version knows."""
    return {field.name: values[field.name] for field in fields(kind)}
