"""A camera's notes in an EXIF block: a directory in the maker's own way, whose values may lie anywhere in the file."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from acutance.media.ifd import (
    EXIF_POINTER,
    ByteOrder,
    Directory,
    DirectoryError,
    Header,
    Tree,
    read_directory,
    read_header,
    read_tree,
)

NOTES_LOST = "what the camera's notes point to elsewhere in the file"
"""What is said where something that they point to is no longer where they say."""

_MAKER_NOTE = 37500
_STARTS = (0, 8, 10, 12)
"""Where their directory begins: at once, or behind a signature."""
_OWN_HEADER = 10
"""Where a TIFF header stands in those that have one, from which their offsets count."""


def notes_lead_out(tree: Tree, order: ByteOrder, within: range, *, block: bytes | None = None) -> bool:
    """Say whether a camera's notes point to something that is not carried with them.

    Args:
        tree: Of an EXIF block or a TIFF file.
        order: Of its bytes.
        within: Offsets at which such a thing may lie; what lies elsewhere was not there before either.
        block: The EXIF block, where it is carried as it is; None: the notes are carried alone.
    """
    exif = tree.children.get(EXIF_POINTER, tree)
    note = next((entry.data for entry in (*exif.entries, *tree.entries) if entry.tag == _MAKER_NOTE), b"")
    held = note if block is None else block
    at = held.find(note)
    for base, directory in _directories(held, at, order):
        return any(base + start in within and base + start + size - 1 in within for _, start, size in directory.outside)
    return False


def notes_of_block_lead_out(exif: bytes, within: range) -> bool:
    """Say whether the notes in an EXIF block that is carried as it is point to something outside of it."""
    block = io.BytesIO(exif)
    try:
        header = read_header(block)
        tree = read_tree(block, header.first_offset, header, without=frozenset())
    except DirectoryError:
        return False
    return notes_lead_out(tree, header.order, within, block=exif)


def _directories(held: bytes, at: int, order: ByteOrder) -> Iterator[tuple[int, Directory]]:
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
