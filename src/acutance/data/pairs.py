"""Photos that were taken blurred, and their sharp partners: found by their names.

Two folders are given, or twice the same. A photo's partner has its name, without what only says which of the two it is:
a folder (`GOPR0372/blur/000047.png` and `GOPR0372/sharp/000047.png`; RealBlur's `scene001/blur/blur_1.png` and
`scene001/gt/gt_1.png`; `input` and `target`), or the end of the file's name (`street_blur1.png` and
`street_sharp1.png`). Where that is said, a folder given for the one kind may hold both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from acutance.data.photo_store import PhotoStore, Source, list_photos, open_sources
from acutance.errors import InputError

Kind = Literal["blur", "sharp"]

_FOLDERS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"blur": "blur", "blur_gamma": "blur", "input": "blur", "sharp": "sharp", "gt": "sharp", "target": "sharp"}
)
"""What folders of data sets are called, and of which kind their photos are."""

_SECOND_CHOICE: Final = frozenset({"blur_gamma"})
"""GoPro has every blurred frame twice, averaged with and without its camera's curve: the second is taken where the
first, in `blur`, is not there."""

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
    both = [path for key, path in ours.items() if path.samefile(theirs[key])]
    if both:  # an unmarked photo of a folder that is given for either kind
        raise InputError(
            f"{both[0]}: would be its own partner; where both folders are the same, names must say which photos are "
            "blurred and which are sharp, such as blur/1.png and sharp/1.png, or 1_blur.png and 1_sharp.png."
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
    photos = [(path, _read_name(path.relative_to(folder))) for path in list_photos(folder)]
    found: dict[str, Path] = {}
    for is_second_choice in (False, True):
        first_choices = set(found)
        for path, name in photos:
            if name.is_second_choice != is_second_choice or name.kinds - {kind} or name.key in first_choices:
                continue
            if name.key in found:
                raise InputError(f"{found[name.key]} and {path} would be the same half of one pair; keep one of them.")
            found[name.key] = path
    return dict(sorted(found.items(), key=lambda item: item[1]))


class _Name(NamedTuple):
    """What a relative path says."""

    kinds: set[Kind]
    """Of which kind the photo is; nothing where that is not said."""
    key: str
    """What is left without that and without the suffix."""
    is_second_choice: bool


def _read_name(path: Path) -> _Name:
    marks = [part for part in path.parts[:-1] if part.lower() in _FOLDERS]
    folders = [part for part in path.parts[:-1] if part not in marks]
    stem = path.stem
    for mark in marks:  # RealBlur says it again at the beginning of the file's name
        stem = stem.removeprefix(f"{mark}_")
    kinds: set[Kind] = {_FOLDERS[mark.lower()] for mark in marks}
    kinds |= {_FOLDERS[mark] for mark in _MARK.findall(stem)}
    is_second_choice = not _SECOND_CHOICE.isdisjoint(mark.lower() for mark in marks)
    return _Name(kinds, "/".join([*folders, _MARK.sub("_", stem)]), is_second_choice)
