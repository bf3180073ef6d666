"""Fetch one file from the web: all of it and the right one, or none.

What is done in what order: a present file is checked and used; else a part left by an earlier attempt is gone
on with, if the server still has the same version; broken connections are tried again, each time from where the
last one ended; the hash is computed as the bytes come; and only the whole and right file gets its name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acutance.downloads.disk import check_room, make_folder, only_one, readable_size, writing
from acutance.downloads.hashes import ExpectedHash, expect_hash, hash_file, record_sha256
from acutance.downloads.partial import PartialFile
from acutance.downloads.source import Answer, Dropped, RangeLost, ask, check_url
from acutance.errors import DownloadError, OutputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a download bears with a bad connection."""

    timeout_s: float = 30.0
    """Silence after which a connection counts as broken."""
    attempts: int = 6
    """Attempts in a row that may end without a byte more than before."""
    pause_s: float = 1.0
    """Before the second attempt; doubled before each further one."""
    longest_pause_s: float = 60.0
    """However often it was doubled, and whatever the server asks for."""

    def pause(self, failures: int, asked_s: float) -> float:
        """How long to wait after so many attempts in a row without a new byte, in s."""
        return min(self.longest_pause_s, max(asked_s, self.pause_s * 2.0 ** max(0, failures - 1)))


PATIENCE = Patience()


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    progress: Callable[[float], None] | None = None,
    room: int = 1,
    patience: Patience = PATIENCE,
) -> Path:
    """Download a file, unless it is there already, and check it.

    Nothing ever lies under the target's name but the whole, checked file; what has come so far lies in
    `<target>.part`, and the next call goes on from there. The hash is recorded in `<target>.sha256`: where none
    is given, the first download is trusted and every later one is held to it. Of several processes that want
    the same file one downloads it and the others wait.

    Args:
        url: http or https; proxies are taken from the environment (`https_proxy`, `no_proxy`).
        target: Where the file should lie; missing folders are made.
        sha256: What its hash has to be, in hex.
        sha256_prefix: What its hash has to begin with, where only that is known.
        progress: Called with the share done, 0 … 1; only at the end where the server does not say how long the file is.
        room: What has to be free on the disk, in sizes of the file: 2 for an archive that will be unpacked.
        patience: With bad connections.

    Returns:
        The target.

    Raises:
        ConfigError: When the address or a hash is malformed.
        DownloadError: When the file cannot be had or is not the right one. A wrong file that came is removed, one
            that was there is renamed to `<target>.wrong`.
        OutputError: When it cannot be written, or the disk has no room for it.
    """
    check_url(url)
    expected = expect_hash(target, sha256=sha256, prefix=sha256_prefix)
    if _is_there(target, expected, progress):
        return target
    make_folder(target.parent)
    with only_one(target.with_name(f".{target.name}.lock")):
        expected = expect_hash(target, sha256=sha256, prefix=sha256_prefix)
        if _is_there(target, expected, progress):  # another process has fetched it meanwhile
            return target
        with PartialFile(target, url) as partial:
            if not partial.is_whole:
                knows_hash = expected.sha256 is not None
                _Download(url, partial, knows_hash, room, patience, progress).run()
            _name(partial, url, expected)
    if progress is not None:
        progress(1.0)
    return target


def _is_there(target: Path, expected: ExpectedHash, progress: Callable[[float], None] | None) -> bool:
    """Check the file that is there already, if one is.

    Raises:
        DownloadError: When it is the wrong one; it is renamed.
        OutputError: When something else than a file has that name, or it cannot be read.
    """
    if not target.exists():
        return False
    if not target.is_file():
        raise OutputError(f"{target} is not a file; choose another place for the download.")
    try:
        found = hash_file(target, progress=progress)
    except OSError as error:
        raise OutputError(f"{target} is there but cannot be read ({error.strerror}); remove it.") from error
    objection = expected.objection(found)
    if objection is not None:
        wrong = target.with_name(f"{target.name}.wrong")
        with writing(wrong):
            target.replace(wrong)
        raise DownloadError(
            f"{target} was not the right file: its sha256 is {found}, {objection}; "
            f"it is now called {wrong.name}, do the same again to download it anew."
        )
    if found != expected.recorded:
        with contextlib.suppress(OSError):  # a folder that may only be read from keeps no records
            record_sha256(target, found)
    return True


def _name(partial: PartialFile, url: str, expected: ExpectedHash) -> None:
    """Check the whole file and give it its name; the record comes first, so no file is ever without.

    Raises:
        DownloadError: When it is the wrong one; it is removed.
    """
    found = partial.sha256
    objection = expected.objection(found)
    if objection is not None:
        partial.discard()
        raise DownloadError(
            f"{url} gave a wrong file, which was removed: its sha256 is {found}, {objection}; "
            "try again, or use a mirror."
        )
    with writing(expected.record):
        record_sha256(partial.target, found)
    partial.finish()


@dataclass(frozen=True, slots=True)
class _Download:
    """One file on its way, over as many connections as it takes."""

    url: str
    partial: PartialFile
    knows_hash: bool
    room: int
    patience: Patience
    progress: Callable[[float], None] | None

    def run(self) -> None:
        """Try until the file is whole, or patience ends.

        Raises:
            DownloadError: When it ends.
        """
        failures, furthest, has_answered = 0, self.partial.size_bytes, False
        while True:
            try:
                self._attempt()
                return
            except Dropped as drop:
                failures = 0 if self.partial.size_bytes > furthest else failures + 1
                furthest = max(furthest, self.partial.size_bytes)
                has_answered = has_answered or drop.has_answered
                # A server that was never reached is a mistake in the address or no network: said at once.
                if failures >= self.patience.attempts or not has_answered:
                    raise DownloadError(f"{self.url}: {drop.reason}; {self._outlook()}") from drop
                time.sleep(self.patience.pause(failures, drop.wait_s))

    def _outlook(self) -> str:
        kept, total = self.partial.size_bytes, self.partial.total_bytes
        if not kept:
            return "check the address and your connection, and try again."
        whole = f" of {readable_size(total)}" if total else ""
        return f"{readable_size(kept)}{whole} are kept: do the same again to go on from there."

    def _attempt(self) -> None:
        """Take one answer's bytes.

        Raises:
            Dropped: When the file is not whole after it.
        """
        partial = self.partial
        # Without anything to hold the server to, old and new bytes might be glued: only a known hash would notice.
        can_go_on = partial.version is not None and (self.knows_hash or partial.version.validator is not None)
        start = partial.size_bytes if can_go_on else 0
        try:
            with ask(self.url, start=start, version=partial.version, timeout_s=self.patience.timeout_s) as answer:
                total = self._place(answer, start)
                for chunk in answer.chunks():
                    partial.append(chunk)
                    if self.progress is not None and total:
                        self.progress(min(1.0, partial.size_bytes / total))
        except RangeLost:
            partial.clear()
            raise
        if total is not None and not partial.is_whole:
            raise Dropped(f"the server sent {partial.size_bytes} of {total} bytes")

    def _place(self, answer: Answer, start: int) -> int | None:
        """Decide where the answer's bytes go: at the end of the part, or at a new beginning.

        Returns:
            Size of the whole file, where the server says it.

        Raises:
            RangeLost: When they are not the rest of what is there.
            OutputError: When the disk has no room for them.
        """
        partial, version = self.partial, answer.version
        if answer.start == 0:  # also from servers that know no ranges, or whose file has changed
            partial.begin(version)
        elif answer.start != start or partial.version is None or not partial.version.may_be(version):
            raise RangeLost("the server sent a piece of another file")
        total = partial.total_bytes
        if total is not None:
            check_room(partial.target, self.room * total - partial.size_bytes)
        return total
