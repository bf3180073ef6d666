"""What follows a JPEG picture in its file: phones append videos and gain maps, cameras previews, programs captions.

Videos, gain maps, what XMP lists and what is not known here stay true of the sharpened picture and are carried byte for
byte; previews and other views show it as it was, and are left out. Where pictures are listed by the Multi-Picture
Format (CIPA DC-007), whose list holds places in the file, the list is written anew. To find where a picture ends, its
markers are walked, from the first to the last.
"""

from __future__ import annotations

import io
import re
import struct
from collections import deque
from collections.abc import Iterator, Sequence, Set
from typing import BinaryIO, NamedTuple

from acutance.media.container import exactly
from acutance.media.ifd import Entry, Tree, block_of, first_tree, integer_entry
from acutance.media.photo import JpegTrailer, ListedPicture
from acutance.media.xmp import items_of

MP = b"MPF\0"
PICTURES_LOST = "the further pictures in the file (previews or other views)"
MAX_TRAILER_BYTES = 256 * 2**20
"""More behind a picture is not carried in memory."""

_ALONE, _EOI, _SOS = (0x01, 0xD8), 0xD9, 0xDA
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SEGMENTS = frozenset((0xC4, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)))
"""What may stand between scans: tables, a height, comments and application data."""
_BLOCK_BYTES = 2**16
_MAX_SEGMENTS = 100_000
"""Scans and what stands between them, up to the end of a picture."""
_MP_VERSION, _MP_COUNT, _MP_ENTRIES = 0xB000, 0xB001, 0xB002
_PRIMARY = 0x030000
_HEADER_BYTES = 2**16
_GAIN_MAP_SIGNS = (b"hdr-gain-map", b"hdrgainmap", b"urn:iso:std:iso:ts:21496")
"""Of Adobe and Google, Apple, and ISO 21496-1, in small letters."""


class Scan(NamedTuple):
    """What one pass over the picture gives: which coefficients of which components, and how finely."""

    components: tuple[int, ...]
    first: int
    last: int
    low_bit: int


def are_complete(scans: Set[Scan], components: int) -> bool:
    """Say whether there is a scan for every coefficient of each of so many components, to the last bit."""
    last = [scan for scan in scans if not scan.low_bit]
    whole = {(part, n) for scan in last for part in scan.components for n in range(scan.first, scan.last + 1)}
    return len({part for part, _ in whole}) >= components and len(whole) >= 64 * components


def segments_of(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield markers and payloads from the beginning of a file up to the start of the first scan.

    Raises:
        EOFError: When it ends before.
    """
    file.seek(2)
    while (marker := _next_marker(file)) != _SOS:
        if marker is None or marker == _EOI:
            raise EOFError
        if marker not in _ALONE:
            yield marker, exactly(file, max(int.from_bytes(exactly(file, 2), "big") - 2, 0))


def read_passes(file: BinaryIO) -> tuple[int | None, set[Scan]]:
    """Read on from behind the marker of the first scan to the end of the picture.

    Returns:
        Where the file goes on behind the end marker, or None where there is none; and the scans.
    """
    scans: set[Scan] = set()
    marker: int | None = _SOS
    for _ in range(_MAX_SEGMENTS):
        if marker is None or marker == _EOI:
            break
        if marker == _SOS or marker in _SEGMENTS:
            payload = _payload(file)
            if marker == _SOS and payload:
                scans.add(_scan(payload))
        marker = _next_marker(file)
    return file.tell() if marker == _EOI else None, scans


def _payload(file: BinaryIO) -> bytes:
    length = int.from_bytes(file.read(2), "big")
    return file.read(max(length - 2, 0))


def _scan(payload: bytes) -> Scan:
    count = payload[0]
    rest = payload[1 + 2 * count : 4 + 2 * count]
    first, last, bits = rest if len(rest) == 3 else (0, 63, 0)
    return Scan(tuple(payload[1 : 1 + 2 * count : 2]), first, last, bits & 15)


def _next_marker(file: BinaryIO) -> int | None:
    """Move behind the next marker that is none of those within compressed data, and return it."""
    while block := file.read(_BLOCK_BYTES):
        found = _MARKER.search(block)
        if found is not None:
            file.seek(found.end() - len(block), io.SEEK_CUR)
            return found[0][1]
        if block[-1] == 0xFF and len(block) == _BLOCK_BYTES:
            file.seek(-1, io.SEEK_CUR)
    return None


def listed_pictures(block: bytes, base: int) -> list[ListedPicture] | None:
    """Return the pictures that a Multi-Picture list names, the first one included, by their places in the file.

    Args:
        block: The list, beginning with its TIFF header.
        base: Where that stands in the file.

    Returns:
        None for a damaged list.
    """
    tree = first_tree(io.BytesIO(block))
    entry = None if tree is None else tree.find(_MP_ENTRIES)
    if tree is None or entry is None or len(entry.data) % 16:
        return None
    rows = struct.iter_unpack(tree.order + "IIIHH", entry.data)
    return [ListedPicture(kind, offset + base if offset else 0, size) for kind, size, offset, _, _ in rows]


def read_trailer(
    file: BinaryIO, end: int, listed: Sequence[ListedPicture], xmp: bytes | None
) -> tuple[JpegTrailer | None, tuple[str, ...]]:
    """Read what follows a picture.

    Args:
        file: The JPEG file.
        end: Where the picture ends.
        listed: From `listed_pictures`; empty where there is no list.
        xmp: The packet of the picture, which may list what follows as well.

    Returns:
        What can be kept, or None; and what is left out, in words.
    """
    length = file.seek(0, io.SEEK_END) - end
    if length > MAX_TRAILER_BYTES:
        return None, (f"what lies behind the picture in the file ({length / 1e6:.0f} MB)",)
    file.seek(end)
    content = file.read(length)
    last = end + length
    places = [ListedPicture(kind, at - end, size) for kind, at, size in listed[1:] if end <= at <= last - size]
    announced = set() if xmp is None else {size for _, size in items_of(xmp)}
    kept: list[bytes] = []
    pictures: list[ListedPicture] = []
    position, is_any_lost = 0, len(places) < len(listed[1:])
    for data, is_picture, kind in _pieces(content, places):
        if is_picture and not _is_gain_map(data) and len(data) not in announced:
            is_any_lost = True
        else:
            if kind is not None:
                pictures.append(ListedPicture(kind, position, len(data)))
            kept.append(data)
            position += len(data)
    left_out = (PICTURES_LOST,) if is_any_lost else ()
    first = listed[0].kind if listed else _PRIMARY
    if not any(data.strip(b"\0") for data in kept):  # cameras fill files up with zeros
        return None, left_out
    return JpegTrailer(content=b"".join(kept), pictures=tuple(pictures), kind=first), left_out


def _pieces(content: bytes, places: Sequence[ListedPicture]) -> Iterator[tuple[bytes, bool, int | None]]:
    """Take apart what follows a picture: the listed pictures, those that stand there unlisted, and the rest.

    With each goes whether it is a picture, and of listed ones, what kind.
    """
    position = 0
    for kind, start, size in sorted(places, key=lambda place: place.start):
        if start >= position and size:
            yield from _unlisted(content, position, start)
            yield content[start : start + size], True, kind
            position = start + size
    yield from _unlisted(content, position, len(content))


def _unlisted(content: bytes, start: int, stop: int) -> Iterator[tuple[bytes, bool, None]]:
    while content.startswith(b"\xff\xd8\xff", start, stop):
        file = io.BytesIO(content[start:stop])
        try:
            deque(segments_of(file), maxlen=0)
            end, _ = read_passes(file)
        except EOFError:
            break
        if end is None:
            break
        yield content[start : start + end], True, None
        start += end
    if start < stop:
        yield content[start:stop], False, None


def _is_gain_map(picture: bytes) -> bool:
    """Say whether a picture tells how much brighter than another one each place is on an HDR screen."""
    head = picture[:_HEADER_BYTES].lower()
    return any(sign in head for sign in _GAIN_MAP_SIGNS)


def mp_segment(trailer: JpegTrailer | None, place: int, end: int | None) -> bytes:
    """Return the segment that lists the pictures of a file; nothing where it has one only.

    Args:
        trailer: What follows the first one.
        place: Where the segment will stand.
        end: Where the first picture will end, and the rest begin; None for a segment of the same length to be replaced
            when that is known.
    """
    if trailer is None or not trailer.pictures:
        return b""
    base = place + 4 + len(MP)
    end = base if end is None else end
    rows = [struct.pack("<IIIHH", trailer.kind, end, 0, 0, 0)]
    rows += [struct.pack("<IIIHH", kind, size, end + start - base, 0, 0) for kind, start, size in trailer.pictures]
    entries = (
        Entry(_MP_VERSION, 7, 4, b"0100"),
        integer_entry(_MP_COUNT, (len(rows),), "<"),
        Entry(_MP_ENTRIES, 7, 16 * len(rows), b"".join(rows)),
    )
    payload = MP + block_of(Tree(entries), "<")
    return struct.pack(">BBH", 0xFF, 0xE2, len(payload) + 2) + payload
