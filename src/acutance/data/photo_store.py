"""A folder of photos, decoded once into one memory-mapped file of bytes.

Decoding a 2K picture costs tens of milliseconds; reading a patch of it from here costs microseconds. The
store is two files: `pixels.u8`, all pictures as RGB bytes (row by row) one behind the other, and
`index.json`, which says where each lies. It is filled in order and can be interrupted: the index is renewed
(atomically) every few pictures, and bytes behind its last entry are overwritten at the next start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.errors import InputError, OutputError

PIXELS_FILE = "pixels.u8"
INDEX_FILE = "index.json"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".ppm"})
"""Names that are looked at; what is inside decides."""
SAVE_EVERY = 50
"""Pictures between two renewals of the index."""


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """Where one photo lies in the store."""

    name: str
    """Path below the folder it came from."""
    source_bytes: int
    """Size of the source file, to notice that it changed."""
    height: int
    width: int
    offset: int
    """First byte in `pixels.u8`."""

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.height * self.width * 3


@dataclass(frozen=True, slots=True)
class SkippedPhoto:
    """A file that could not be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class PhotoStore:
    """All pixels of a set of photos as one flat array."""

    photos: tuple[StoredPhoto, ...]
    pixels: npt.NDArray[np.uint8]
    """Flat bytes, RGB interleaved; a memory map that never changes the file."""
    skipped: tuple[SkippedPhoto, ...] = ()

    def photo(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one photo as `h w 3`, a view."""
        entry = self.photos[index]
        return self.pixels[entry.offset : entry.end].reshape(entry.height, entry.width, 3)


def list_photos(folder: Path) -> list[Path]:
    """Return the picture files below a folder, sorted by name.

    Raises:
        InputError: When the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of photos.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder}: holds no pictures ({', '.join(sorted(SUFFIXES))}).")
    return found


def open_store(folder: Path, store: Path, *, progress: Callable[[float], None] | None = None) -> PhotoStore:
    """Bring the store up to date with a folder and open it.

    Photos already stored (same name, same size in bytes) are not decoded again; from the first that is gone
    or has changed the rest is rebuilt, and new ones are added at the end. Damaged files are skipped and
    reported, and tried again at the next start, since they may have been mended. Photos smaller than the
    patches to come are kept: what fits is the sampler's to say.

    Args:
        folder: Searched recursively.
        store: Folder of the store, made if missing.
        progress: Called with the share of files done, 0 … 1.

    Raises:
        InputError: When the folder holds no usable picture.
        OutputError: When the store cannot be written.
    """
    files = list_photos(folder)
    try:
        entries, skipped = _filled(folder, files, store, progress)
    except OSError as error:
        raise OutputError(
            f"{store}: the store cannot be written ({error.strerror or error}); make room or choose another place."
        ) from error
    if not entries:
        raise InputError(f"{folder}: none of its {len(files)} pictures could be read ({skipped[0].reason}).")
    # "c": copy on write. Nothing here writes, but torch wants memory that it could write to.
    pixels = np.memmap(store / PIXELS_FILE, dtype=np.uint8, mode="c")
    return PhotoStore(tuple(entries), pixels, tuple(skipped))


def _filled(
    folder: Path, files: list[Path], store: Path, progress: Callable[[float], None] | None
) -> tuple[list[StoredPhoto], list[SkippedPhoto]]:
    """Decode what the store lacks; return what it holds then, and what could not be decoded."""
    store.mkdir(parents=True, exist_ok=True)
    pixels_path = store / PIXELS_FILE
    pixels_path.touch()
    indexed = _read_index(store / INDEX_FILE)
    entries = _still_valid(indexed, files, folder, pixels_path.stat().st_size)
    skipped: list[SkippedPhoto] = []
    known = {entry.name for entry in entries}
    end = entries[-1].end if entries else 0
    with open(pixels_path, "r+b") as sink:
        if pixels_path.stat().st_size != end:
            sink.truncate(end)
        sink.seek(end)
        for done, path in enumerate(files):
            name = path.relative_to(folder).as_posix()
            if name in known:
                continue
            picture = _decoded(path)
            if isinstance(picture, str):
                skipped.append(SkippedPhoto(name, picture))
            else:
                sink.write(picture.tobytes())
                height, width, _ = picture.shape
                entries.append(StoredPhoto(name, path.stat().st_size, height, width, end))
                end = entries[-1].end
            if progress is not None:
                progress((done + 1) / len(files))
            if done % SAVE_EVERY == SAVE_EVERY - 1:
                sink.flush()
                _write_index(store / INDEX_FILE, entries, skipped)
    if entries != indexed:  # several runs may share a store: who has nothing to add writes nothing
        _write_index(store / INDEX_FILE, entries, skipped)
    return entries, skipped


def _decoded(path: Path) -> npt.NDArray[np.uint8] | str:
    """Decode to RGB `h w 3`, or say why that cannot be done."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return str(error)


def _read_index(path: Path) -> list[StoredPhoto]:
    """Read the index; a missing or damaged one counts as empty, so the store is rebuilt."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return [StoredPhoto(**entry) for entry in values["photos"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _still_valid(index: list[StoredPhoto], files: list[Path], folder: Path, stored_bytes: int) -> list[StoredPhoto]:
    """Keep the photos up to the first that is gone, has changed, or whose pixels are missing."""
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    kept: list[StoredPhoto] = []
    for entry in index:
        if sizes.get(entry.name) != entry.source_bytes or entry.end > stored_bytes:
            break
        kept.append(entry)
    return kept


def _write_index(path: Path, entries: list[StoredPhoto], skipped: list[SkippedPhoto]) -> None:
    """Replace the index in one step."""
    values = {"photos": [asdict(entry) for entry in entries], "skipped": [asdict(skip) for skip in skipped]}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(values), encoding="utf-8")
    os.replace(temporary, path)
