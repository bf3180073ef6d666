"""JPEG files around their pixels: segments are read from and written between the markers.

Pillow decodes (`pixels`) and encodes (`writing`) the pixels. It is given no metadata, because it cuts some (long EXIF),
refuses others and keeps only the last comment.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from acutance.geometry import Size
from acutance.media.cmyk import converted
from acutance.media.container import (
    CREDENTIALS_LOST,
    END_LOST,
    PREVIEWS_LOST,
    Container,
    damaged,
    refused,
    shape_notes,
    too_deep,
)
from acutance.media.exif import NOTES_LOST, notes_of_block_lead_out, without_prefix
from acutance.media.jpeg.trailer import (
    MP,
    PICTURES_LOST,
    are_complete,
    listed_pictures,
    read_passes,
    read_trailer,
    segments_of,
)
from acutance.media.photo import JpegCoding, JpegTrailer, ListedPicture, Metadata, Subsampling
from acutance.media.xmp import announced, without_announcements

JFIF, JFXX = b"JFIF\0", b"JFXX\0"
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
ICC = b"ICC_PROFILE\0"
PHOTOSHOP = b"Photoshop 3.0\0"
MAX_PAYLOAD_BYTES = 65533
"""What fits into one segment."""
MAX_XMP_BYTES = MAX_PAYLOAD_BYTES - len(XMP)
MAX_ICC_BYTES = 255 * (MAX_PAYLOAD_BYTES - len(ICC) - 2)

PER_INCH = {1: 1.0, 2: 2.54}
"""What a resolution is in px per inch, by the numbers of the units."""

_APP0, _APP1, _APP2, _APP11, _APP13, _APP14, _COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE
_SOS, _DQT, _EOI = 0xDA, 0xDB, 0xD9
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_RARE_FRAMES = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "a lossless JPEG picture"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "a hierarchical JPEG picture"),
    0xF7: "a JPEG-LS picture",
}
"""By the marker of their header: what decoders of ordinary JPEG pictures do not know."""
_PROGRESSIVE_MARKERS = (0xC2, 0xC6, 0xCA, 0xCE)
# Position i of a quantisation table in the file is position _ZIGZAG[i] of the 8×8 block, row by row.
_ZIGZAG = sorted(
    range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8)
)  # fmt: skip


@dataclass(slots=True)
class _Frame:
    """The frame header: `components` are (id, horizontal, vertical sampling, table)."""

    marker: int
    bits: int
    size: Size
    components: list[tuple[int, int, int, int]]


@dataclass(slots=True)
class _Found:
    """What the segments gave, as they came."""

    frame: _Frame | None = None
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)
    exif: bytes = b""
    exif_start: int = 0
    """Where that begins in the file."""
    xmp: bytes | None = None
    icc: dict[int, bytes] = field(default_factory=dict)
    photoshop: bytes = b""
    dpi: tuple[float, float] | None = None
    is_jfif: bool = False
    adobe_transform: int | None = None
    comments: list[bytes] = field(default_factory=list)
    listed: list[ListedPicture] = field(default_factory=list)
    trailer: JpegTrailer | None = None
    others: list[tuple[int, bytes]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def inspect_jpeg(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a JPEG file."""
    found = _Found()
    try:
        for marker, payload in segments_of(file):
            if marker in _RARE_FRAMES:
                raise refused(
                    name, _RARE_FRAMES[marker], "save it as an ordinary JPEG or PNG with another program first"
                )
            _take(found, marker, payload, file.tell() - len(payload))
    except (struct.error, IndexError, EOFError) as error:
        raise damaged(name, "its header ends too early") from error
    frame = found.frame
    if frame is None or not frame.components:
        raise damaged(name, "it has no frame header")
    if frame.bits > 8:
        raise too_deep(name, frame.bits)
    begin = file.tell()
    end, scans = read_passes(file)
    if end is not None:
        _take_trailer(found, file, end)
    file.seek(begin)
    is_unended = end is None and not _has_end(file)
    if is_unended:
        if not are_complete(scans, len(frame.components)) or len(frame.components) == 4:
            raise damaged(name, "it has no end marker")
        found.left_out.append(END_LOST)
    container = Container(frame.size, _metadata(found, frame), needs_own_decoder=is_unended)
    return converted(container, name) if len(frame.components) == 4 else container


def _take_trailer(found: _Found, file: BinaryIO, end: int) -> None:
    """Note what follows the picture; XMP that announces what does not is corrected."""
    found.trailer, left_out = read_trailer(file, end, found.listed, found.xmp)
    found.left_out += left_out
    if found.xmp is not None and found.trailer is None:
        missing = announced(found.xmp)
        found.xmp = without_announcements(found.xmp)
        found.left_out += [f"{what} (XMP announced it, the file has none)" for what in missing]
    behind = range(end - found.exif_start, file.seek(0, io.SEEK_END) - found.exif_start)
    if behind and notes_of_block_lead_out(found.exif, behind):
        found.left_out.append(NOTES_LOST)


def _take(found: _Found, marker: int, payload: bytes, place: int) -> None:
    """Sort one segment, whose payload stands at a place in the file, into what was found."""
    if marker in _FRAME_MARKERS and found.frame is None:
        found.frame = _frame(marker, payload)
    elif marker == _DQT:
        found.tables.update(_quantisation_tables(payload))
    elif marker == _COM:
        found.comments.append(payload)
    elif marker == _APP2 and payload.startswith(MP):
        listed = listed_pictures(payload[len(MP) :], place + len(MP))
        if listed is None:
            found.left_out.append(PICTURES_LOST)
        else:
            found.listed = listed
    elif _APP0 <= marker <= 0xEF:
        if marker == _APP1 and payload.startswith(EXIF) and not found.exif:
            found.exif_start = place + len(EXIF)
        _take_application_segment(found, marker, payload)


def _take_application_segment(found: _Found, marker: int, payload: bytes) -> None:
    match marker:
        case 0xE0 if payload.startswith((JFIF, JFXX)):
            _take_jfif(found, payload)
        case 0xE1 if payload.startswith(EXIF):
            found.exif += without_prefix(payload)
        case 0xE1 if payload.startswith(XMP):
            found.xmp = payload[len(XMP) :]
        case 0xE2 if payload.startswith(ICC):
            found.icc[payload[len(ICC)]] = payload[len(ICC) + 2 :]
        case 0xEB if payload.startswith(b"JP"):
            found.left_out.append(CREDENTIALS_LOST)
        case 0xED if payload.startswith(PHOTOSHOP):
            found.photoshop += payload[len(PHOTOSHOP) :]
        case 0xEE if payload.startswith(b"Adobe"):
            found.adobe_transform = payload[11] if len(payload) > 11 else None
        case _:
            found.others.append((marker, payload))


def _take_jfif(found: _Found, payload: bytes) -> None:
    """Note the resolution; a preview, which may stand in JFIF's own segment or in its extension, is left out."""
    is_extension = payload.startswith(JFXX)
    if not is_extension and len(payload) >= 12:
        found.is_jfif = True
        unit, horizontal, vertical = struct.unpack_from(">BHH", payload, 7)
        per_inch = PER_INCH.get(unit) if horizontal and vertical else None
        found.dpi = None if per_inch is None else (horizontal * per_inch, vertical * per_inch)
        if not unit and horizontal and vertical:  # an aspect ratio
            found.left_out += shape_notes(vertical / horizontal)
    if is_extension or all(payload[12:14].ljust(2, b"\0")):  # the preview's sides
        found.left_out.append(PREVIEWS_LOST)


def _frame(marker: int, payload: bytes) -> _Frame:
    bits, height, width, count = struct.unpack_from(">BHHB", payload)
    records = struct.iter_unpack("3B", payload[6 : 6 + 3 * count])
    components = [(ident, sampling >> 4, sampling & 15, table) for ident, sampling, table in records]
    return _Frame(marker, bits, Size(height, width), components)


def _quantisation_tables(payload: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    while payload:
        is_wide, number = payload[0] >> 4, payload[0] & 15
        form = ">64H" if is_wide else ">64B"
        natural = [0] * 64
        for place, divisor in zip(_ZIGZAG, struct.unpack_from(form, payload, 1), strict=True):
            natural[place] = divisor
        yield number, tuple(natural)
        payload = payload[1 + struct.calcsize(form) :]


def _metadata(found: _Found, frame: _Frame) -> Metadata:
    icc = b"".join(data for _, data in sorted(found.icc.items()))
    return Metadata(
        source_format="JPEG",
        exif=found.exif or None,
        icc_profile=icc or None,
        xmp=found.xmp,
        photoshop=found.photoshop or None,
        dpi=found.dpi,
        comments=tuple(found.comments),
        jpeg_segments=tuple(found.others),
        jpeg_trailer=found.trailer,
        coding=_coding(found, frame),
        left_out=tuple(dict.fromkeys(found.left_out)),
    )


def _coding(found: _Found, frame: _Frame) -> JpegCoding | None:
    tables = [found.tables.get(table) for *_, table in frame.components]
    known = tuple(table for table in tables if table is not None and min(table) > 0)
    if len(known) != len(tables):
        return None
    return JpegCoding(
        tables=known,
        subsampling=_subsampling(frame),
        is_progressive=frame.marker in _PROGRESSIVE_MARKERS,
        is_rgb=_is_rgb(found, frame),
    )


def _subsampling(frame: _Frame) -> Subsampling:
    """Return the layout that Pillow can write and that holds no fewer chroma samples."""
    if len(frame.components) != 3:
        return 0
    (_, width, height, _), *chroma = frame.components
    if any((w, h) != (1, 1) for _, w, h, _ in chroma):
        return 0
    if (width, height) == (2, 1):
        return 1
    return 2 if width >= 2 and height >= 2 else 0


def _is_rgb(found: _Found, frame: _Frame) -> bool:
    """Say whether decoders take the components for R, G, B: libjpeg's rule."""
    if len(frame.components) != 3 or found.is_jfif:
        return False
    if found.adobe_transform is not None:
        return found.adobe_transform == 0
    return [ident for ident, *_ in frame.components] == list(b"RGB")


def _has_end(file: BinaryIO) -> bool:
    """Say whether an end marker follows the position of `file`.

    Pillow's own check can be switched off by anybody in the process (`LOAD_TRUNCATED_IMAGES`), and then the
    rest of the picture is grey.
    """
    last = b""
    while block := file.read(2**20):
        if b"\xff\xd9" in last + block[:1] or b"\xff\xd9" in block:
            return True
        last = block[-1:]
    return False
