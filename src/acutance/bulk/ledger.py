"""The ledger of a target: what was made of which input, by which settings; small Parquet files that anybody can read.

Each bundle that is done becomes a part of its own, written before anybody hears that it is done; parts are never
changed. Now and then those that there are become one. So there is nothing to lock, and a killed process loses the rows
of at most one bundle, whose pictures are then made again.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from acutance.bulk.items import Item
from acutance.bulk.store_errors import Vanished
from acutance.bulk.stores import FOLDER, Listed, Store
from acutance.errors import OutputError, first_line

LEDGER: Final = f"{FOLDER}/ledger"
COMPACT_FROM: Final = 256
"""Parts from which on they become one."""
COMPACT_BYTES: Final = 32 << 20
"""A part that is larger stays: so the work of compacting does not grow with the square of the run's length."""
_ROWS: Final = 8192
"""Read at once, and of a row group that is written: some 2 MB."""

Status = Literal["done", "refused", "failed"]
"""Refused: the input cannot be sharpened, and never will be. Failed: it was not its fault, or nobody knows."""

SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("path", pa.string()),
        ("version", pa.string()),
        ("settings", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("target", pa.string()),
        ("megapixels", pa.float64()),
        ("seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        ("pictures", pa.int64()),
        ("time", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened to one input."""

    key: str
    """Its name below the source, or in the manifest."""
    path: str
    version: str
    """The store's etag, or size and time, when it was listed."""
    settings: str
    """What else the result depends on, as a short hash."""
    status: Status
    reason: str = ""
    """Why it was not made: one sentence. Of a result that is there: what could not be kept."""
    target: str = ""
    """Name of the result below the target."""
    megapixels: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    pictures: int = 1
    """In a tar file: those that it holds."""
    time: str = ""
    """When, in UTC."""


class Done:
    """Which inputs need no more work; 16 bytes for each."""

    def __init__(self, digests: Iterable[npt.NDArray[np.uint64]] = ()) -> None:
        """Take digests, `n 2` each; one that is there twice counts once."""
        together = np.concatenate([np.zeros((0, 2), np.uint64), *digests])
        together = together[np.argsort(together[:, 0], kind="stable")]
        is_new = np.ones(len(together), bool)
        is_new[1:] = (together[1:] != together[:-1]).any(axis=1)
        together = together[is_new]
        self._first, self._second = together[:, 0].copy(), together[:, 1].copy()

    def __len__(self) -> int:
        """Return how many."""
        return len(self._first)

    def has(self, item: Item, settings: str) -> bool:
        """Say whether an input, in the state that was listed, needs no more work."""
        first, second = struct.unpack(">2Q", _digest(item.key, item.version, settings, item.strength))
        at = int(np.searchsorted(self._first, np.uint64(first)))  # a plain int would have the array copied as floats
        while at < len(self._first) and self._first[at] == first:
            if self._second[at] == second:
                return True
            at += 1
        return False


class Ledger:
    """The rows of a target."""

    def __init__(self, store: Store) -> None:
        """Take the target; nothing is read yet."""
        self._store = store

    def parts(self) -> list[str]:
        """Return the paths of all parts, oldest first."""
        return [entry.path for entry in self._listed()]

    def _listed(self) -> list[Listed]:
        try:
            found = [entry for entry in self._store.listed(LEDGER) if entry.path.endswith(".parquet")]
        except Vanished:
            return []
        return sorted(found, key=lambda entry: entry.path)

    def append(self, entries: Sequence[Entry], strengths: Sequence[float]) -> None:
        """Write a part; it is in the store when this returns.

        Args:
            entries: Its rows.
            strengths: Of each: a part of what the result depends on.

        Raises:
            OutputError: When it cannot be written.
        """
        digests = [_digest(e.key, e.version, e.settings, s) for e, s in zip(entries, strengths, strict=True)]
        table = pa.Table.from_pylist([_row(entry) for entry in entries], schema=SCHEMA)
        table = table.append_column("digest", pa.array(digests, pa.binary(16)))
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.parquet"
            pq.write_table(table, part, compression="zstd")
            self._store.put(part, f"{LEDGER}/{_name()}")

    def done(self, settings: str) -> Done:
        """Read which inputs need no more work under these settings: those done, and those that were refused."""
        return Done(
            _digests(batch.filter(pc.field("settings") == settings))
            for batch in self.rows(["settings", "status", "digest"])
        )

    def rows(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield all rows, piece by piece; some twice where another run compacts the ledger meanwhile."""
        read: set[str] = set()
        is_moving = True
        while is_moving:
            is_moving = False
            for part in self.parts():
                if part in read:
                    continue
                read.add(part)
                try:
                    yield from self._tables(part, columns)
                except Vanished:
                    is_moving = True  # its rows are in a part that was written since these were listed

    def small_parts(self) -> list[str]:
        """Return the paths of the parts that compacting would make one."""
        return [entry.path for entry in self._listed() if entry.size_bytes < COMPACT_BYTES]

    def compact(self, *, at_least: int = COMPACT_FROM) -> None:
        """Make one part of all small ones, if there are many; safe beside workers that add some, and broken off.

        Raises:
            OutputError: When it cannot be written.
        """
        parts = self.small_parts()
        if len(parts) < at_least:
            return
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "whole.parquet"
            writer: pq.ParquetWriter | None = None
            for table in _joined(self._rows_of(parts)):
                writer = writer or pq.ParquetWriter(whole, table.schema, compression="zstd")
                writer.write_table(table)
            if writer is None:
                return
            writer.close()
            self._store.put(whole, f"{LEDGER}/{_name()}")
        self._store.remove(parts)  # rows that are there twice say the same

    def _rows_of(self, parts: Iterable[str]) -> Iterator[pa.Table]:
        for part in parts:
            with suppress(Vanished):  # another run compacts, too: its rows are in what that writes
                yield from self._tables(part)

    def _tables(self, part: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
        try:
            file = pq.ParquetFile(io.BytesIO(self._store.read(part)))
            for batch in file.iter_batches(_ROWS, columns=columns):
                yield pa.Table.from_batches([batch])
        except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError) as error:
            raise OutputError(
                f"{part}: no part of a ledger ({first_line(error)}); move it away, and what it told is done again."
            ) from error


def _joined(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join small tables: each that is written is a row group, of which every reader holds some 10 kB."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= _ROWS:
            yield pa.concat_tables(held).combine_chunks()
            held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _row(entry: Entry) -> dict[str, object]:
    """Return an entry as what Parquet can hold; of names that are no Unicode only the digest is exact."""
    values = asdict(entry)
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in values.items()
    }


def _name() -> str:
    """Return a name that nobody else has, and that sorts by time."""
    return f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.parquet"


def _digest(key: str, version: str, settings: str, strength: float) -> bytes:
    text = f"{key}\0{version}\0{settings}\0{strength!r}".encode("utf-8", errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def _digests(table: pa.Table) -> npt.NDArray[np.uint64]:
    kept = table.filter(pc.field("status") != "failed")["digest"].to_pylist()
    return np.frombuffer(b"".join(kept), ">u8").astype(np.uint64).reshape(-1, 2)
