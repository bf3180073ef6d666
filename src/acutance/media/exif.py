"""EXIF blocks, looked at as little as possible: they are carried over byte for byte.

A camera's own notes (MakerNote), a directory in the maker's own way, hold offsets into the block, or to anywhere in the
file, so a block that is taken apart and written anew is damaged. The orientation and the thumbnail are the only values
that are read, and changed where they stand.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from acutance.media.ifd import (
    EXIF_POINTER,
    ByteOrder,
    DirectoryError,
    Header,
    Tree,
    first_tree,
    read_directory,
    read_header,
)

ORIENTATION, X_RESOLUTION = 274, 282
_THUMBNAIL_START, _THUMBNAIL_BYTES = 513, 514
_PREFIX = b"Exif\0\0"
NOTES_LOST = "what the camera's notes point to elsewhere in the file"
"""What is said where something that they point to is no longer where they say."""
_MAKER_NOTE = 37500
_STARTS = (0, 8, 10, 12)
"""Where their directory begins: at once, or behind a signature."""
_OWN_HEADER = 10
"""Where a TIFF header stands in those that have one, from which their offsets count."""


def without_prefix(exif: bytes) -> bytes:
    """Return an EXIF block without the word `Exif` and two zeros that some containers put before it."""
    return exif.removeprefix(_PREFIX)


def first_directory(exif: bytes) -> Tree | None:
    """Return the main directory of an EXIF block; None for a damaged block."""
    file = io.BytesIO(exif)
    try:
        header = read_header(file)
        directory = read_directory(file, header.first_offset, header)
    except DirectoryError:
        return None
    return None if header.is_big or directory.outside else directory


def orientation_of(exif: bytes) -> int:
    """Return the orientation of an EXIF block, 1 to 8; 1 where it is missing, unknown or damaged."""
    place = _orientation_place(exif)
    if place is None:
        return 1
    order, offset = place
    (orientation,) = struct.unpack_from(order + "H", exif, offset)
    return orientation if 1 <= orientation <= 8 else 1


def with_orientation(exif: bytes, orientation: int) -> bytes:
    """Return an EXIF block with another orientation; the block itself where it has no such tag."""
    place = _orientation_place(exif)
    if place is None:
        return exif
    order, offset = place
    return exif[:offset] + struct.pack(order + "H", orientation) + exif[offset + 2 :]


def thumbnail_of(exif: bytes) -> bytes | None:
    """Return the small JPEG in an EXIF block, or None."""
    place = _thumbnail_place(exif)
    return None if place is None else exif[place.start : place.start + place.length]


def with_thumbnail(exif: bytes, jpeg: bytes) -> bytes:
    """Return an EXIF block with another small JPEG: in the place of the old one, or, if it is larger, at the end.

    Everything else stays where it is; the block itself comes back where it holds none.
    """
    place = _thumbnail_place(exif)
    if place is None:
        return exif
    start = place.start
    if len(jpeg) > place.length:
        exif += b"\0" * (len(exif) % 2)
        start = len(exif)
    changed = bytearray(exif)
    changed[place.start : place.start + place.length] = bytes(place.length)
    changed[start : start + len(jpeg)] = jpeg
    struct.pack_into(place.order + "I", changed, place.start_field, start)
    struct.pack_into(place.order + "I", changed, place.length_field, len(jpeg))
    return bytes(changed)


class _Place(NamedTuple):
    """Where a thumbnail is, and where that is said."""

    order: str
    start: int
    length: int
    start_field: int
    length_field: int


def _thumbnail_place(exif: bytes) -> _Place | None:
    """Return where the small JPEG of an EXIF block is; None without one that lies within the block."""
    try:
        order, table = _table(exif)
        (count,) = struct.unpack_from(order + "H", exif, table)
        (table,) = struct.unpack_from(order + "I", exif, table + 2 + 12 * count)
        if not table:
            return None
        fields = {tag: place for tag, *kind, place in _fields(exif, order, table) if kind == [4, 1]}
        start_field, length_field = fields[_THUMBNAIL_START], fields[_THUMBNAIL_BYTES]
        (start,), (length,) = (struct.unpack_from(order + "I", exif, field) for field in (start_field, length_field))
    except (DirectoryError, struct.error, KeyError):
        return None
    is_inside = 0 < length <= len(exif) - start
    return _Place(order, start, length, start_field, length_field) if is_inside else None


def _orientation_place(exif: bytes) -> tuple[str, int] | None:
    """Return byte order and offset of the orientation's 16-bit value, or None.

    The table is walked by hand, entry by entry, so that an orientation is found in a block whose other
    entries are damaged: viewers do the same, and would show the picture turned.
    """
    try:
        order, table = _table(exif)
        for *field, place in _fields(exif, order, table):
            if field == [ORIENTATION, 3, 1]:
                struct.unpack_from(order + "H", exif, place)  # must lie inside the block
                return order, place
    except (DirectoryError, struct.error):
        return None
    return None


def _table(exif: bytes) -> tuple[ByteOrder, int]:
    """Return byte order and offset of the first directory of an EXIF block, which is never a BigTIFF."""
    header = read_header(io.BytesIO(exif))
    if header.is_big:
        raise DirectoryError("a BigTIFF")
    return header.order, header.first_offset


def _fields(exif: bytes, order: ByteOrder, table: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, type, number of values, and the place of these, of each entry of a directory."""
    (count,) = struct.unpack_from(order + "H", exif, table)
    for record in range(table + 2, table + 2 + 12 * count, 12):
        tag, type_, values = struct.unpack_from(order + "HHI", exif, record)
        yield tag, type_, values, record + 8


def notes_lead_out(tree: Tree, within: range, *, block: bytes | None = None) -> bool:
    """Say whether a camera's notes point to something that is not carried with them.

    Args:
        tree: Of an EXIF block or a TIFF file.
        within: Offsets at which such a thing may lie; what lies elsewhere was not there before either.
        block: The EXIF block, where it is carried as it is; None: the notes are carried alone.
    """
    exif = tree.children.get(EXIF_POINTER, tree)
    note = next((entry.data for entry in (*exif.entries, *tree.entries) if entry.tag == _MAKER_NOTE), b"")
    held = note if block is None else block
    for base, directory in _directories(held, held.find(note), tree.order):
        return any(base + start in within and base + start + size - 1 in within for _, start, size in directory.outside)
    return False


def notes_of_block_lead_out(exif: bytes, within: range) -> bool:
    """Say whether the notes in an EXIF block that is carried as it is point to something outside of it."""
    tree = first_tree(io.BytesIO(exif))
    return tree is not None and notes_lead_out(tree, within, block=exif)


def _directories(held: bytes, at: int, order: ByteOrder) -> Iterator[tuple[int, Tree]]:
    """Yield from where offsets count, and the directory, for each place where the notes at `at` make sense as one."""
    own = held[at + _OWN_HEADER :]
    candidates = [(0, at + start, Header(order, False, 0)) for start in _STARTS]
    try:
        header = read_header(io.BytesIO(own))
        candidates = [(at + _OWN_HEADER, header.first_offset, header)]
    except DirectoryError:
        pass
    for base, place, header in candidates:
        try:
            directory = read_directory(io.BytesIO(held[base:]), place, header)
        except (DirectoryError, struct.error):
            continue
        (count,) = struct.unpack_from(header.order + "H", held, base + place)
        if len(directory.entries) + len(directory.outside) == count:  # all of known types
            yield base, directory
