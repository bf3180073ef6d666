"""TIFF directories (IFDs): the stuff that both EXIF blocks and TIFF files are made of.

Pillow can read and write them too, but decodes every value on the way and fails on the odd ones that cameras
write. Here values stay bytes: what is not understood is carried over as it is.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping, Set
from typing import BinaryIO, Literal, NamedTuple

ByteOrder = Literal["<", ">"]

_UNIT_BYTES: Mapping[int, int] = {
    **dict.fromkeys((1, 2, 6, 7), 1),  # BYTE, ASCII, SBYTE, UNDEFINED
    **dict.fromkeys((3, 8), 2),  # SHORT, SSHORT
    **dict.fromkeys((4, 9, 11, 13), 4),  # LONG, SLONG, FLOAT, IFD
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),  # RATIONAL, SRATIONAL, DOUBLE, and BigTIFF's three
}
_INTEGER_CODES: Mapping[int, str] = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_RATIONAL_TYPES = (5, 10)

EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 34665, 34853, 40965


class DirectoryError(ValueError):
    """A directory that points outside its file or ends in the middle."""


class Header(NamedTuple):
    """The first bytes of a TIFF file or an EXIF block."""

    order: ByteOrder
    is_big: bool
    first_offset: int


class Entry(NamedTuple):
    """One tag of a directory: how many values of a type, and these as bytes in the byte order of the file."""

    tag: int
    type: int
    values: int
    data: bytes

    def integers(self, order: ByteOrder) -> tuple[int, ...]:
        """Return the value as whole numbers; empty if it is not of a whole-number type."""
        code = _INTEGER_CODES.get(self.type)
        if code is None:
            return ()
        return struct.unpack(f"{order}{self.values if self.data else 0}{code}", self.data)

    def reordered(self, order: ByteOrder, wanted: ByteOrder) -> Entry:
        """Return the entry with its value in another byte order."""
        width = 4 if self.type in _RATIONAL_TYPES else _UNIT_BYTES[self.type]
        if order == wanted or width == 1:
            return self
        units = (self.data[start : start + width][::-1] for start in range(0, len(self.data), width))
        return self._replace(data=b"".join(units))


class Outside(NamedTuple):
    """A tag whose value lies outside of its file, or is too large for it."""

    tag: int
    start: int
    size: int


class Tree(NamedTuple):
    """A directory and what follows it, with the directories it points to where these are wanted."""

    entries: tuple[Entry, ...]
    children: Mapping[int, Tree] = {}
    """By the tag of the pointer, which is then not among the entries."""
    outside: tuple[Outside, ...] = ()
    """Tags that are not among the entries, for want of their values; those of the children, too."""
    next_offset: int = 0
    order: ByteOrder = "<"
    """Of the values."""

    def find(self, tag: int) -> Entry | None:
        """Return the first entry of a tag, or None."""
        return next((entry for entry in self.entries if entry.tag == tag), None)

    def data(self, tag: int) -> bytes | None:
        """Return the value of a tag, as it stands there; None without one."""
        entry = self.find(tag)
        return (entry and entry.data) or None

    def integer(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag, or a default."""
        return next(iter(self.integers(tag)), default)

    def integers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag; empty without them."""
        entry = self.find(tag)
        return entry.integers(self.order) if entry else ()


def read_header(file: BinaryIO) -> Header:
    """Read the header at the beginning of a file.

    Raises:
        DirectoryError: When there is none.
    """
    file.seek(0)
    head = file.read(16)
    orders: Mapping[bytes, ByteOrder] = {b"II": "<", b"MM": ">"}
    order = orders.get(head[:2])
    if order is None or len(head) < 8:
        raise DirectoryError("no TIFF header")
    (version,) = struct.unpack(order + "H", head[2:4])
    if version == 42:
        return Header(order, False, *struct.unpack(order + "I", head[4:8]))
    if version == 43 and len(head) == 16:
        return Header(order, True, *struct.unpack(order + "Q", head[8:16]))
    raise DirectoryError(f"TIFF version {version}")


def read_directory(file: BinaryIO, offset: int, header: Header, *, without: frozenset[int] = frozenset()) -> Tree:
    """Read one directory.

    Args:
        file: The whole TIFF file or EXIF block.
        offset: Where the directory begins.
        header: Of the file.
        without: Tags whose values are not wanted, such as long lists of strips; they come with empty data.

    Raises:
        DirectoryError: When the directory itself lies outside the file.
    """
    end = file.seek(0, io.SEEK_END)
    order = header.order
    count_code, record_code, pointer_code = ("Q", "HHQ8s", "Q") if header.is_big else ("H", "HHI4s", "I")
    (count,) = struct.unpack(order + count_code, _read_at(file, offset, struct.calcsize(order + count_code)))
    record = struct.Struct(order + record_code)
    inline_bytes = record.size - struct.calcsize(order + record_code[:-2])
    table_bytes = count * record.size
    if not 0 < count <= 65535 or table_bytes > end:
        raise DirectoryError(f"a directory of {count} entries")
    table = _read_at(file, file.tell(), table_bytes + struct.calcsize(order + pointer_code))
    entries: list[Entry] = []
    outside: list[Outside] = []
    budget = end  # many entries may point to one place: together they must not outgrow the file
    for tag, type_, values, field in record.iter_unpack(table[:table_bytes]):
        size = values * _UNIT_BYTES.get(type_, 0)
        if not size and type_ not in _UNIT_BYTES:
            continue  # the specification tells readers to skip types that they do not know
        if tag in without:
            entries.append(Entry(tag, type_, values, b""))
            continue
        data = field[:size]
        if size > inline_bytes:
            (start,) = struct.unpack(order + pointer_code, field)
            if size > budget or start > end - size:
                outside.append(Outside(tag, start, size))
                continue
            data = _read_at(file, start, size)
        budget -= size
        entries.append(Entry(tag, type_, values, data))
    (next_offset,) = struct.unpack(order + pointer_code, table[table_bytes:])
    return Tree(tuple(entries), {}, tuple(outside), next_offset, order)


def read_tree(
    file: BinaryIO, offset: int, header: Header, *, without: frozenset[int] = frozenset(), depth: int = 0
) -> Tree:
    """Read a directory with its EXIF, GPS and interoperability directories, as `read_directory` does.

    A child that is damaged is left out, as if its pointer were not there; so is one deeper than these go.

    Raises:
        DirectoryError: When the directory itself is damaged.
    """
    directory = read_directory(file, offset, header, without=without)
    entries: list[Entry] = []
    children: dict[int, Tree] = {}
    outside = list(directory.outside)
    for entry in directory.entries:
        if entry.tag not in (EXIF_POINTER, GPS_POINTER, INTEROP_POINTER):
            entries.append(entry)
        elif depth < 2 and (offsets := entry.integers(header.order)):
            try:
                children[entry.tag] = read_tree(file, offsets[0], header, depth=depth + 1)
                outside += children[entry.tag].outside
            except DirectoryError:
                outside.append(Outside(entry.tag, offsets[0], 0))
    return directory._replace(entries=tuple(entries), children=children, outside=tuple(outside))


def first_tree(file: BinaryIO, *, without: frozenset[int] = frozenset()) -> Tree | None:
    """Read the first directory of a file, as `read_tree` does; None where it is damaged, or there is none."""
    try:
        header = read_header(file)
        return read_tree(file, header.first_offset, header, without=without)
    except (DirectoryError, struct.error):
        return None


def serialise(tree: Tree, order: ByteOrder, start: int, *, is_big: bool = False) -> bytes:
    """Write a directory, its values and its children as they stand at offset `start` of a file.

    Entries are sorted by tag, as the specification demands, and values begin at even offsets.

    Args:
        tree: The directory.
        order: Of the bytes of a value.
        start: Offset in the file.
        is_big: Whether the file is a BigTIFF, whose counts and offsets have 64 bits.
    """
    count_code, values_code, pointer_code, pointer_type = ("Q", "Q", "Q", 18) if is_big else ("H", "I", "I", 4)
    count = len(tree.entries) + len(tree.children)
    inline_bytes = struct.calcsize(pointer_code)
    table_bytes = struct.calcsize(order + count_code) + count * (4 + 2 * inline_bytes) + inline_bytes
    cursor = start + table_bytes
    records: list[tuple[int, bytes]] = []
    tail: list[bytes] = []
    for entry in tree.entries:
        field = entry.data.ljust(inline_bytes, b"\0")
        if len(field) > inline_bytes:
            padded = entry.data + b"\0" * (len(entry.data) % 2)
            field = struct.pack(order + pointer_code, cursor)
            tail.append(padded)
            cursor += len(padded)
        head = struct.pack(order + "HH" + values_code, entry.tag, entry.type, entry.values)
        records.append((entry.tag, head + field))
    for tag, child in tree.children.items():
        records.append((tag, struct.pack(order + "HH" + values_code + pointer_code, tag, pointer_type, 1, cursor)))
        tail.append(serialise(child, order, cursor, is_big=is_big))
        cursor += len(tail[-1])
    table = b"".join(record for _, record in sorted(records))
    return struct.pack(order + count_code, count) + table + bytes(inline_bytes) + b"".join(tail)


def block_of(tree: Tree, order: ByteOrder) -> bytes:
    """Write directories as a block of their own: an EXIF block."""
    head = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    return head + serialise(tree, order, len(head))


def block_without(tree: Tree, tags: Set[int]) -> bytes | None:
    """Write directories as an EXIF block without some tags of the first; None where nothing is left."""
    entries = tuple(entry for entry in tree.entries if entry.tag not in tags)
    return block_of(tree._replace(entries=entries), tree.order) if entries or tree.children else None


def integer_entry(tag: int, values: Iterable[int], order: ByteOrder, *, bits: Literal[16, 32, 64] = 32) -> Entry:
    """Make an entry of whole numbers; those of 64 bits are for a BigTIFF."""
    numbers, type_ = tuple(values), {16: 3, 32: 4, 64: 16}[bits]
    return Entry(tag, type_, len(numbers), struct.pack(f"{order}{len(numbers)}{_INTEGER_CODES[type_]}", *numbers))


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    if offset > file.seek(0, io.SEEK_END) - size:
        raise DirectoryError(f"{size} bytes at {offset} lie outside the file")
    file.seek(offset)
    return file.read(size)
