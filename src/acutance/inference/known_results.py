"""Results of earlier runs in a folder that is sharpened: known by the records beside them, not by their names."""

from __future__ import annotations

import os
from pathlib import Path

from acutance.errors import OutputError
from acutance.inference.journal import Journals, Record
from acutance.media import fingerprint_of


class KnownResults:
    """Tells results from photos, and counts them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._journals = Journals()
        self.found = 0
        """How many results there were so far."""

    def has(self, path: Path, folder: Path) -> bool:
        """Say whether a file is a result, as it was recorded, whose photo is in the same folder.

        A result that has replaced its photo stands for it, and is none. Nor is one whose photo lies elsewhere: whoever
        names a folder of results wants these sharpened.

        Args:
            path: The file.
            folder: What is searched.
        """
        try:
            records = [
                record for record in self._journals.records_of(path) if _is_of_photo_within(record, path, folder)
            ]
            is_result = bool(records) and _is_unchanged(path, records)
        except (OSError, OutputError):
            return False  # reading it, or its record, will say what is wrong
        self.found += is_result
        return is_result


def _is_of_photo_within(record: Record, path: Path, folder: Path) -> bool:
    source = os.path.realpath(path.parent / record.source)
    return source != os.path.realpath(path) and Path(source).is_relative_to(os.path.realpath(folder))


def _is_unchanged(path: Path, records: list[Record]) -> bool:
    size_bytes = path.stat().st_size
    alike = [record for record in records if record.target_bytes == size_bytes]
    return bool(alike) and fingerprint_of(path).sha256 in {record.target_sha256 for record in alike}
