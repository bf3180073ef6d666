"""WebP files around their pixels: chunks of a RIFF file.

libwebp inside Pillow decodes and encodes the pixels. Animations are put together here: its own encoder joins pictures
that look alike.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

from PIL.WebPImagePlugin import WebPImageFile

from acutance.geometry import Size
from acutance.media.animation import Animation, bounding_box, cropped, differing
from acutance.media.container import CREDENTIALS_LOST, Container, damaged
from acutance.media.exif import without_prefix
from acutance.media.format import Format, Frames
from acutance.media.photo import Metadata, Photo, WebpCoding
from acutance.media.pil import decode_with, frames_with, picture_of

QUALITY = 95
"""Quality of a lossy WebP. The files do not say at what quality they were written."""

_KEPT = (b"VP8X", b"ICCP", b"EXIF", b"XMP ", b"XMP\0")
_KNOWN = frozenset((*_KEPT, b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"))
_PIXELS = (b"VP8 ", b"VP8L")
_PIXEL_HEAD_BYTES = 10
_FRAME_HEAD_BYTES = 16
_ICC, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
_OVERWRITES = 0x02
"""Flag of a picture that replaces what is below, its transparency included."""
_MAX_DURATION_MS = 2**24 - 1


def inspect_webp(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a WebP file."""
    listed = list(_chunks(file))
    chunks = dict(listed)
    frames = [data for kind, data in listed if kind == b"ANMF"]
    if frames:
        kind = frames[0][_FRAME_HEAD_BYTES : _FRAME_HEAD_BYTES + 4]
        chunks.setdefault(b"VP8L" if kind == b"VP8L" else b"VP8 ", b"")
    size = _size(chunks)
    if size is None:
        raise damaged(name, "it has no picture")
    exif = chunks.get(b"EXIF")
    metadata = Metadata(
        source_format="WEBP",
        exif=None if exif is None else without_prefix(exif),
        icc_profile=chunks.get(b"ICCP"),
        xmp=chunks.get(b"XMP ", chunks.get(b"XMP\0")),  # as some programs have called it
        coding=WebpCoding(is_lossless=b"VP8L" in chunks, background=chunks.get(b"ANIM", b"")[:4].ljust(4, b"\0")),
        left_out=tuple(_lost_chunks(listed)),
    )
    return Container(size, metadata, animation=_animation(chunks, frames))


def _lost_chunks(listed: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield what is said of chunks that nothing is known of."""
    for kind in dict.fromkeys(kind for kind, _ in listed if kind not in _KNOWN):
        if kind == b"C2PA":
            yield CREDENTIALS_LOST
            continue
        yield f"the chunk {kind.decode('ascii', 'backslashreplace').strip()} of the WebP file"


def _animation(chunks: dict[bytes, bytes], frames: list[bytes]) -> Animation | None:
    if len(frames) < 2:
        return None
    durations = tuple(Fraction(int.from_bytes(frame[12:15], "little"), 1000) for frame in frames)
    return Animation(durations_s=durations, plays=int.from_bytes(chunks.get(b"ANIM", b"")[4:6], "little"))


def encode_webp(photo: Photo) -> tuple[bytes, ...]:
    """Encode a photo: lossless if its source is a lossless WebP, otherwise at quality 95; grey is written as RGB."""
    metadata = photo.metadata
    is_lossless = isinstance(metadata.coding, WebpCoding) and metadata.coding.is_lossless
    buffer = io.BytesIO()
    picture_of(photo).save(
        buffer,
        "WEBP",
        lossless=is_lossless,
        exact=is_lossless,  # keep the colour of transparent pixels, too
        quality=75 if is_lossless else QUALITY,  # for lossless this is effort, and 75 is libwebp's choice
        exif=metadata.exif or b"",
        icc_profile=metadata.icc_profile or b"",
        xmp=metadata.xmp or b"",
    )
    return (buffer.getvalue(),)


def encode_webp_frames(photos: Iterable[Photo], animation: Animation) -> tuple[bytes, ...]:
    """Encode an animation, of each picture only what has changed; see `encode_webp`.

    Args:
        photos: Whole pictures of one size and 8 bits, all with transparency or none.
        animation: When they are shown; WebP counts thousandths of a second.
    """
    frames: list[bytes] = []
    before: Photo | None = None
    for photo, duration in zip(photos, animation.durations_s, strict=True):
        frames.append(_chunk(b"ANMF", _frame(photo, before, min(round(duration * 1000), _MAX_DURATION_MS))))
        before = photo
    if before is None:
        raise ValueError("no picture")
    metadata = before.metadata
    kinds = ((b"ICCP", _ICC, metadata.icc_profile), (b"EXIF", _EXIF, metadata.exif), (b"XMP ", _XMP, metadata.xmp))
    flags = _ANIMATION | sum(flag for _, flag, data in kinds if data) | (_ALPHA if before.alpha is not None else 0)
    sides = b"".join((side - 1).to_bytes(3, "little") for side in reversed(before.size))
    described = [_chunk(kind, data) if data else b"" for kind, _, data in kinds]
    background = metadata.coding.background if isinstance(metadata.coding, WebpCoding) else bytes(4)
    parts = [
        _chunk(b"VP8X", bytes((flags, 0, 0, 0)) + sides),
        described[0],
        _chunk(b"ANIM", background + struct.pack("<H", min(animation.plays, 65535))),
        *frames,
        *described[1:],
    ]
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, parts))) + b"WEBP", *parts


def _frame(photo: Photo, before: Photo | None, duration_ms: int) -> bytes:
    """Return the content of a picture's chunk."""
    left = top = 0
    if before is not None:
        box = bounding_box(differing(before, photo))
        top, left = box.top // 2 * 2, box.left // 2 * 2  # the format halves them
        photo = cropped(photo, box._replace(top=top, left=left))
    (encoded,) = encode_webp(replace(photo, metadata=Metadata(coding=photo.metadata.coding)))
    chunks = _chunks(io.BytesIO(encoded), with_pixels=True)
    pixels = b"".join(_chunk(kind, data) for kind, data in chunks if kind in (b"ALPH", b"VP8 ", b"VP8L"))
    numbers = (left // 2, top // 2, photo.size.width - 1, photo.size.height - 1, duration_ms)
    return b"".join(number.to_bytes(3, "little") for number in numbers) + bytes((_OVERWRITES,)) + pixels


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(data)) + data + b"\0" * (len(data) % 2)


def _chunks(file: BinaryIO, *, with_pixels: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """Yield types and payloads; without pixels, of theirs only the beginning.

    Raises:
        EOFError: When the file is shorter than it says.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(4)
    (length,) = struct.unpack("<I", file.read(4))
    stop = 8 + length
    if stop > end + 1:  # some writers count a padding byte that they do not write
        raise EOFError
    position = 12
    while position + 8 <= stop:
        file.seek(position)
        kind, size = struct.unpack("<4sI", file.read(8))
        if position + 8 + size > end:
            raise EOFError
        wanted = size if with_pixels or kind in _KEPT else min(size, _FRAME_HEAD_BYTES + _PIXEL_HEAD_BYTES)
        yield kind, file.read(wanted)
        position += 8 + size + size % 2


def _size(chunks: dict[bytes, bytes]) -> Size | None:
    """Return height and width as the headers say; None without a picture."""
    if not any(kind in chunks for kind in _PIXELS):
        return None
    if len(canvas := chunks.get(b"VP8X", b"")) >= 10:
        width, height = (int.from_bytes(canvas[start : start + 3], "little") + 1 for start in (4, 7))
        return Size(height, width)
    if len(head := chunks.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(head[1:5], "little")
        return Size((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if len(head := chunks.get(b"VP8 ", b"")) >= 10:
        width, height = struct.unpack_from("<HH", head, 6)
        return Size(height & 0x3FFF, width & 0x3FFF)
    return None


WEBP = Format(
    name="WEBP",
    label="WebP",
    query="webp",
    media_type="image/webp",
    suffixes=(".webp",),
    sniff=lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    inspect=inspect_webp,
    decode=decode_with(WebPImageFile),
    encode=encode_webp,
    frames=Frames(decode=frames_with(WebPImageFile), encode=encode_webp_frames, per_second=1000),
    holds=frozenset(("exif", "xmp", "icc")),
    grey_profiles="not held",
    max_side_px=16_383,
    pixels="8 bit RGB, with transparency",
    coding="lossless stays lossless, lossy is written at quality 95",
)
