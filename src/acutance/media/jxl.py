"""JPEG XL files, by pillow-jxl-plugin (extra `jxl`): read in 8 or 16 bits, and written as PNG.

The package writes neither colour profiles nor colours of 16 bits, so results are PNG, which holds both. Size and motion
are found here, before anything is decoded.
"""

from __future__ import annotations

import importlib.util
import io
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from acutance.geometry import Size
from acutance.media.boxes import MAX_CONTENT_BYTES, boxes_of, content_of
from acutance.media.container import CREDENTIALS_LOST, Container, Decoded, colours_and_alpha, damaged, missing, refused
from acutance.media.exif import with_orientation
from acutance.media.format import Format, begins
from acutance.media.jpeg.pixels import decode_jpeg
from acutance.media.jpeg.reading import inspect_jpeg
from acutance.media.photo import Metadata
from acutance.media.xmp import upright_packet

NOTE = "JPEG XL (written as PNG)"
MAX_PIXELS = 100_000_000
"""More are refused before decoding: the colour profile is known only behind that."""

_STREAM, _BOX = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_HEAD_BYTES = 64
_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width by height, by their numbers in the file."""


def is_installed() -> bool:
    """Say whether the extra is there."""
    return importlib.util.find_spec("pillow_jxl") is not None


class _Bits:
    """A stream of bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise EOFError
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def side(self, *, is_small: int) -> int:
        if is_small:
            return (self.take(5) + 1) * 8
        return 1 + self.take((9, 13, 18, 30)[self.take(2)])


def inspect_jxl(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a JPEG XL file."""
    if not is_installed():
        raise missing(name, "a JPEG XL picture", "jxl")
    size, is_animated = _header(_Bits(_stream(file)[len(_STREAM) :]))
    exif, xmp, lost = _described(file)
    if is_animated:
        raise refused(name, "an animation in JPEG XL", "save it as animated WebP, PNG or GIF first")
    if size.pixels > MAX_PIXELS:
        what = f"a JPEG XL picture of more than {MAX_PIXELS // 10**6} megapixels"
        raise refused(name, what, "save it as PNG or TIFF with another program first")
    jpeg, values, icc = _decoded(file, name)
    if jpeg is not None:
        container = inspect_jpeg(io.BytesIO(jpeg), name)
        left_out = (*container.metadata.left_out, *lost, NOTE)
        metadata = replace(container.metadata, source_format="PNG", coding=None, left_out=left_out)
        return container._replace(metadata=metadata)
    metadata = Metadata(
        source_format="PNG",
        exif=None if exif is None else with_orientation(exif, 1),
        icc_profile=icc,
        xmp=None if xmp is None else upright_packet(xmp),
        left_out=(*lost, NOTE),
    )
    return Container(Size(*values.shape[:2]), metadata, bits=8 * values.itemsize)


def decode_jxl(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a JPEG XL file, upright; what was a JPEG, as that.

    Returns:
        Pixels, `h w c` with c = 1 or 3, and alpha, `h w`, or None; uint8, or uint16 where there are more bits.
    """
    jpeg, values, _ = _decoded(file, name)
    if jpeg is not None:
        return decode_jpeg(io.BytesIO(jpeg), container, name)
    return colours_and_alpha(values)


def _decoded(file: BinaryIO, name: str) -> tuple[bytes | None, np.ndarray, bytes | None]:
    """Return the JPEG file from which a file was made without loss, or else its values, `h w c`, and colour profile."""
    from pillow_jxl import Decoder

    file.seek(0)
    try:
        is_jpeg, info, data, icc, _ = Decoder(num_threads=-1)(file.read())
    except Exception as error:
        raise damaged(name, "its pixels cannot be decoded") from error
    if is_jpeg:
        return bytes(data), np.empty((0, 0, 0), np.uint8), None
    channels = info.num_channels + info.has_alpha_channel
    bits = 8 * len(data) // max(info.width * info.height * channels, 1)
    if bits not in (8, 16) or channels > 4 or str(info.mode).startswith("F"):
        raise refused(name, "a JPEG XL picture of floating-point numbers", "save it with 16 bits per channel first")
    values = np.frombuffer(data, f"u{bits // 8}").reshape(info.height, info.width, -1)
    return None, values, bytes(icc) if icc else None


def _stream(file: BinaryIO) -> bytes:
    """Return how the codestream begins, which may stand in boxes."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if head.startswith(_STREAM):
        return head
    for kind, start, length in boxes_of(file, 0, file.seek(0, io.SEEK_END)):
        if kind in (b"jxlc", b"jxlp"):
            skipped = 4 if kind == b"jxlp" else 0
            return content_of(file, start + skipped, min(length - skipped, _HEAD_BYTES))
    raise EOFError


def _header(bits: _Bits) -> tuple[Size, bool]:
    """Return the size, and whether the pictures move."""
    size = _size(bits)
    is_animated = False
    if not bits.take(1) and bits.take(1):  # not all as usual, and more fields than usual
        bits.take(3)  # the orientation, which the decoder applies
        if bits.take(1):
            _size(bits)  # at which it is meant to be shown
        has_preview = bits.take(1)
        is_animated = not has_preview and bool(bits.take(1))
    return size, is_animated


def _size(bits: _Bits) -> Size:
    is_small = bits.take(1)
    height = bits.side(is_small=is_small)
    width, divisor = _RATIOS[bits.take(3)]
    return Size(height, height * width // divisor if width else bits.side(is_small=is_small))


def _described(file: BinaryIO) -> tuple[bytes | None, bytes | None, tuple[str, ...]]:
    """Return EXIF and XMP as they stand in boxes, and what of the others is lost, in words."""
    exif, xmp, lost = None, None, dict[str, None]()
    file.seek(0)
    if file.read(len(_STREAM)) == _STREAM:
        return None, None, ()
    for kind, start, length in boxes_of(file, 0, file.seek(0, io.SEEK_END)):
        if kind in (b"Exif", b"xml ", b"brob") and length <= MAX_CONTENT_BYTES:
            content = content_of(file, start, length)
            if kind == b"Exif":
                is_bare = content[:4] in (b"II*\0", b"MM\0*")  # some writers leave out where the block begins
                exif = content if is_bare else content[4 + int.from_bytes(content[:4], "big") :]
            elif kind == b"xml ":
                xmp = content
            elif content[:4] in (b"Exif", b"xml "):
                lost["packed metadata (EXIF or XMP)"] = None
        elif kind == b"jumb":
            lost[CREDENTIALS_LOST] = None
    return exif, xmp, tuple(lost)


JXL = Format(
    name="JXL",
    label="JPEG XL",
    query="jxl",
    media_type="image/jxl",
    other_suffixes=(".jxl",),
    written_as="PNG",
    sniff=begins(_STREAM, _BOX),
    inspect=inspect_jxl,
    decode=decode_jxl,
    extra="jxl",
    pixels="8 or 16 bit grey, RGB, with transparency",
    coding="a PNG",
)
