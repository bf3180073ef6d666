"""JPEG 2000 files around their pixels: the boxes of a JP2 file.

Pillow decodes and encodes the pixels, but neither reads nor writes colour profiles and metadata. A bare codestream
has no boxes; its result is a JP2 file.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from acutance.geometry import Size
from acutance.media.boxes import MAX_CONTENT_BYTES, box_of, boxes_of, content_of
from acutance.media.container import METRES_PER_INCH, Container, damaged, depth_notes, refused, too_deep
from acutance.media.exif import without_prefix
from acutance.media.format import Format, begins
from acutance.media.photo import Jpeg2000Coding, Metadata, Photo
from acutance.media.pil import decode_with, picture_of

LOSSY_PSNR_DB = 45.0
"""How near a lossy picture is written to what it shall be; the files do not say how near they were."""

EXIF_UUID = b"JpgTiffExif->JP2"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
PHOTOSHOP_UUID = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")

_CODESTREAM = b"\xff\x4f\xff\x51"
_EXPECTED = frozenset((b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"uuid", b"free", b"rreq"))
_CMYK = 12
_COD = 0x52


@dataclass(slots=True)
class _Found:
    """What the boxes gave, as they came."""

    size: Size | None = None
    bits: int = 8
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    dpi: tuple[float, float] | None = None
    boxes: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_cmyk: bool = False
    has_palette: bool = False
    is_lossless: bool | None = None
    left_out: list[str] = field(default_factory=list)


def inspect_jpeg2000(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a JPEG 2000 file."""
    found = _Found()
    file.seek(0)
    if file.read(4) == _CODESTREAM:
        _take_codestream(found, file, 0)
    else:
        for box in boxes_of(file, 0, file.seek(0, io.SEEK_END)):
            _take(found, file, *box)
    if found.size is None:
        raise damaged(name, "it has no picture")
    if found.bits > 8:
        raise too_deep(name, found.bits)
    if found.is_cmyk:
        raise refused(name, "a CMYK picture", "convert it to RGB, with its colour profile, first")
    found.left_out += depth_notes(8, has_palette=found.has_palette)
    metadata = Metadata(
        source_format="JPEG2000",
        exif=found.exif,
        icc_profile=found.icc,
        xmp=found.xmp,
        photoshop=found.photoshop,
        dpi=found.dpi,
        jp2_boxes=tuple(found.boxes),
        coding=Jpeg2000Coding(is_lossless=bool(found.is_lossless)),
        left_out=tuple(dict.fromkeys(found.left_out)),
    )
    return Container(found.size, metadata)


def encode_jpeg2000(photo: Photo) -> tuple[bytes, ...]:
    """Encode a photo as JP2: without loss, unless it comes from a lossy JPEG 2000 file."""
    image, metadata = picture_of(photo), photo.metadata
    is_lossy = isinstance(metadata.coding, Jpeg2000Coding) and not metadata.coding.is_lossless
    options = {"irreversible": True, "quality_mode": "dB", "quality_layers": [LOSSY_PSNR_DB]} if is_lossy else {}
    buffer = io.BytesIO()
    image.save(buffer, "JPEG2000", mct=1 if image.mode.startswith("RGB") else 0, **options)
    uuids = ((EXIF_UUID, metadata.exif), (XMP_UUID, metadata.xmp), (PHOTOSHOP_UUID, metadata.photoshop))
    parts: list[bytes] = []
    for kind, start, length in boxes_of(buffer, 0, buffer.getbuffer().nbytes):
        content = content_of(buffer, start, length)
        if kind == b"jp2h":
            content = _described(content, metadata)
        if kind == b"jp2c":
            parts += [box_of(b"uuid", uuid + data) for uuid, data in uuids if data is not None]
            parts += [box_of(*box) for box in metadata.jp2_boxes]
        parts.append(box_of(kind, content))
    return tuple(parts)


def _described(header: bytes, metadata: Metadata) -> bytes:
    """Return the content of a header box with the colour profile in place of a colour space, and the resolution."""
    parts: list[bytes] = []
    for kind, start, length in boxes_of(io.BytesIO(header), 0, len(header)):
        content = header[start : start + length]
        if kind == b"colr" and metadata.icc_profile is not None:
            content = b"\2\0\0" + metadata.icc_profile
        parts.append(box_of(kind, content))
    if metadata.dpi is not None:
        horizontal, vertical = (struct.pack(">HHb", *_fraction(value / METRES_PER_INCH)) for value in metadata.dpi)
        numbers = vertical[:4] + horizontal[:4] + vertical[4:] + horizontal[4:]
        parts.append(box_of(b"res ", box_of(b"resc", numbers) + box_of(b"resd", numbers)))
    return b"".join(parts)


def _fraction(per_metre: float) -> tuple[int, int, int]:
    """Return a number as numerator, denominator and power of ten of 16, 16 and 8 bits."""
    power = 0
    while per_metre > 65535:
        per_metre, power = per_metre / 10, power + 1
    denominator = max(min(int(65535 / max(per_metre, 1)), 10_000), 1)
    return max(round(per_metre * denominator), 1), denominator, power


def _take(found: _Found, file: BinaryIO, kind: bytes, start: int, length: int) -> None:
    """Sort one box of the file into what was found."""
    if kind == b"jp2h":
        for inner, place, size in boxes_of(file, start, start + length):
            _take_description(found, file, inner, place, size)
    elif kind == b"jp2c":
        _take_codestream(found, file, start)
    elif kind == b"uuid" and length < MAX_CONTENT_BYTES:
        _take_uuid(found, content_of(file, start, length))
    elif kind == b"xml " and length < MAX_CONTENT_BYTES:
        found.boxes.append((kind, content_of(file, start, length)))
    elif kind not in _EXPECTED:
        found.left_out.append("further boxes of the JPEG 2000 file")


def _take_uuid(found: _Found, content: bytes) -> None:
    """Sort a box by the name that its content begins with."""
    if len(content) < 16:
        raise EOFError
    uuid, data = content[:16], content[16:]
    if uuid == EXIF_UUID:
        found.exif = without_prefix(data)
    elif uuid == XMP_UUID:
        found.xmp = data
    elif uuid == PHOTOSHOP_UUID:
        found.photoshop = data
    else:  # such as GeoJP2's, or captions in IPTC form
        found.boxes.append((b"uuid", content))


def _take_description(found: _Found, file: BinaryIO, kind: bytes, start: int, length: int) -> None:
    """Sort one box of the header into what was found."""
    content = content_of(file, start, length)
    if kind == b"colr" and found.icc is None:
        if content[0] in (2, 3):
            found.icc = content[3:]
        else:
            found.is_cmyk = struct.unpack_from(">I", content, 3) == (_CMYK,)
    elif kind == b"pclr":
        found.has_palette = True
    elif kind == b"res ":
        for _, place, size in boxes_of(file, start, start + length):
            found.dpi = found.dpi or _dpi(content_of(file, place, size))


def _dpi(numbers: bytes) -> tuple[float, float] | None:
    v_numerator, v_denominator, h_numerator, h_denominator, v_power, h_power = struct.unpack_from(">4H2b", numbers)
    if not (v_numerator and v_denominator and h_numerator and h_denominator):
        return None
    horizontal = h_numerator / h_denominator * 10.0**h_power * METRES_PER_INCH
    return horizontal, v_numerator / v_denominator * 10.0**v_power * METRES_PER_INCH


def _take_codestream(found: _Found, file: BinaryIO, start: int) -> None:
    """Read size and depth, and whether the wavelets keep every value, from a codestream's main header."""
    file.seek(start + 2)
    while found.size is None or found.is_lossless is None:
        marker, length = struct.unpack(">HH", file.read(4))
        segment = file.read(max(length - 2, 0))
        if marker == 0xFF51:
            right, bottom, left, top = struct.unpack_from(">4I", segment, 2)
            (count,) = struct.unpack_from(">H", segment, 34)
            depths = segment[36 : 36 + 3 * count : 3]
            found.size = Size(bottom - top, right - left)
            found.bits = max(((depth & 127) + 1 for depth in depths), default=8)
        elif marker == 0xFF00 | _COD:
            found.is_lossless = segment[9:10] == b"\1"
        elif marker == 0xFF90:  # the first tile
            return


JPEG2000 = Format(
    name="JPEG2000",
    label="JPEG 2000",
    query="jp2",
    media_type="image/jp2",
    suffixes=(".jp2",),
    other_suffixes=(".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    sniff=begins(_CODESTREAM, b"\0\0\0\x0cjP  \r\n\x87\n"),
    inspect=inspect_jpeg2000,
    decode=decode_with(Jpeg2KImageFile),
    encode=encode_jpeg2000,
    holds=frozenset(("exif", "xmp", "icc", "dpi", "photoshop", "boxes")),
    orientation="passed over",
    pixels="8 bit grey, RGB, with transparency",
    coding="lossless stays lossless, lossy is written at 45 dB; a bare codestream becomes `.jp2`",
)
