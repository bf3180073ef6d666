"""BMP files. Pillow reads them; transparency and colour profiles, which it does not write, are written here."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from acutance.geometry import Size
from acutance.media.container import METRES_PER_INCH, Container, depth_notes
from acutance.media.format import Format, begins
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import decode_with, decoding, dpi_of, open_plugin, picture_of

_FILE_HEADER, _V5_HEADER, _V4_HEADER, _INFO_HEADER = 14, 124, 108, 40
_CALIBRATED, _EMBEDDED, _LINKED, _SRGB = bytes(4), b"DEBM", b"KNIL", b"BGRs"
"""Colour spaces, as numbers that read 0, MBED, LINK and sRGB."""
_BIT_FIELDS = 3
_INTENT = 4  # perceptual


def inspect_bmp(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a BMP file."""
    with decoding(name):
        image = open_plugin(file, BmpImageFile)
    profile, lost = _colours(file)
    depth = depth_notes(1 if image.mode == "1" else 8, has_palette=image.mode == "P")
    metadata = Metadata(source_format="BMP", dpi=dpi_of(image), icc_profile=profile, left_out=(*depth, *lost))
    return Container(Size(image.height, image.width), metadata)


def encode_bmp(photo: Photo) -> tuple[bytes, ...]:
    """Encode a photo: grey with a palette of 256 greys, with transparency as 32 bits."""
    image, metadata = picture_of(photo), photo.metadata
    is_grey, has_alpha = image.mode == "L", image.mode in ("LA", "RGBA")
    icc = metadata.icc_profile
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256)) if is_grey else b""
    rows = _rows(image)
    header = _V5_HEADER if has_alpha or icc is not None else _INFO_HEADER
    start = _FILE_HEADER + header + len(palette)
    per_metre = (min(round(value / METRES_PER_INCH), 2**31 - 1) for value in metadata.dpi or (0, 0))
    bits, compression = (8 if is_grey else 32 if has_alpha else 24), (_BIT_FIELDS if has_alpha else 0)
    parts = [
        struct.pack("<2sIII", b"BM", start + len(rows) + len(icc or b""), 0, start),
        struct.pack("<IiiHHII", header, image.width, image.height, 1, bits, compression, len(rows)),
        struct.pack("<iiII", *per_metre, 256 if is_grey else 0, 0),
    ]
    if header == _V5_HEADER:
        masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if has_alpha else (0, 0, 0, 0)
        parts.append(struct.pack("<4I4s48x", *masks, _SRGB if icc is None else _EMBEDDED))
        place = 0 if icc is None else start + len(rows) - _FILE_HEADER
        parts.append(struct.pack("<IIII", _INTENT, place, len(icc or b""), 0))
    return *parts, palette, rows, icc or b""


def _rows(image: Image.Image) -> bytes:
    """Return the rows from the last to the first, in blue, green, red, each filled to a multiple of 4 bytes."""
    values = np.asarray(image.convert("RGBA") if image.mode == "LA" else image)[::-1]
    if values.ndim == 3:
        values = values[:, :, [2, 1, 0, 3][: values.shape[2]]]
    values = values.reshape(image.height, -1)
    return np.pad(values, ((0, 0), (0, -values.shape[1] % 4))).tobytes()


def _colours(file: BinaryIO) -> tuple[bytes | None, tuple[str, ...]]:
    """Return the embedded colour profile, unless it lies outside the file, and what is said of colours not written."""
    file.seek(_FILE_HEADER)
    header = file.read(_V5_HEADER)
    size = int.from_bytes(header[:4], "little") if len(header) >= _V4_HEADER else 0
    kind = header[56:60] if size >= _V4_HEADER else b""
    if kind == _CALIBRATED and any(header[60:_V4_HEADER]):
        return None, ("the calibration of the colours (primaries and gamma)",)
    if kind == _LINKED:
        return None, ("the colour profile, which lies in another file",)
    if kind != _EMBEDDED or size != _V5_HEADER or len(header) < _V5_HEADER:
        return None, ()
    place, length = struct.unpack_from("<II", header, 112)
    file.seek(_FILE_HEADER + place)
    profile = file.read(length)
    return profile if length and len(profile) == length else None, ()


BMP = Format(
    name="BMP",
    label="BMP",
    query="bmp",
    media_type="image/bmp",
    suffixes=(".bmp",),
    other_suffixes=(".dib",),
    sniff=begins(b"BM"),
    inspect=inspect_bmp,
    decode=decode_with(BmpImageFile),
    encode=encode_bmp,
    holds=frozenset(("icc", "dpi")),
    grey_profiles="not held",
    orientation="not held",
    max_bytes=2**31 - 2**24,
    pixels="8 bit grey, RGB, with transparency",
    coding="uncompressed",
)
