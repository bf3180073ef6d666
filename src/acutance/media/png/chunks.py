"""The chunks of PNG files: read one by one, and written before the pixels.

They are carried as bytes, so texts keep their encoding. All checksums are verified, because Pillow leaves those of the
pixels unread.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import numpy as np

from acutance.media.container import METRES_PER_INCH, rescaled
from acutance.media.excerpt import Part, excerpt
from acutance.media.photo import Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
"""What the numbers of the pixels mean, besides the ICC profile. They hold for the result as well, since no
colour is converted, though the specification does not call them safe to copy."""
_DEFAULT_NAME = b"ICC Profile"
"""Of a colour profile."""

_BLOCK_BYTES = 2**20

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of the colour types, transparency included; a palette's numbers are one."""
PALETTE = 3
"""The colour type of pictures with one."""
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Of interlaced pictures: first row and column, and the steps from one to the next."""


class Header(NamedTuple):
    """The payload of IHDR."""

    width: int
    height: int
    depth: int
    colour_type: int
    compression: int
    filters: int
    is_interlaced: int

    @classmethod
    def of(cls, data: bytes) -> Header:
        """Read a payload."""
        return cls._make(struct.unpack_from(">IIBBBBB", data))

    @property
    def payload(self) -> bytes:
        """As it stands in the file."""
        return struct.pack(">IIBBBBB", *self)

    @property
    def row_bytes(self) -> int:
        """Bytes of an unpacked row that is not interlaced, the number of its filter in front."""
        return self._row_bytes(self.width)

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of all unpacked rows, with the numbers of their filters."""
        if not self.is_interlaced:
            return self.height * self.row_bytes
        sizes = ((-(-(self.height - y) // dy), -(-(self.width - x) // dx)) for y, x, dy, dx in _PASSES)
        return sum(rows * self._row_bytes(columns) for rows, columns in sizes if rows > 0 and columns > 0)

    def _row_bytes(self, width: int) -> int:
        return 1 + (width * CHANNELS[self.colour_type] * self.depth + 7) // 8


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
        per_metre = (min(round(value / METRES_PER_INCH), 2**31 - 1) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", *per_metre, 1)
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    if metadata.xmp is not None:
        yield b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp
    for kind, data in metadata.png_chunks:
        yield kind, colour_in(data, 16, bits) if kind == b"bKGD" else data


def read_chunks(
    file: BinaryIO, *, with_pixels: bool = False, on_dropped: Callable[[bytes], None] = lambda kind: None
) -> Iterator[tuple[bytes, bytes]]:
    """Yield types and payloads up to the end chunk; without pixels, theirs are checked, and given as empty.

    Args:
        file: A PNG file.
        with_pixels: Whether the payloads of the pixels are wanted.
        on_dropped: Is told the type of a chunk that the pictures can do without and whose checksum is wrong; it is
            passed over. So is it of a missing end chunk, where nothing else is said to be missing.

    Raises:
        EOFError: When the file ends within a chunk, or before the pixels.
        ChecksumError: When a checksum is not that of its chunk.
    """
    end, behind, has_pixels = file.seek(0, io.SEEK_END), len(SIGNATURE), False
    for kind, start, length in places_of(file):
        behind = start + length + 4
        if behind > end:
            raise EOFError
        has_pixels |= kind == b"IDAT"
        is_kept = with_pixels or kind not in (b"IDAT", b"fdAT")
        checksum, data = _read(file, length, zlib.crc32(kind), is_kept=is_kept)
        if file.read(4) == checksum.to_bytes(4, "big"):
            if kind == b"IEND":
                return
            yield kind, data
        elif _can_be_spared(kind):
            on_dropped(kind)
        else:
            raise ChecksumError(kind.decode("latin-1"))
    if behind != end or not has_pixels:
        raise EOFError
    on_dropped(b"IEND")


def unpacked(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Yield the unpacked pixels of a file of one picture that has passed `inspect_png`, in pieces.

    With each goes whether the packed ones have come to their end.

    Raises:
        zlib.error: When they are damaged.
    """
    unpacker = zlib.decompressobj()
    for kind, start, length in places_of(file):
        for place in range(start, start + length if kind == b"IDAT" else start, _BLOCK_BYTES):
            file.seek(place)  # whoever reads may have moved in between
            rest = file.read(min(start + length - place, _BLOCK_BYTES))
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, _BLOCK_BYTES), unpacker.eof
                rest = unpacker.unconsumed_tail


def unpacked_size(file: BinaryIO, enough: int) -> tuple[int, bool]:
    """Return how many bytes the unpacked pixels are, at most about `enough`, and whether they come to their end."""
    count = 0
    with contextlib.suppress(zlib.error):
        for data, is_end in unpacked(file):
            count += len(data)
            if is_end or count >= enough:
                return count, is_end
    return count, False


def _can_be_spared(kind: bytes) -> bool:
    """Say whether the pictures can be decoded without a chunk: by its small first letter, but for an animation's."""
    return kind[:1].islower() and kind not in (b"acTL", b"fcTL", b"fdAT")


def places_of(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and length of the payload of each chunk up to the end chunk, with the file standing there."""
    end, position = file.seek(0, io.SEEK_END), len(SIGNATURE)
    while position + 8 <= end:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        yield kind, position + 8, length
        if kind == b"IEND":
            return
        position += 12 + length


def bare_png(file: BinaryIO) -> BinaryIO:
    """Return a file that has passed `inspect_png` without all that its pixels can do without.

    Pillow has limits for texts and profiles, and ends at a damaged one; it need not see them.
    """
    parts: list[Part] = [(0, len(SIGNATURE))]
    for kind, start, length in places_of(file):
        if kind in (b"IHDR", b"PLTE", b"IDAT") or (kind == b"tRNS" and _is_sound(file, length)):
            parts.append((start - 8, 12 + length))
    return excerpt(file, [*parts, chunk_of(b"IEND", b"")])


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


def colour_in(levels: bytes, bits: int, wanted: int) -> bytes:
    """Return levels, 16-bit numbers of so many significant bits, as numbers of others, rounded."""
    white = 2**bits - 1
    return rescaled(np.minimum(np.frombuffer(levels, ">u2"), white), white, 2**wanted - 1).astype(">u2").tobytes()


def chunk_of(kind: bytes, data: bytes) -> bytes:
    """Return a whole chunk: length, type, payload and checksum."""
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))


class ChecksumError(Exception):
    """The name of the chunk."""
