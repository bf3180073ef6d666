"""What is to be done: the pictures of a folder, a bucket or a manifest, one after the other, in bundles."""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Final

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from acutance.bulk.store_errors import Unreachable, Vanished
from acutance.bulk.stores import Listed, Store, key_fault
from acutance.errors import InputError, first_line
from acutance.inference.photo_sharpener import STRENGTHS
from acutance.media.formats import PHOTO_SUFFIXES
from acutance.media.patterns import PathFilter

BUNDLE: Final = 16
BUNDLE_BYTES: Final = 16 << 20
"""A bundle holds no more pictures, or bytes, than this; a picture that is larger has one of its own."""
MANIFEST_ROWS: Final = 4096
ADDRESS: Final = "address"
SHARD_SUFFIX: Final = ".tar"
MANIFEST_SUFFIXES: Final = (".parquet", ".txt", ".list")
EVERYTHING: Final = PathFilter.of()
_TEXT: Final = (".txt", ".list")
_ITEM: Final = "item"
_LOOKUPS: Final = 16
"""Questions to the store at once, for pictures of a manifest that says no more than their addresses."""
_LOOKED_UP: Final = 512


@dataclass(frozen=True, slots=True)
class Item:
    """One picture, or a tar file of pictures."""

    key: str
    """Name of its result below the target."""
    path: str
    """Where it lies, as its store knows it."""
    size_bytes: int
    version: str
    strength: float

    @property
    def is_shard(self) -> bool:
        """Whether it is a tar file, whose pictures are worked on one after the other."""
        return self.path.lower().endswith(SHARD_SUFFIX)


def items_of(source: Store, *, strength: float, wanted: PathFilter, target: Store | None = None) -> Iterator[Item]:
    """Yield the pictures and tar files of a folder, bucket or prefix, by their names; hidden ones are left out.

    Args:
        source: What is listed.
        strength: Of all.
        wanted: Patterns for the names below the source.
        target: Where results go: what is there is no input, should it lie within the source.

    Raises:
        InputError: When it cannot be listed.
    """
    inside = source.key_inside(target) if target else None
    for entry in source.listed():
        key = source.key_of(entry.path)
        if inside and key.startswith(inside):
            continue
        if (is_picture_name(key) or _is_shard_name(key)) and wanted.keeps(PurePosixPath(key)):
            yield _item(key, entry, strength)


class Manifest:
    """A file that names pictures.

    A text file names one address per line. A Parquet file has a column `address`, and may have `strength`, `key` (the
    name of the result), `size_bytes` and `version`. Addresses lie below the source, or are complete.
    """

    def __init__(self, file: Store, source: Store, *, strength: float, wanted: PathFilter = EVERYTHING) -> None:
        """Read all rows once, without asking the store for any picture.

        Args:
            file: The manifest itself.
            source: What addresses that are not complete are below.
            strength: Where the manifest says none.
            wanted: Patterns for the names of results.

        Raises:
            InputError: When it cannot be read, a row is wrong, or two pictures would have one result.
        """
        self._file, self._source, self._strength, self._wanted = file, source, strength, wanted
        hashes = array("Q")  # 8 bytes a row: the names of a hundred million pictures are held nowhere
        for row in self._rows():
            hashes.append(_hash_of(row.key))
        self._count = len(hashes)
        values = np.sort(np.frombuffer(hashes, np.uint64))
        self._repeated = frozenset(values[1:][values[1:] == values[:-1]].tolist())
        if self._repeated:
            self._check_repeated()

    def __len__(self) -> int:
        """Return how many rows there are that are wanted."""
        return self._count

    def items(self) -> Iterator[Item]:
        """Yield the pictures, each once; those whose size and version it does not say are looked up, many at once.

        Raises:
            InputError: When the manifest cannot be read, or the store does not answer.
        """
        seen: set[str] = set()
        rows = self._rows()
        with ThreadPoolExecutor(_LOOKUPS) as pool:
            while some := list(islice(rows, _LOOKED_UP)):
                once = list[_Row]()
                for row in some:
                    if _hash_of(row.key) in self._repeated:
                        if row.key in seen:
                            continue
                        seen.add(row.key)
                    once.append(row)
                yield from pool.map(self._item, once)

    def _item(self, row: _Row) -> Item:
        entry = row.known or _looked_up(self._source, row.path)
        return _item(row.key, entry, row.strength)

    def _check_repeated(self) -> None:
        first: dict[str, _Row] = {}
        for row in self._rows():
            if _hash_of(row.key) in self._repeated:
                other = first.setdefault(row.key, row)
                if (other.path, other.strength) != (row.path, row.strength):
                    raise InputError(
                        f"{self._file.address}: rows {other.number} and {row.number} would have one result, "
                        f"{row.key!r}; give them names of their own in the column `key`, or leave one out."
                    )

    def _rows(self) -> Iterator[_Row]:
        for number, row in enumerate(_rows(self._file), 1):
            try:
                made = self._row(number, row)
            except InputError as error:
                raise InputError(f"{self._file.address}, row {number}: {error}") from error
            if made and self._wanted.keeps(PurePosixPath(made.key)):
                yield made

    def _row(self, number: int, row: dict[str, Any]) -> _Row | None:
        address = row.get(ADDRESS) or ""
        if not address.strip():
            return None
        protocol, path = fsspec.core.split_protocol(address)
        if protocol is not None and protocol not in _protocols(self._source):
            raise InputError(f"{address!r} is in another kind of store than the manifest; use one manifest for each.")
        if protocol is None and not path.startswith("/"):
            path = self._source.path_of(path)
        elif protocol is not None:
            path = str(self._source.system._strip_protocol(address))
        if self._source.is_local:
            path = os.path.normpath(path)
        is_below = path.startswith(f"{self._source.root}/")
        key = row.get("key") or (self._source.key_of(path) if is_below else path.lstrip("/"))
        if fault := key_fault(key):
            raise InputError(f"no result can have the name {key!r} ({fault}); give it another in the column `key`.")
        strength = self._strength if row.get("strength") is None else float(row["strength"])
        low, high = STRENGTHS
        if not low <= strength <= high:
            raise InputError(f"strength is {strength}; it must be from {low:g} to {high:g}.")
        size_bytes, version = row.get("size_bytes"), row.get("version")
        known = None if size_bytes is None or version is None else Listed(path, int(size_bytes), str(version))
        return _Row(number, path, key, strength, known)


@dataclass(frozen=True, slots=True)
class _Row:
    """Of a manifest; `known` is what it says of the file."""

    number: int
    path: str
    key: str
    strength: float
    known: Listed | None


def shard_item(store: Store, path: str, *, strength: float) -> Item:
    """Return one tar file.

    Raises:
        InputError: When it is not there.
    """
    return _item(store.key_of(path), store.found(path), strength)


def bundles(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Put items together so that a worker has enough to do at a time, and none waits for one huge picture."""
    held: list[Item] = []
    held_bytes = 0
    for item in items:
        if item.is_shard or item.size_bytes > BUNDLE_BYTES:
            yield [item]
            continue
        if held and (len(held) == BUNDLE or held_bytes + item.size_bytes > BUNDLE_BYTES):
            yield held
            held, held_bytes = [], 0
        held.append(item)
        held_bytes += item.size_bytes
    if held:
        yield held


def table_of(items: Iterable[Item]) -> pa.Table:
    """Return items as a table that Ray can send: JSON, since names of files need not be Unicode."""
    return pa.table({_ITEM: [json.dumps(astuple(item)) for item in items]})


def items_in(table: pa.Table) -> list[Item]:
    """Return what `table_of` made a table of."""
    return [Item(*json.loads(text)) for text in table[_ITEM].to_pylist()]


def is_picture_name(name: str) -> bool:
    """Say whether a name is that of a photo, and not hidden."""
    return not _is_hidden(name) and PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES


def _is_shard_name(name: str) -> bool:
    return not _is_hidden(name) and name.lower().endswith(SHARD_SUFFIX)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _item(key: str, entry: Listed, strength: float) -> Item:
    return Item(key, entry.path, entry.size_bytes, entry.version, float(strength))


def _looked_up(source: Store, path: str) -> Listed:
    """Ask a store for one file; one that is not there, or not for us, is told when its turn comes."""
    try:
        return source.found(path)
    except Vanished:
        return Listed(path, 0, "missing")
    except Unreachable as error:
        if isinstance(error.__cause__, (PermissionError, ValueError)):  # of this file, perhaps of no other
            return Listed(path, 0, "unknown")
        raise


def _hash_of(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _protocols(store: Store) -> tuple[str, ...]:
    found = store.system.protocol
    return (found,) if isinstance(found, str) else tuple(found)


def _rows(manifest: Store) -> Iterator[dict[str, Any]]:
    with manifest.opened(manifest.root) as file:
        if manifest.root.lower().endswith(_TEXT):
            for number, line in enumerate(file):
                text = line.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
                yield {ADDRESS: text if number else text.removeprefix("\ufeff")}
            return
        try:
            parquet = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{manifest.address}: no manifest; name a Parquet file with a column `{ADDRESS}`, or a text file "
                "(.txt) with one address per line."
            ) from error
        schema = parquet.schema_arrow
        if ADDRESS not in schema.names:
            raise InputError(f"{manifest.address}: has the columns {', '.join(schema.names)}; one must be `{ADDRESS}`.")
        for column, (words, is_right) in _COLUMNS.items():
            kind = schema.field(column).type if column in schema.names else pa.null()
            if not (pa.types.is_null(kind) or is_right(kind)):
                raise InputError(f"{manifest.address}: the column `{column}` holds {kind}; it must hold {words}.")
        columns = [name for name in _COLUMNS if name in schema.names]
        try:
            for batch in parquet.iter_batches(MANIFEST_ROWS, columns=columns):
                yield from batch.to_pylist()
        except (ValueError, OSError) as error:
            if getattr(error, "errno", None) is not None:  # of the store; Arrow's own errors have no number
                raise
            raise InputError(f"{manifest.address}: is damaged ({first_line(error)}); write it anew.") from error


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


_COLUMNS: Final[dict[str, tuple[str, Callable[[pa.DataType], bool]]]] = {
    ADDRESS: ("text", _is_text),
    "key": ("text", _is_text),
    "strength": ("numbers", _is_number),
    "size_bytes": ("whole numbers", pa.types.is_integer),
    "version": ("text or whole numbers", lambda kind: _is_text(kind) or pa.types.is_integer(kind)),
}
"""Of a manifest: what each may hold, in words and as Arrow says it; all others are passed over."""
