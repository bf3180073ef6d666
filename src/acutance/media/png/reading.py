"""PNG files before their pixels are decoded: the header, and what is carried over of the chunks around the pixels.

Which unknown ones may be carried is the specification's own rule: those that say they are safe to copy into a changed
picture.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.container import (
    CREDENTIALS_LOST,
    END_LOST,
    METRES_PER_INCH,
    Container,
    damaged,
    depth_notes,
    inflate,
)
from acutance.media.exif import without_prefix
from acutance.media.photo import Metadata
from acutance.media.png.chunks import (
    COLOUR_CHUNKS,
    PALETTE,
    XMP_KEYWORD,
    ChecksumError,
    Control,
    Header,
    colour_in,
    read_chunks,
    unpacked_size,
)

_OF_THE_SUBJECT = (b"sCAL", b"pCAL", b"sTER", b"sPLT")
"""Its measures, which of two views is where, and colours to show it with: they hold for the result as well."""
_OF_THE_PIXELS = (b"tRNS", b"hIST", b"iDOT", b"fdAT", b"pHYs", b"IEND")
"""How the pixels were stored: they are written anew, so nothing is lost with these."""
_LOST = {
    b"caBX": CREDENTIALS_LOST,
    b"tIME": "the time of the last change (tIME)",
}
"""What is said of chunks that are left out."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits per channel that there are, by colour type."""
_SPARE_BYTES = 2**20
"""Of what some programs pack behind the pixels."""
_MAX_NAME_BYTES = 79


@dataclass(slots=True)
class _Found:
    """What the chunks gave, as they came."""

    header: Header | None = None
    exif: bytes | None = None
    palette: bytes = b""
    icc: bytes | None = None
    icc_name: bytes = b""
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    plays: int = 0
    durations_s: list[Fraction] = field(default_factory=list)
    has_still: bool = False
    """Whether the pixels of the file itself come before the first picture of the animation."""
    others: list[tuple[bytes, bytes]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def inspect_png(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a PNG file and verify its checksums."""
    found = _Found()
    try:
        for kind, data in read_chunks(file, on_dropped=lambda kind: found.left_out.append(_dropped(kind))):
            _take(found, kind, data)
    except ChecksumError as error:
        raise damaged(name, f"the checksum of {error} is wrong") from error
    if found.header is None:
        raise damaged(name, "it has no header")
    if found.header.depth not in _DEPTHS.get(found.header.colour_type, ()):
        raise damaged(name, "its header tells of a kind of pixels that there is not")
    if END_LOST in found.left_out and (
        found.durations_s or not unpacked_size(file, found.header.unpacked_bytes + _SPARE_BYTES)[1]
    ):
        raise damaged(name, "it ends too early")
    animation = None
    if len(found.durations_s) + found.has_still > 1 and found.durations_s:
        animation = Animation(
            durations_s=tuple(found.durations_s),
            plays=found.plays,
            has_still=found.has_still,
        )
    found.left_out += depth_notes(found.header.depth, has_palette=found.header.colour_type == 3)
    metadata = Metadata(
        source_format="PNG",
        exif=found.exif,
        icc_profile=found.icc,
        icc_name=found.icc_name,
        xmp=found.xmp,
        dpi=found.dpi,
        png_chunks=tuple(found.others),
        left_out=tuple(dict.fromkeys(found.left_out)),
    )
    size = Size(found.header.height, found.header.width)
    return Container(size, metadata, bits=max(found.header.depth, 8), animation=animation)


def _dropped(kind: bytes) -> str:
    if kind == b"IEND":
        return END_LOST
    what = "the transparent colours" if kind == b"tRNS" else f"the chunk {kind.decode('latin-1')}"
    return f"{what} (the checksum is wrong)"


def _take(found: _Found, kind: bytes, data: bytes) -> None:
    """Sort one chunk into what was found."""
    match kind:
        case b"IHDR":
            found.header = Header.of(data)
        case b"acTL" | b"fcTL" | b"IDAT":
            _take_timing(found, kind, data)
        case b"eXIf":
            found.exif = without_prefix(data)
        case b"PLTE":
            found.palette = data
            if found.header is not None and found.header.colour_type != PALETTE:
                found.left_out.append("the suggested palette (PLTE)")
        case b"iCCP":
            name, _, rest = data.partition(b"\0")
            found.icc = _inflated(rest[1:], "colour profile", found)
            found.icc_name = name if len(name) <= _MAX_NAME_BYTES else b""
        case b"iTXt" if data.startswith(XMP_KEYWORD + b"\0"):
            found.xmp = _packet(data, found)
        case b"pHYs" if data[8:9] == b"\1":
            horizontal, vertical = struct.unpack_from(">II", data)
            found.dpi = (horizontal * METRES_PER_INCH, vertical * METRES_PER_INCH)
        case _:
            _take_other(found, kind, data)


def _take_other(found: _Found, kind: bytes, data: bytes) -> None:
    """Keep a chunk, or say that it is left out."""
    if kind == b"bKGD":
        background = _background(found, data)
        if background is None:
            found.left_out.append("a damaged background colour (bKGD)")
        else:
            found.others.append((kind, background))
    elif kind == b"sBIT":
        if found.header is not None and min(data, default=8) < _sample_bits(found.header):
            found.left_out.append("how many bits of the pixels mean something (sBIT)")
    elif _is_kept(kind):
        found.others.append((kind, data))
    elif kind not in _OF_THE_PIXELS:
        found.left_out.append(_LOST.get(kind, f"the chunk {kind.decode('latin-1')} (it may not fit a changed picture)"))


def _sample_bits(header: Header) -> int:
    return 8 if header.colour_type == PALETTE else header.depth


def _background(found: _Found, data: bytes) -> bytes | None:
    """Return a background colour as grey or RGB of 16 bits, whatever the pixels are; None where it says none."""
    if found.header is None:
        return None
    if found.header.colour_type == PALETTE:
        colour = found.palette[3 * data[0] :][:3] if data else b""
        data = b"".join(bytes((0, level)) for level in colour)
    if len(data) != (6 if found.header.colour_type & 2 else 2):
        return None
    return colour_in(data, _sample_bits(found.header), 16)


def _take_timing(found: _Found, kind: bytes, data: bytes) -> None:
    """Note when the pictures of an animation are shown; `found.has_still` means something for animations only."""
    if kind == b"acTL":
        _, found.plays = struct.unpack_from(">II", data)
    elif kind == b"fcTL":
        found.durations_s.append(Control.of(data).duration_s)
    else:
        found.has_still |= not found.durations_s


def _is_kept(kind: bytes) -> bool:
    """Say whether a chunk is carried over.

    A small first letter says that pictures are seen without it, a small last one that it is safe to copy.
    """
    return kind in (*COLOUR_CHUNKS, *_OF_THE_SUBJECT) or (kind[:1].islower() and kind[3:].islower())


def _packet(data: bytes, found: _Found) -> bytes | None:
    """Return the text of an iTXt chunk, UTF-8."""
    rest = data.partition(b"\0")[2]
    text = rest[2:].split(b"\0", 2)[-1]  # after a language and a translated keyword
    return _inflated(text, "XMP packet", found) if rest[:1] == b"\1" else text


def _inflated(packed: bytes, what: str, found: _Found) -> bytes | None:
    data = inflate(packed)
    if data is None:
        found.left_out.append(f"a damaged {what}")
    return data
