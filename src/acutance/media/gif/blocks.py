"""The blocks of a GIF file: what stands around and between its pictures, and when these are shown."""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO, NamedTuple

from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.container import exactly
from acutance.media.photo import Metadata

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
CONTROL, COMMENT, APPLICATION = 0xF9, 0xFE, 0xFF
LOOP, LOOP_OLD, ICC, XMP = b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012", b"XMP DataXMP"
CREDENTIALS = b"C2PA_GIF"
"""How the name of a block with content credentials begins."""
XMP_TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"
"""Makes a reader that takes the packet for blocks of a given length find the end, wherever it stands."""
_MAX_PLAYS = 65536
_HUNDREDTHS = 100


class Control(NamedTuple):
    """What the block before a picture says of it."""

    disposal: int = 0
    """What is done with the picture when its time is over: 2 clears its place, 3 brings back what was there."""
    transparent: int | None = None
    """Number of the colour that shows what is below."""
    delay: int = 0
    """How long it is shown, in hundredths of a second."""


class Image(NamedTuple):
    """A picture: its place, its colours and its compressed pixels."""

    left: int
    top: int
    size: Size
    flags: int
    palette: bytes
    """Its own; empty where it uses that of the file."""
    data: bytes


@dataclass(slots=True)
class GifFile:
    """All blocks of a file."""

    size: Size
    """Of the screen: as the file says, or larger where the first picture reaches beyond that. Later ones are cut off at
    it, as in browsers."""
    palette: bytes = b""
    images: list[tuple[Control, Image]] = field(default_factory=list)
    plays: int = 1
    comments: list[bytes] = field(default_factory=list)
    icc: bytes | None = None
    xmp: bytes | None = None
    pixel_ratio: float = 1.0
    """How many times as wide as high a pixel is."""
    has_credentials: bool = False
    """Whether it is signed (C2PA)."""
    is_whole: bool = False
    """Whether nothing can be missing behind the pictures: the end mark is there, or a single picture ends the file."""

    @property
    def animation(self) -> Animation | None:
        """When the pictures are shown; None for a file of one."""
        if len(self.images) < 2:
            return None
        durations = tuple(Fraction(control.delay, _HUNDREDTHS) for control, _ in self.images)
        return Animation(durations_s=durations, plays=self.plays)

    @property
    def is_covered(self) -> bool:
        """Whether the first picture takes the whole screen."""
        first = self.images[0][1]
        return (first.left, first.top) == (0, 0) and first.size == self.size

    @property
    def is_opaque(self) -> bool:
        """Whether no picture shows what lies behind the file."""
        return self.is_covered and not any(
            control.transparent is not None or control.disposal > 1 for control, _ in self.images
        )


def read_gif(file: BinaryIO) -> GifFile:
    """Read the blocks of a file.

    They end, as in browsers, where something else stands than a block, or half of one.

    Raises:
        EOFError, struct.error: When the file ends within its header, or within a picture.
    """
    file.seek(6)
    width, height, flags, _, aspect = struct.unpack("<HHBBB", exactly(file, 7))
    found = GifFile(Size(height, width), _palette(file, flags))
    if aspect:
        found.pixel_ratio = (aspect + 15) / 64
    found.is_whole = _read_blocks(found, file)
    if found.images:
        first = found.images[0][1]
        bottom, right = first.top + first.size.height, first.left + first.size.width
        found.size = Size(max(height, bottom), max(width, right))
    return found


def _read_blocks(found: GifFile, file: BinaryIO) -> bool:
    """Read pictures and extensions; say whether nothing can be missing behind them."""
    control = Control()
    while head := file.read(1):
        if head[0] == TRAILER:
            return True
        if head[0] == IMAGE:
            found.images.append((control, _image(file)))
            control = Control()
        elif head[0] == EXTENSION:
            try:
                control = _take(found, file, control)
            except EOFError:
                return False
        elif head[0]:  # stray zeros are seen between blocks, and passed over by everybody
            return False
    return len(found.images) == 1


def _take(found: GifFile, file: BinaryIO, control: Control) -> Control:
    """Sort an extension into what was found; returns what holds for the next picture."""
    label = exactly(file, 1)[0]
    if label == APPLICATION:
        _take_application(found, file)
        return control
    data = b"".join(_sub_blocks(file))
    if label == COMMENT:
        found.comments.append(data)
    elif label == CONTROL and len(data) >= 4:
        transparent = data[3] if data[0] & 1 else None
        return Control(data[0] >> 2 & 7, transparent, int.from_bytes(data[1:3], "little"))
    return control


def _take_application(found: GifFile, file: BinaryIO) -> None:
    name = exactly(file, exactly(file, 1)[0])
    if name == XMP:
        # The packet stands there as it is. Read as blocks, it ends where they do, thanks to its trailer.
        packet, end, _ = _as_they_stand(file, file.tell()).partition(XMP_TRAILER)
        found.xmp = packet if end else None
        return
    data = b"".join(_sub_blocks(file))
    if name == ICC:
        found.icc = data
    elif name.startswith(CREDENTIALS):
        found.has_credentials = True
    elif name in (LOOP, LOOP_OLD) and data[:1] == b"\1" and len(data) >= 3:
        again = int.from_bytes(data[1:3], "little")
        found.plays = again + 1 if again else 0


def _image(file: BinaryIO) -> Image:
    left, top, width, height, flags = struct.unpack("<HHHHB", exactly(file, 9))
    palette = _palette(file, flags)
    start = file.tell()
    exactly(file, 1)
    return Image(left, top, Size(height, width), flags, palette, _as_they_stand(file, start))


def _palette(file: BinaryIO, flags: int) -> bytes:
    return exactly(file, 3 * 2 ** ((flags & 7) + 1)) if flags & 0x80 else b""


def _as_they_stand(file: BinaryIO, start: int) -> bytes:
    """Return the bytes from a place on to the end of the blocks before which the file stands."""
    deque(_sub_blocks(file), maxlen=0)
    length = file.tell() - start
    file.seek(start)
    return file.read(length)


def _sub_blocks(file: BinaryIO) -> Iterator[bytes]:
    while length := exactly(file, 1)[0]:
        yield exactly(file, length)


def head_of(size: Size, animation: Animation | None) -> bytes:
    """Return how a file begins whose pictures have palettes of their own."""
    head = b"GIF89a" + struct.pack("<HHBBB", size.width, size.height, 0x70, 0, 0)
    if animation is None or animation.plays == 1:
        return head
    again = min(animation.plays, _MAX_PLAYS) - 1 if animation.plays else 0
    return head + _extension(APPLICATION, LOOP, struct.pack("<BH", 1, again))


def descriptions(metadata: Metadata) -> bytes:
    """Return the blocks that hold metadata."""
    parts = [] if metadata.icc_profile is None else [_extension(APPLICATION, ICC, metadata.icc_profile)]
    if metadata.xmp is not None:
        parts.append(bytes((EXTENSION, APPLICATION, len(XMP))) + XMP + metadata.xmp + XMP_TRAILER)
    parts += [bytes((EXTENSION, COMMENT)) + _cut(comment) for comment in metadata.comments if comment]
    return b"".join(parts)


def alone(file: GifFile, image: Image) -> bytes:
    """Return a picture of a file as a file of its own, in which it lies at the top left."""
    head = struct.pack("<HHBBB", image.size.width, image.size.height, 0, 0, 0)
    picture = _with_palette(file, image)._replace(left=0, top=0)
    return b"GIF89a" + head + image_of(picture) + bytes((TRAILER,))


def _with_palette(file: GifFile, image: Image) -> Image:
    """Return a picture with a palette of its own, if there is any."""
    palette = image.palette or file.palette
    bits = (len(palette) // 3 - 1).bit_length() or 1
    return image._replace(palette=palette, flags=image.flags & 0x40 | (0x80 | bits - 1 if palette else 0))


def control_of(control: Control) -> bytes:
    """Return the block that stands before a picture."""
    flags = control.disposal << 2 | (control.transparent is not None)
    delay = min(control.delay, 65535)
    return bytes((EXTENSION, CONTROL, 4)) + struct.pack("<BHBB", flags, delay, control.transparent or 0, 0)


def image_of(image: Image) -> bytes:
    """Return a picture's block."""
    head = struct.pack("<BHHHHB", IMAGE, image.left, image.top, image.size.width, image.size.height, image.flags)
    return head + image.palette + image.data


def _extension(label: int, name: bytes, data: bytes) -> bytes:
    return bytes((EXTENSION, label, len(name))) + name + _cut(data)


def _cut(data: bytes) -> bytes:
    """Return data as blocks of at most 255 bytes, and the empty one that ends them."""
    pieces = (data[start : start + 255] for start in range(0, len(data), 255))
    return b"".join(bytes((len(piece),)) + piece for piece in pieces) + b"\0"


def first_image(encoded: bytes) -> tuple[Control, Image]:
    """Return the only picture of a file, with a palette of its own."""
    file = read_gif(io.BytesIO(encoded))
    control, image = file.images[0]
    return control, _with_palette(file, image)
