"""EXIF blocks, looked at as little as possible: they are carried over byte for byte.

A camera's own notes (MakerNote) hold offsets into the block, so a block that is taken apart and written anew
is damaged. The orientation and the thumbnail are the only values that are read, and changed where they stand.
"""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

from acutance.media.ifd import Directory, DirectoryError, read_directory, read_header

ORIENTATION, X_RESOLUTION = 274, 282
_THUMBNAIL_START, _THUMBNAIL_BYTES = 513, 514
_PREFIX = b"Exif\0\0"


def without_prefix(exif: bytes) -> bytes:
    """Return an EXIF block without the word `Exif` and two zeros that some containers put before it."""
    return exif.removeprefix(_PREFIX)


def first_directory(exif: bytes) -> Directory | None:
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
        header = read_header(io.BytesIO(exif))
        if header.is_big:
            return None
        order, table = header.order, header.first_offset
        (count,) = struct.unpack_from(order + "H", exif, table)
        (table,) = struct.unpack_from(order + "I", exif, table + 2 + 12 * count)
        if not table:
            return None
        (count,) = struct.unpack_from(order + "H", exif, table)
        fields: dict[int, int] = {}
        for record in range(table + 2, table + 2 + 12 * count, 12):
            tag, type_, values = struct.unpack_from(order + "HHI", exif, record)
            if (type_, values) == (4, 1):
                fields[tag] = record + 8
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
        header = read_header(io.BytesIO(exif))
        if header.is_big:  # EXIF blocks never are
            return None
        (count,) = struct.unpack_from(header.order + "H", exif, header.first_offset)
        for record in range(header.first_offset + 2, header.first_offset + 2 + 12 * count, 12):
            tag, type_, values = struct.unpack_from(header.order + "HHI", exif, record)
            if (tag, type_, values) == (ORIENTATION, 3, 1):
                struct.unpack_from(header.order + "H", exif, record + 8)  # must lie inside the block
                return header.order, record + 8
    except (DirectoryError, struct.error):
        return None
    return None
