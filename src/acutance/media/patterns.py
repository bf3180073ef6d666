"""Which photos of a folder are wanted: patterns held against paths below it.

| in a pattern | stands for |
|---|---|
| `*` | any characters within one name |
| `?` | one character |
| `[abc]`, `[!abc]` | one of these characters, one that is not |
| `**/` | any number of folders, none included |

A pattern without a slash is held against the photo's name and against that of every folder above it, up to the folder
that is searched; one with a slash against the whole path below that folder. What takes a folder takes all that is in
it. Upper and lower case, and the ways to compose an accent, make no difference: cameras write `.JPG`, and macOS
decomposes.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath

from acutance.errors import ConfigError

ANY_FOLDERS = "**"


def folded(name: str) -> str:
    """Return a name as one reads that minds neither case nor the composition of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@dataclass(frozen=True, slots=True)
class PathFilter:
    """Patterns that say what is wanted; made by `of`."""

    include: tuple[tuple[str, ...], ...]
    """What is wanted: all, if empty. Each pattern as its parts between slashes."""
    exclude: tuple[tuple[str, ...], ...]
    """What is not, even if it is included."""
    words: str
    """The patterns as they were given, for a sentence."""

    @classmethod
    def of(cls, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> PathFilter:
        """Make a filter of patterns.

        Raises:
            ConfigError: When one is empty.
        """
        given = [f"include {pattern!r}" for pattern in include] + [f"exclude {pattern!r}" for pattern in exclude]
        return cls(tuple(map(_parts, include)), tuple(map(_parts, exclude)), " ".join(given))

    def keeps(self, path: PurePath) -> bool:
        """Say whether a file is wanted.

        Args:
            path: Below the folder that is searched.
        """
        names = tuple(map(folded, path.parts))
        return (not self.include or _is_taken(names, self.include)) and not _is_taken(names, self.exclude)

    def leaves_out(self, folder: PurePath) -> bool:
        """Say whether nothing in a folder can be wanted, so that it need not be searched."""
        return _is_taken(tuple(map(folded, folder.parts)), self.exclude)


def _parts(pattern: str) -> tuple[str, ...]:
    slashed = pattern.replace(os.sep, "/")
    parts = tuple(folded(part) for part in slashed.split("/") if part not in ("", "."))
    if not parts:
        raise ConfigError(f"pattern {pattern!r}: says nothing; give one such as '*.jpg' or 'raw/**'.")
    return parts if "/" in slashed.rstrip("/") else (ANY_FOLDERS, *parts)


def _is_taken(names: tuple[str, ...], patterns: Sequence[tuple[str, ...]]) -> bool:
    """Say whether a pattern matches a path, or a folder on the way to it."""
    return any(_matches(names[:end], pattern) for pattern in patterns for end in range(1, len(names) + 1))


def _matches(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not names
    first, *rest = pattern
    if first == ANY_FOLDERS:
        return any(_matches(names[start:], tuple(rest)) for start in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], first) and _matches(names[1:], tuple(rest))
