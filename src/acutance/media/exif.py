"""EXIF blocks, looked at as little as possible: they are carried over byte for byte.

A camera's own notes (MakerNote) hold offsets into the block, so a block that is taken apart and written anew
is damaged. The orientation is the only value that is read, and changed where it stands.
"""

from __future__ import annotations

import io
import struct

from acutance.media.ifd import Directory, DirectoryError, read_directory, read_header

ORIENTATION, X_RESOLUTION = 274, 282
_PREFIX = b"Exif\0\0"


def without_prefix(exif: bytes) -> bytes:
    """Return an EXIF block without the word `Exif` and two zeros that some containers put before it."""
    return exif.removeprefix(_PREFIX)


def first_directory(exif: bytes) -> Directory | None:
    """Return the main directory of an EXIF block; None for a damaged block."""
    file = io.BytesIO(exif)
    try:
        header = read_header(file)
        return None if header.is_big else read_directory(file, header.first_offset, header)
    except DirectoryError:
        return None


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
