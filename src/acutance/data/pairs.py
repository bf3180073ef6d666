"""Photos that were taken blurred, and their sharp partners: found by their names.

Two folders are given, or twice the same. A photo's partner has its name, without what only says which of the two it is:
`blur` or `sharp` as a folder (`GOPR0372/blur/000047.png` and `GOPR0372/sharp/000047.png`), or at the end of the file's
name (`street_blur1.png` and `street_sharp1.png`). Where that is said, a folder given for the one kind may hold both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from acutance.data.photo_store import PhotoStore, Source, list_photos, open_sources
from acutance.errors import InputError

Kind = Literal["blur", "sharp"]

_MARK = re.compile(r"_(blur|sharp)(?=\d*$)")


@dataclass(frozen=True, slots=True)
class PhotoPair:
    """A blurred photo and its sharp partner."""

    index: int
    """Its place among all pairs, from 0."""
    blurred: Path
    sharp: Path


def match_pairs(blurred: Path, sharp: Path) -> tuple[PhotoPair, ...]:
    """Find the pairs of two folders, in the order of the blurred photos' names; subfolders are searched.

    Args:
        blurred: Folder of blurred photos.
        sharp: Folder of sharp ones, may be the same.

    Raises:
        InputError: When a folder is missing or empty, a photo has no partner, or two would have the same.
    """
    ours, theirs = _by_key(blurred, "blur"), _by_key(sharp, "sharp")
    for folder, photos, others, other_folder in ((blurred, ours, theirs, sharp), (sharp, theirs, ours, blurred)):
        alone = [path for key, path in photos.items() if key not in others]
        if alone or not photos:
            what = f"{alone[0].relative_to(folder)} has no partner" if alone else "no photo is of its kind"
            raise InputError(
                f"{folder}: {what} in {other_folder}; pairs have equal names, or names that differ in blur and sharp, "
                "such as blur/1.png and sharp/1.png, or 1_blur.png and 1_sharp.png."
            )
    return tuple(PhotoPair(index, path, theirs[key]) for index, (key, path) in enumerate(ours.items()))


def open_paired_store(
    blurred: Path, sharp: Path, store: Path, *, progress: Callable[[float], None] | None = None
) -> PhotoStore:
    """Bring a store of pairs up to date with two folders and open it, as `open_store` does.

    Pairs whose photos differ in size are skipped and reported.

    Args:
        blurred: Folder of blurred photos.
        sharp: Folder of their sharp partners.
        store: Folder of the store.
        progress: Called with the share of pairs done, 0 … 1.

    Raises:
        InputError: When a photo has no partner, or no pair is usable.
        OutputError: When the store cannot be written.
    """
    sources = [
        Source(pair.blurred.relative_to(blurred).as_posix(), (pair.sharp, pair.blurred))
        for pair in match_pairs(blurred, sharp)
    ]
    return open_sources(blurred, sources, store, progress, is_paired=True)


def _by_key(folder: Path, kind: Kind) -> dict[str, Path]:
    """Return the photos of a folder that are not said to be of the other kind, by what partners have in common."""
    found: dict[str, Path] = {}
    for path in list_photos(folder):
        marks, key = _read_name(path.relative_to(folder))
        if marks - {kind}:
            continue
        if key in found:
            raise InputError(f"{found[key]} and {path} would be the same half of one pair; keep one of them.")
        found[key] = path
    return found


def _read_name(path: Path) -> tuple[set[str], str]:
    """Return which kinds a relative path says it is, and what is left of it without them and its suffix."""
    marks = {part for part in path.parts[:-1] if part in ("blur", "sharp")} | set(_MARK.findall(path.stem))
    folders = [part for part in path.parts[:-1] if part not in ("blur", "sharp")]
    return marks, "/".join([*folders, _MARK.sub("_", path.stem)])
