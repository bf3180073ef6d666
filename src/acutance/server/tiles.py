"""Finished tiles of a job that somebody looks at, as small files: its worker writes them, the server sends them.

A folder is all that both share. That it is there tells the worker that somebody looks; a file in it, at which part;
and each tile has its place in its name. Tiles are JPEGs for the eye: the result itself is made from none of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.geometry import Box, Size
from acutance.imaging.convert import PixelType, to_float, to_uint8
from acutance.media.photo import turned
from acutance.server.jobs import new_job_id
from acutance.server.refusals import Refused, storage_refusal

QUALITY = 92
"""Of the JPEGs; their colours are not reduced."""

MOST_BYTES = 2**24
"""Of one tile's file; a larger one is none of ours."""

MOST_TILES = 4096
"""That are told of; a picture has a few dozen, but what a worker writes is not believed."""

TILE_NAME = r"[0-9]{1,7}(_[0-9]{1,7}){5}\.jpg"
"""Left, top, width, height, and width and height of the result."""

_TILE = re.compile(TILE_NAME)
_VIEW_FILE = "view"
_VIEW = re.compile(r"[0-9]{1,9}(,[0-9]{1,9}){3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A finished part of a result."""

    name: str
    """Of its file."""
    box: Box
    """Where it lies, in px of the result as it is looked at."""
    size: Size
    """Of the result as it is looked at."""


def look(folder: Path, view: Box | None) -> None:
    """Say that somebody looks at a job's picture.

    Args:
        folder: Of the job's tiles.
        view: The part that is seen, in px of the picture as it is looked at; None is all of it.

    Raises:
        Refused: When the disk does not take it.
    """
    text = "" if view is None else ",".join(map(str, view))
    part = folder / f".{new_job_id()}"  # two may look at once
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        part.write_text(text, encoding="ascii")
        part.replace(folder / _VIEW_FILE)
    except (FileNotFoundError, FileExistsError):  # the job was over a moment ago, and the folder removed, maybe in mkdir
        return
    except OSError as error:
        raise storage_refusal(error) from error


def tiles_in(folder: Path) -> list[Tile]:
    """Return the tiles that are finished, `MOST_TILES` at most; none where nobody looks."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MOST_TILES)]
    except OSError:
        return []
    return [_tile(name) for name in sorted(names) if _TILE.fullmatch(name)]


def read_tile(folder: Path, name: str) -> bytes:
    """Return a tile's file.

    Raises:
        Refused: When there is none of that name.
    """
    gone = Refused(404, "not_found", "there is no such tile; the job may be done.")
    if not _TILE.fullmatch(name):
        raise gone
    try:
        # A worker is not trusted: what it wrote may be no file.
        descriptor = os.open(folder / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        raise gone from None


def remove_tiles(folder: Path) -> None:
    """Remove what is left of a job's tiles: nobody looks any more."""
    shutil.rmtree(folder, ignore_errors=True)


class TileWriter:
    """The worker's side: what is looked at comes first, and what is finished is written."""

    def __init__(self, folder: Path, size: Size, *, orientation: int, icc_profile: bytes | None) -> None:
        """Begin with a picture.

        Args:
            folder: Of its job's tiles.
            size: Of the picture as it is stored.
            orientation: How that must be turned to be upright, 1 to 8.
            icc_profile: Of its colours.
        """
        self._folder = folder
        self._size = size
        self._orientation = orientation
        self._profile = icc_profile if icc_profile is not None and icc_profile[16:20] == b"RGB " else None

    @property
    def is_looking(self) -> bool:
        """Whether somebody looks."""
        return self._folder.is_dir()

    def next_of(self, boxes: Sequence[Box]) -> int:
        """Return which box comes next: of those that are seen, the one nearest to the middle of what is seen."""
        view = self._view()
        if view is None:
            return 0

        def place(index: int) -> tuple[bool, int]:
            box = upright(boxes[index], self._size, self._orientation)
            away = [box.top + box.bottom - view.top - view.bottom, box.left + box.right - view.left - view.right]
            return min(box.within(view).size) <= 0, away[0] ** 2 + away[1] ** 2

        return min(range(len(boxes)), key=place)

    def restored(self, box: Box, pixels: npt.NDArray[PixelType], size: Size) -> None:
        """Write a tile; where that does not succeed, there is none, and the work goes on."""
        place = upright(box, size, self._orientation)
        whole = Size(size.width, size.height) if self._orientation >= 5 else size
        numbers = (place.left, place.top, place.size.width, place.size.height, whole.width, whole.height)
        name = "_".join(map(str, numbers)) + ".jpg"
        levels = pixels if pixels.dtype == np.uint8 else to_uint8(to_float(pixels))
        seen = np.ascontiguousarray(turned(levels, self._orientation))
        part = self._folder / f".{name}"
        with contextlib.suppress(OSError):
            Image.fromarray(seen).save(part, "JPEG", quality=QUALITY, subsampling=0, icc_profile=self._profile)
            part.replace(self._folder / name)

    def _view(self) -> Box | None:
        try:
            text = (self._folder / _VIEW_FILE).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return Box(*map(int, text.split(","))) if _VIEW.fullmatch(text) else None


def upright(box: Box, size: Size, orientation: int) -> Box:
    """Return where a box of a picture lies once that is turned as an EXIF orientation says; see `turned`."""
    top, left, bottom, right = box
    height, width = size
    if orientation >= 5:
        top, left, bottom, right, height, width = left, top, right, bottom, width, height
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    return Box(top, left, bottom, right)


def _tile(name: str) -> Tile:
    left, top, width, height, *size = map(int, name.removesuffix(".jpg").split("_"))
    return Tile(name=name, box=Box(top, left, top + height, left + width), size=Size(size[1], size[0]))
