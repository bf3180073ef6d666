"""A folder of photos, decoded once into one memory-mapped file of bytes.

Decoding a 2K picture costs tens of milliseconds; reading a patch of it from here costs microseconds. The
store is two files: `pixels.u8`, all pictures as RGB bytes (row by row) one behind the other, and
`index.json`, which says where each lies. It is filled in order and can be interrupted: the index is renewed
(atomically) every few pictures, and bytes behind its last entry are overwritten at the next start. Indexed bytes are
never changed in place, since another process may have them mapped: what leaves the store leaves it by a new file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acutance.downloads.disk import make_folder, only_one, replace_text
from acutance.errors import AcutanceError, InputError, OutputError
from acutance.imaging.convert import to_8_bits
from acutance.media.atomic import fingerprint_of
from acutance.media.reading import read_photo

PIXELS_FILE = "pixels.u8"
INDEX_FILE = "index.json"
LOCK_FILE = "lock"
"""There while a process brings the store up to date."""
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
    source_mtime_ns: int = 0
    """When the source file was changed last: where size and this are the same, so is the photo."""
    source_sha256: str = ""
    """Hash of the source file, for where only the time differs; empty where it is not known."""
    folder: int = 0
    """Which of several folders it came from, from 0."""

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
    is_paired: bool = False
    """Whether each photo is two of one size, the sharp one above and below it the blurred one."""

    def photo(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one photo, of a pair the sharp one, as `h w 3`, a view."""
        both = self._whole(index)
        return both[: both.shape[0] // 2] if self.is_paired else both

    def blurred(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the blurred photo of a pair, as `h w 3`, a view."""
        assert self.is_paired
        both = self._whole(index)
        return both[both.shape[0] // 2 :]

    def _whole(self, index: int) -> npt.NDArray[np.uint8]:
        entry = self.photos[index]
        return self.pixels[entry.offset : entry.end].reshape(entry.height, entry.width, 3)


@dataclass(frozen=True, slots=True)
class Source:
    """What becomes one photo of a store: a file, or two that are stored one below the other."""

    name: str
    """Path below the folder."""
    paths: tuple[Path, ...]
    folder: int = 0
    """Which of several folders it lies in, from 0."""

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def mtime_ns(self) -> int:
        """When they were changed last; a sum, so that it changes with each of them."""
        return sum(path.stat().st_mtime_ns for path in self.paths)

    @property
    def sha256(self) -> str:
        """Hash of their content, one after the other."""
        return "".join(fingerprint_of(path).sha256 for path in self.paths)


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

    Photos already stored (same name, size in bytes and time of change; or, where that time differs, same content) are
    not decoded again. Where one is gone or has changed, the others are copied into a new file that takes the old one's
    place; whoever has the old one open keeps it. New photos are added at the end. Damaged files are skipped and
    reported, and tried again at the next start, since they may have been mended. Photos smaller than the patches to
    come are kept: what fits is the sampler's to say.

    Args:
        folder: Searched recursively.
        store: Folder of the store, made if missing; one process at a time brings it up to date.
        progress: Called with the share of files done, 0 … 1.

    Raises:
        InputError: When the folder holds no usable picture.
        OutputError: When the store cannot be written.
    """
    sources = [Source(path.relative_to(folder).as_posix(), (path,)) for path in list_photos(folder)]
    return open_sources(folder, sources, store, progress, is_paired=False)


def open_mixed_store(
    folders: Sequence[Path], store: Path, *, progress: Callable[[float], None] | None = None
) -> PhotoStore:
    """Bring one store up to date with several folders and open it, as `open_store` does.

    Args:
        folders: At least one; each photo knows which it is of, so that they can be weighed.
        store: Folder of the store.
        progress: Called with the share of files done, 0 … 1.

    Raises:
        InputError: When a folder is missing or empty, or none of the photos is usable.
        OutputError: When the store cannot be written.
    """
    sources = [
        Source(f"{f'{number}:' if number else ''}{path.relative_to(folder).as_posix()}", (path,), number)
        for number, folder in enumerate(folders)
        for path in list_photos(folder)
    ]
    return open_sources(folders[0], sources, store, progress, is_paired=False)


def open_sources(
    folder: Path, sources: list[Source], store: Path, progress: Callable[[float], None] | None, *, is_paired: bool
) -> PhotoStore:
    """Bring a store up to date with sources of any kind and open it; see `open_store`.

    Args:
        folder: Where they lie, for messages.
        sources: At least one.
        store: Folder of the store.
        progress: Called with the share of sources done, 0 … 1.
        is_paired: Whether each is a pair.
    """
    make_folder(store)
    with only_one(store / LOCK_FILE):
        try:
            entries, skipped = _filled(sources, store, progress)
        except OSError as error:
            raise OutputError(
                f"{store}: the store cannot be written ({error.strerror or error}); make room or choose another place."
            ) from error
        if not entries:
            what = "pairs" if is_paired else "pictures"
            raise InputError(
                f"{folder}: none of its {len(sources)} {what} could be read ({skipped[0].reason.rstrip('.')})."
            )
        # "c": copy on write. Nothing here writes, but torch wants memory that it could write to. Only what is indexed:
        # bytes behind it are another process's, which may take them back.
        pixels = np.memmap(store / PIXELS_FILE, dtype=np.uint8, mode="c", shape=(entries[-1].end,))
    return PhotoStore(tuple(entries), pixels, tuple(skipped), is_paired)


def _filled(
    sources: list[Source], store: Path, progress: Callable[[float], None] | None
) -> tuple[list[StoredPhoto], list[SkippedPhoto]]:
    """Decode what the store lacks; return what it holds then, and what could not be decoded."""
    pixels_path = store / PIXELS_FILE
    if not pixels_path.exists():
        pixels_path.touch()
    indexed = _read_index(store / INDEX_FILE)
    entries = _still_valid(indexed, sources, pixels_path.stat().st_size)
    if len(entries) < len(indexed) or not indexed:  # without an index, another process may have mapped all there is
        entries = _copied(entries, store)
    skipped: list[SkippedPhoto] = []
    known = {entry.name for entry in entries}
    end = entries[-1].end if entries else 0
    with open(pixels_path, "r+b") as sink:
        if pixels_path.stat().st_size != end:  # behind the index: a picture that was being written when it was stopped
            sink.truncate(end)
        sink.seek(end)
        for done, source in enumerate(sources):
            if source.name in known:
                continue
            size_bytes, mtime_ns = source.size_bytes, source.mtime_ns
            picture = _decoded(source)
            if isinstance(picture, str):
                skipped.append(SkippedPhoto(source.name, picture))
            else:
                sink.write(picture.tobytes())
                height, width, _ = picture.shape
                entries.append(
                    StoredPhoto(source.name, size_bytes, height, width, end, mtime_ns, source.sha256, source.folder)
                )
                end = entries[-1].end
            if progress is not None:
                progress((done + 1) / len(sources))
            if done % SAVE_EVERY == SAVE_EVERY - 1:
                sink.flush()
                _write_index(store / INDEX_FILE, entries, skipped)
    if entries != indexed:  # several runs may share a store: who has nothing to add writes nothing
        _write_index(store / INDEX_FILE, entries, skipped)
    return entries, skipped


def _copied(entries: list[StoredPhoto], store: Path) -> list[StoredPhoto]:
    """Copy some of the store's photos into a new file without gaps, in the old one's place; return where they lie.

    The old file is not touched: a training that has it mapped reads on from it, where cutting it would kill that.
    """
    pixels_path, temporary = store / PIXELS_FILE, store / f"{PIXELS_FILE}.new"
    moved: list[StoredPhoto] = []
    end = 0
    with open(pixels_path, "rb") as source, open(temporary, "wb") as sink:
        for entry in entries:
            source.seek(entry.offset)
            sink.write(source.read(entry.end - entry.offset))
            moved.append(replace(entry, offset=end))
            end = moved[-1].end
        sink.flush()
        os.fsync(sink.fileno())
    # Between the two renames there is no index, rather than one of the other file's photos.
    index_path = store / INDEX_FILE
    index = index_path.read_bytes() if index_path.exists() else b""
    index_path.unlink(missing_ok=True)
    try:
        os.replace(temporary, pixels_path)
    except PermissionError as error:  # Windows: another run has the old file mapped
        temporary.unlink(missing_ok=True)
        index_path.write_bytes(index)
        raise OutputError(
            f"{store}: another run is using it, and photos have changed since; give this run a store of its own "
            "(--store), or wait for the other."
        ) from error
    _write_index(index_path, moved, [])
    return moved


def _decoded(source: Source) -> npt.NDArray[np.uint8] | str:
    """Decode to RGB `h w 3`, of 16 bits the upper 8, a pair one below the other; or say why that cannot be done."""
    pictures = []
    for path in source.paths:
        try:
            pixels = read_photo(path, max_bits=16).pixels
        except AcutanceError as error:
            return str(error)
        if pixels.dtype == np.uint16:
            pixels = to_8_bits(pixels)
        pictures.append(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
    if len({picture.shape for picture in pictures}) > 1:
        sizes = " and ".join(f"{picture.shape[1]}×{picture.shape[0]}" for picture in pictures)
        return f"the photos of a pair must be of one size, these have {sizes} px"
    return np.concatenate(pictures)


def _read_index(path: Path) -> list[StoredPhoto]:
    """Read the index; a missing or damaged one counts as empty, so the store is rebuilt."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return [StoredPhoto(**entry) for entry in values["photos"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _still_valid(index: list[StoredPhoto], sources: list[Source], stored_bytes: int) -> list[StoredPhoto]:
    """Keep the photos that are there, have not changed, and whose pixels are not missing."""
    by_name = {source.name: source for source in sources}
    kept: list[StoredPhoto] = []
    for entry in index:
        source = by_name.get(entry.name)
        if source is None or entry.end > stored_bytes or source.size_bytes != entry.source_bytes:
            continue
        mtime_ns = source.mtime_ns
        if mtime_ns != entry.source_mtime_ns and source.sha256 != entry.source_sha256:
            continue
        kept.append(replace(entry, source_mtime_ns=mtime_ns))  # of one that was only copied: asked once
    return kept


def _write_index(path: Path, entries: list[StoredPhoto], skipped: list[SkippedPhoto]) -> None:
    values = {"photos": [asdict(entry) for entry in entries], "skipped": [asdict(skip) for skip in skipped]}
    replace_text(path, json.dumps(values))
