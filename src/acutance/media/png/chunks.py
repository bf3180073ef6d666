"""PNG files around their pixels: chunks are read from and written before the pixels.

Chunks are carried as bytes, so texts keep their encoding. Which unknown ones may be carried is the
specification's own rule: those that say they are safe to copy into a changed picture. All checksums are
verified, because Pillow leaves those of the pixels unread.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO, NamedTuple

from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.container import END_LOST, Container, damaged, depth_notes, inflate
from acutance.media.excerpt import Part, excerpt
from acutance.media.exif import without_prefix
from acutance.media.photo import Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
"""What the numbers of the pixels mean, besides the ICC profile. They hold for the result as well, since no
colour is converted, though the specification does not call them safe to copy."""
_OF_THE_SUBJECT = (b"sCAL", b"pCAL", b"sTER", b"sPLT")
"""Its measures, which of two views is where, and colours to show it with: they hold for the result as well."""
_OF_THE_PIXELS = (b"tRNS", b"hIST", b"iDOT", b"fdAT", b"pHYs", b"IEND")
"""How the pixels were stored: they are written anew, so nothing is lost with these."""
_LOST = {
    b"caBX": "content credentials (C2PA), which hold for the unchanged picture only",
    b"tIME": "the time of the last change (tIME)",
}
"""What is said of chunks that are left out."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits per channel that there are, by colour type."""
_PALETTE = 3
_DEFAULT_NAME, _MAX_NAME_BYTES = b"ICC Profile", 79

_METRES_PER_INCH = 0.0254
_BLOCK_BYTES = 2**20


class Header(NamedTuple):
    """The payload of IHDR."""

    width: int
    height: int
    depth: int
    colour_type: int
    compression: int
    filters: int
    is_interlaced: int


class Control(NamedTuple):
    """The payload of fcTL, which stands before a picture of an animation."""

    number: int
    width: int
    height: int
    left: int
    top: int
    numerator: int
    denominator: int
    disposal: int
    is_blended: int

    @classmethod
    def of(cls, data: bytes) -> Control:
        """Read a payload."""
        return cls._make(struct.unpack_from(">IIIIIHHBB", data))

    @property
    def duration_s(self) -> Fraction:
        """How long the picture is shown, in seconds."""
        return Fraction(self.numerator, self.denominator or 100)


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
    """Read size and metadata of a PNG file and verify its checksums.

    Raises:
        UnsupportedImage: When it is damaged or cut off.
    """
    found = _Found()
    try:
        for kind, data in read_chunks(file, on_dropped=lambda kind: found.left_out.append(_dropped(kind))):
            _take(found, kind, data)
    except (struct.error, EOFError) as error:
        raise damaged(name, "it ends too early") from error
    except ChecksumError as error:
        raise damaged(name, f"the checksum of {error} is wrong") from error
    if found.header is None:
        raise damaged(name, "it has no header")
    if found.header.depth not in _DEPTHS.get(found.header.colour_type, ()):
        raise damaged(name, "its header tells of a kind of pixels that there is not")
    if END_LOST in found.left_out and (found.durations_s or not _has_all_pixels(file)):
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


def metadata_chunks(metadata: Metadata, bits: int) -> bytes:
    """Return the chunks that hold the metadata, as they stand between the header and pixels of 8 or 16 bits."""
    return b"".join(chunk_of(kind, data) for kind, data in _payloads(metadata, bits))


def text_keyword(data: bytes) -> str:
    """Return the keyword of a text chunk."""
    return data.partition(b"\0")[0].decode("latin-1")


def _payloads(metadata: Metadata, bits: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks that hold the metadata."""
    if metadata.icc_profile is not None:
        yield b"iCCP", (metadata.icc_name or _DEFAULT_NAME) + b"\0\0" + zlib.compress(metadata.icc_profile)
    colours = metadata.colour_numbers
    if colours is not None and max(colours) <= 255:
        yield b"cICP", bytes((*colours, 0, 1))  # RGB, full range
    if metadata.dpi is not None:
        # Whole px per metre: 300 px per inch comes back as 299.9994.
        per_metre = (min(round(value / _METRES_PER_INCH), 2**31 - 1) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", *per_metre, 1)
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    if metadata.xmp is not None:
        yield b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp
    for kind, data in metadata.png_chunks:
        yield kind, _rescaled(data, 16, bits) if kind == b"bKGD" else data


def _ignore(kind: bytes) -> None:
    """Let a damaged chunk go without a word."""


def read_chunks(
    file: BinaryIO, *, with_pixels: bool = False, on_dropped: Callable[[bytes], None] = _ignore
) -> Iterator[tuple[bytes, bytes]]:
    """Yield types and payloads up to the end chunk; without pixels, theirs are checked, and given as empty.

    Args:
        file: A PNG file.
        with_pixels: Whether the payloads of the pixels are wanted.
        on_dropped: Is told the type of a chunk that the pictures can do without and whose checksum is wrong; it is
            passed over. So is it of a missing end chunk, where nothing else is said to be missing.

    Raises:
        EOFError, struct.error: When the file ends within a chunk, or before the pixels.
        ChecksumError: When a checksum is not that of its chunk.
    """
    end = file.seek(0, io.SEEK_END)
    position, has_pixels = 8, False
    while True:
        if position == end and has_pixels:
            on_dropped(b"IEND")
            return
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        position += 12 + length
        if position > end:
            raise EOFError
        has_pixels |= kind == b"IDAT"
        is_kept = with_pixels or kind not in (b"IDAT", b"fdAT")
        checksum, data = _read(file, length, zlib.crc32(kind), is_kept=is_kept)
        if file.read(4) != struct.pack(">I", checksum):
            if not _can_be_spared(kind):
                raise ChecksumError(kind.decode("latin-1"))
            on_dropped(kind)
            continue
        if kind == b"IEND":
            return
        yield kind, data


def _can_be_spared(kind: bytes) -> bool:
    """Say whether the pictures can be decoded without a chunk: by its small first letter, but for an animation's."""
    return kind[:1].islower() and kind not in (b"acTL", b"fcTL", b"fdAT")


def _dropped(kind: bytes) -> str:
    if kind == b"IEND":
        return END_LOST
    what = "the transparent colours" if kind == b"tRNS" else f"the chunk {kind.decode('latin-1')}"
    return f"{what} (the checksum is wrong)"


def bare_png(file: BinaryIO) -> BinaryIO:
    """Return a file that has passed `inspect_png` without all that its pixels can do without.

    Pillow has limits for texts and profiles, and ends at a damaged one; it need not see them.
    """
    end = file.seek(0, io.SEEK_END)
    parts: list[Part] = [(0, len(SIGNATURE))]
    position, kind = len(SIGNATURE), b""
    while position < end and kind != b"IEND":
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind in (b"IHDR", b"PLTE", b"IDAT") or (kind == b"tRNS" and _is_sound(file, length)):
            parts.append((position, 12 + length))
        position += 12 + length
    return excerpt(file, [*parts, chunk_of(b"IEND", b"")])


def _has_all_pixels(file: BinaryIO) -> bool:
    """Say whether the compressed pixels of a file of one picture come to their end."""
    unpacker = zlib.decompressobj()
    try:
        for kind, data in read_chunks(file, with_pixels=True):
            rest = data if kind == b"IDAT" else b""
            while rest and not unpacker.eof:
                unpacker.decompress(rest, _BLOCK_BYTES)
                rest = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof


def _is_sound(file: BinaryIO, length: int) -> bool:
    """Say whether the chunk of transparent colours whose payload begins here has the right checksum."""
    return zlib.crc32(b"tRNS" + file.read(length)).to_bytes(4, "big") == file.read(4)


def _read(file: BinaryIO, length: int, checksum: int, *, is_kept: bool) -> tuple[int, bytes]:
    """Read a payload block by block; returns its checksum, and the payload itself if it is to be kept."""
    kept: list[bytes] = []
    while length:
        block = file.read(min(length, _BLOCK_BYTES))
        checksum = zlib.crc32(block, checksum)
        length -= len(block)
        if is_kept:
            kept.append(block)
    return checksum, b"".join(kept)


def _take(found: _Found, kind: bytes, data: bytes) -> None:
    """Sort one chunk into what was found."""
    match kind:
        case b"IHDR":
            found.header = Header._make(struct.unpack_from(">IIBBBBB", data))
        case b"acTL" | b"fcTL" | b"IDAT":
            _take_timing(found, kind, data)
        case b"eXIf":
            found.exif = without_prefix(data)
        case b"PLTE":
            found.palette = data
            if found.header is not None and found.header.colour_type != _PALETTE:
                found.left_out.append("the suggested palette (PLTE)")
        case b"iCCP":
            name, _, rest = data.partition(b"\0")
            found.icc = _inflated(rest[1:], "colour profile", found)
            found.icc_name = name if len(name) <= _MAX_NAME_BYTES else b""
        case b"iTXt" if data.startswith(XMP_KEYWORD + b"\0"):
            found.xmp = _packet(data, found)
        case b"pHYs" if data[8:9] == b"\1":
            horizontal, vertical = struct.unpack_from(">II", data)
            found.dpi = (horizontal * _METRES_PER_INCH, vertical * _METRES_PER_INCH)
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
    return 8 if header.colour_type == _PALETTE else header.depth


def _background(found: _Found, data: bytes) -> bytes | None:
    """Return a background colour as grey or RGB of 16 bits, whatever the pixels are; None where it says none."""
    if found.header is None:
        return None
    if found.header.colour_type == _PALETTE:
        colour = found.palette[3 * data[0] :][:3] if data else b""
        data = b"".join(bytes((0, level)) for level in colour)
    if len(data) != (6 if found.header.colour_type & 2 else 2):
        return None
    return _rescaled(data, _sample_bits(found.header), 16)


def _rescaled(levels: bytes, bits: int, wanted: int) -> bytes:
    """Return levels, 16-bit numbers of so many significant bits, as numbers of others, rounded."""
    numbers = (min(level, 2**bits - 1) for (level,) in struct.iter_unpack(">H", levels))
    white, wanted_white = 2**bits - 1, 2**wanted - 1
    return b"".join(struct.pack(">H", (level * wanted_white + white // 2) // white) for level in numbers)


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


def chunk_of(kind: bytes, data: bytes) -> bytes:
    """Return a whole chunk: length, type, payload and checksum."""
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))


class ChecksumError(Exception):
    """The name of the chunk."""
