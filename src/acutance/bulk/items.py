"""What is to be done: the pictures of a folder, a bucket or a manifest, one after the other, in bundles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from acutance.bulk.stores import Listed, Store
from acutance.errors import InputError
from acutance.media.formats import PHOTO_SUFFIXES
from acutance.media.patterns import PathFilter

FOLDER: Final = ".acutance"
"""Within the target: the ledger, nothing else."""
BUNDLE: Final = 16
BUNDLE_BYTES: Final = 16 << 20
"""A bundle holds no more pictures, or bytes, than this; a picture that is larger has one of its own."""
MANIFEST_ROWS: Final = 4096
ADDRESS: Final = "address"
SHARD_SUFFIX: Final = ".tar"
_TEXT: Final = (".txt", ".list")


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
        return _is_shard_name(self.key)


SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("path", pa.string()),
        ("size_bytes", pa.int64()),
        ("version", pa.string()),
        ("strength", pa.float64()),
    ]
)


def items_of(source: Store, *, strength: float, wanted: PathFilter) -> Iterator[Item]:
    """Yield the pictures and tar files of a folder, bucket or prefix, by their names; hidden ones are left out.

    Args:
        source: What is listed.
        strength: Of all.
        wanted: Patterns for the names below the source.

    Raises:
        InputError: When it cannot be listed.
    """
    for entry in source.listed():
        key = source.key_of(entry.path)
        if (is_picture_name(key) or _is_shard_name(key)) and wanted.keeps(PurePosixPath(key)):
            yield _item(key, entry, strength)


def items_of_manifest(manifest: Store, source: Store, *, strength: float) -> Iterator[Item]:
    """Yield the pictures that a manifest names.

    A text file names one address per line. A Parquet file has a column `address`, and may have `strength`, `key` (the
    name of the result), `size_bytes` and `version`. Addresses lie below the source, or are complete.

    Args:
        manifest: Of the file itself.
        source: What addresses that are not complete are below.
        strength: Where the manifest says none.

    Raises:
        InputError: When it cannot be read.
    """
    for row in _rows(manifest):
        address = str(row.get(ADDRESS) or "").strip()
        if not address:
            continue
        protocol, path = fsspec.core.split_protocol(address)
        is_complete = protocol is not None or path.startswith("/")
        where = source.system._strip_protocol(address) if is_complete else source.path_of(address)
        inside = source.key_of(where) if where.startswith(source.root + "/") else where.lstrip("/")
        size, version = row.get("size_bytes"), row.get("version")
        entry = Listed(where, int(size or 0), str(version)) if size and version else _looked_up(source, where)
        yield _item(str(row.get("key") or inside), entry, strength if row.get("strength") is None else row["strength"])


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
    """Return items as a table."""
    rows = [{name: getattr(item, name) for name in SCHEMA.names} for item in items]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def items_in(table: pa.Table) -> list[Item]:
    """Return what `table_of` made a table of."""
    return [Item(**row) for row in table.to_pylist()]


def is_picture_name(name: str) -> bool:
    """Say whether a name is that of a photo, and not hidden."""
    is_hidden = any(part.startswith(".") for part in name.split("/"))
    return not is_hidden and PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES


def _is_shard_name(name: str) -> bool:
    is_hidden = any(part.startswith(".") for part in name.split("/"))
    return not is_hidden and name.lower().endswith(SHARD_SUFFIX)


def _item(key: str, entry: Listed, strength: float) -> Item:
    return Item(key, entry.path, entry.size_bytes, entry.version, float(strength))


def _looked_up(source: Store, path: str) -> Listed:
    """Ask a store for one file; one that is not there is told when its turn comes."""
    try:
        info = source.system.info(path)
    except FileNotFoundError:
        return Listed(path, 0, "missing")
    return Listed(path, int(info.get("size") or 0), str(info.get("ETag") or source.system.ukey(path)))


def _rows(manifest: Store) -> Iterator[dict[str, Any]]:
    name = manifest.root
    with manifest.opened(name) as file:
        if name.lower().endswith(_TEXT):
            for line in file:
                yield {ADDRESS: line.decode("utf-8", errors="surrogateescape")}
            return
        try:
            parquet = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{manifest.address}: no manifest; name a Parquet file with a column `{ADDRESS}`, or a text file "
                "(.txt) with one address per line."
            ) from error
        if ADDRESS not in parquet.schema_arrow.names:
            raise InputError(
                f"{manifest.address}: has the columns {', '.join(parquet.schema_arrow.names)}; one must be `{ADDRESS}`."
            )
        for batch in parquet.iter_batches(MANIFEST_ROWS):
            yield from batch.to_pylist()
