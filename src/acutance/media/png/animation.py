"""Animated PNG files: their pictures are put together and taken apart here, for 8 and 16 bits alike.

Each picture is, but for the chunks it stands in, a PNG of its own; so the readers and writers of these do the rest.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import BinaryIO

from acutance.errors import UnsupportedImage
from acutance.geometry import Box, Size
from acutance.media.animation import Animation, Canvas, Disposal, bounding_box, cropped, differing
from acutance.media.container import Container, damaged
from acutance.media.photo import Photo
from acutance.media.pil import decoding
from acutance.media.png.chunks import SIGNATURE, Control, Header, chunk_of, metadata_chunks, read_chunks
from acutance.media.png.pixels import decode_png, encode_png

_DISPOSALS = {1: Disposal.CLEAR, 2: Disposal.RESTORE}
"""By the numbers of the format."""


def decode_apng(file: BinaryIO, container: Container, name: str) -> Iterator[Photo]:
    """Decode the pictures of an animation, each as it is seen: whole, with what stays of those before it."""
    header = next(Header.of(data) for kind, data in read_chunks(file))
    controls = [Control.of(data) for kind, data in read_chunks(file) if kind == b"fcTL"]
    size = Size(header.height, header.width)
    covers = bool(controls) and (controls[0].height, controls[0].width) == size
    canvas = Canvas(size, shows_below=not covers or any(control.disposal or control.is_blended for control in controls))
    for control, single in _singles(file, header):
        with decoding(name):
            pixels, alpha = decode_png(io.BytesIO(single), container, name)
        if control is None:
            yield canvas.alone(pixels, alpha)
            continue
        box = Box(control.top, control.left, control.top + control.height, control.left + control.width)
        if box.bottom > header.height or box.right > header.width or pixels.shape[:2] != box.size:
            raise damaged(name, "a picture of the animation reaches beyond it")
        disposal = _DISPOSALS.get(control.disposal, Disposal.NONE)
        yield canvas.shown(pixels, alpha, box, disposal, is_blended=bool(control.is_blended))


def _singles(file: BinaryIO, header: Header) -> Iterator[tuple[Control | None, bytes]]:
    """Yield each picture as a file of its own, with what is said of it; nothing of one that is not shown."""
    described: list[bytes] = []
    packed: list[bytes] = []
    control: Control | None = None
    for kind, data in read_chunks(file, with_pixels=True):
        if kind in (b"PLTE", b"tRNS"):
            described.append(chunk_of(kind, data))
        elif kind == b"IDAT":
            packed.append(data)
        elif kind == b"fdAT":
            packed.append(data[4:])
        elif kind == b"fcTL":
            if packed:
                yield control, _single(header, control, described, packed)
            control, packed = Control.of(data), []
    yield control, _single(header, control, described, packed)


def _single(header: Header, control: Control | None, described: list[bytes], packed: list[bytes]) -> bytes:
    if control is not None:
        header = header._replace(width=control.width, height=control.height)
    head = chunk_of(b"IHDR", header.payload)
    return SIGNATURE + head + b"".join(described) + chunk_of(b"IDAT", b"".join(packed)) + chunk_of(b"IEND", b"")


def encode_apng(photos: Iterable[Photo], animation: Animation) -> Iterator[bytes]:
    """Encode an animation, of each picture only what has changed.

    Args:
        photos: Whole pictures of one size, depth and kind (grey or colour, with transparency or without).
        animation: When they are shown.

    Raises:
        UnsupportedImage: When the pictures are of different kinds.
    """
    durations = iter(animation.durations_s)
    number, before, kind = 0, None, None
    for photo in photos:
        is_still = animation.has_still and kind is None
        box = Box(0, 0, *photo.size) if before is None else bounding_box(differing(before, photo))
        head, packed = _encoded(cropped(photo, box))
        if kind is None:
            kind = head[8:]
            yield SIGNATURE + chunk_of(b"IHDR", head)
            yield chunk_of(b"acTL", struct.pack(">II", len(animation.durations_s), animation.plays))
            yield metadata_chunks(photo.metadata, photo.bits)
        elif head[8:] != kind:
            raise UnsupportedImage("the pictures of the animation are of different kinds; save them apart.")
        is_in_front = is_still or (before is None and not animation.has_still)
        if not is_still:
            yield chunk_of(b"fcTL", struct.pack(">I", number) + _control(box, next(durations)))
            number += 1
            before = photo
        for data in packed:
            if is_in_front:
                yield chunk_of(b"IDAT", data)
            else:
                yield chunk_of(b"fdAT", struct.pack(">I", number) + data)
                number += 1
    yield chunk_of(b"IEND", b"")


def _control(box: Box, duration_s: Fraction) -> bytes:
    """Return what is said of a picture, behind its number: it replaces what is below, and stays."""
    fraction = duration_s.limit_denominator(65535)
    if fraction.numerator > 65535:
        fraction = Fraction(min(round(duration_s), 65535))
    height, width = box.size
    return struct.pack(">IIIIHHBB", width, height, box.left, box.top, fraction.numerator, fraction.denominator, 0, 0)


def _encoded(photo: Photo) -> tuple[bytes, list[bytes]]:
    """Encode a picture; return header and compressed pixels."""
    bare = Photo(pixels=photo.pixels, alpha=photo.alpha)
    chunks = list(read_chunks(io.BytesIO(b"".join(encode_png(bare))), with_pixels=True))
    return chunks[0][1], [data for kind, data in chunks if kind == b"IDAT"]
