"""What is in a file, in a few bytes: enough to recognise it again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


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
