"""What the sha256 of a file should be: given by the caller, or recorded beside the file when it was first used.

A hash that nobody published is not made up: the first download is trusted, its hash is written to
`<file>.sha256` (in the form that `sha256sum --check` reads), and from then on the file has to have it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acutance.downloads.disk import replace_text
from acutance.errors import ConfigError, DownloadError, first_line

CHUNK_BYTES = 1 << 18
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedHash:
    """What is known about a file's sha256; all hex digits are lower case."""

    sha256: str | None
    """All of it, as given by the caller."""
    prefix: str | None
    """Its first digits, as given by the caller."""
    recorded: str | None
    """As recorded at first use."""
    record: Path
    """Where it is recorded."""

    def objection(self, found: str) -> str | None:
        """Say what speaks against a file with this sha256, as the end of a sentence about it; None when nothing."""
        if self.sha256 is not None:
            return None if found == self.sha256 else f"not {self.sha256}"
        if self.prefix is not None and not found.startswith(self.prefix):
            return f"which does not begin with {self.prefix}"
        if self.recorded is not None and found != self.recorded:
            return (
                f"not {self.recorded} as at its first use (if the new file is to be trusted, delete {self.record.name})"
            )
        return None


def expect_hash(target: Path, *, sha256: str | None, prefix: str | None) -> ExpectedHash:
    """Gather what is known about the hash of a file.

    Raises:
        ConfigError: When a hash that is given is none.
        DownloadError: When the record beside the file is damaged.
    """
    if prefix is not None and not re.fullmatch(r"[0-9a-fA-F]{1,64}", prefix):
        raise ConfigError(
            f"sha256_prefix = {prefix!r} is not the beginning of a hash; it has 1 to 64 hexadecimal digits."
        )
    return ExpectedHash(
        sha256=None if sha256 is None else checked_sha256(sha256),
        prefix=prefix and prefix.lower(),
        recorded=recorded_sha256(target),
        record=_record_of(target),
    )


def checked_sha256(sha256: str) -> str:
    """Return a hash as it is compared: in lower case.

    Raises:
        ConfigError: When it is none.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigError(f"sha256 = {sha256!r} is not a hash; it has 64 hexadecimal digits.")
    return sha256.lower()


def recorded_sha256(target: Path) -> str | None:
    """Return the sha256 recorded beside a file, or None when there is no record.

    Raises:
        DownloadError: When the record is damaged.
    """
    record = _record_of(target)
    try:
        text = record.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise DownloadError(
            f"{record} cannot be read ({first_line(error)}); delete it to record the hash anew."
        ) from error
    found = re.match(r"([0-9a-f]{64})\s", text)
    if found is None:
        raise DownloadError(f"{record} holds no sha256; delete it to record the hash anew.")
    return found[1]


def record_sha256(target: Path, sha256: str) -> None:
    """Write the record beside a file.

    Raises:
        OSError: When it cannot be written.
    """
    replace_text(_record_of(target), f"{sha256}  {target.name}\n")


def hash_file(path: Path, *, progress: Callable[[float], None] | None = None) -> str:
    """Compute the sha256 of a file, in hex.

    Raises:
        OSError: When it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        size_bytes = path.stat().st_size
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            if progress is not None:
                progress(min(1.0, file.tell() / max(1, size_bytes)))
    return digest.hexdigest()


def _record_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")
