"""AVIF files: libavif inside Pillow reads and writes them; only depth and chroma subsampling are looked up here.

In these files the orientation stands beside the EXIF block, and the one within is not binding. Photos are written
upright, so that no two programs can disagree.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import BinaryIO, Literal

from PIL import AvifImagePlugin, Image

from acutance.errors import OutputError, UnsupportedImage
from acutance.geometry import Size
from acutance.media.boxes import has_brand, item_of, properties_of
from acutance.media.container import Container, damaged, refused, too_deep
from acutance.media.exif import orientation_of, with_orientation, without_prefix
from acutance.media.format import Format
from acutance.media.photo import AvifCoding, Metadata, Photo, is_grey_profile
from acutance.media.pil import decode_with, decoding, open_plugin, picture_of

QUALITY = 95
"""Quality (Pillow's scale). The files do not say at what quality they were written."""

_REMEDY = "the installed Pillow was built without it, so install one of Pillow's own packages"
_MAX_META_BYTES = 64 * 2**20
_SRGB = (1, 13)
"""Primaries and transfer of sRGB, by the numbers of ITU-T H.273."""
_STREAM_START = b"\x12\x00\x0a"
"""How an AV1 stream begins: an empty unit, and the type of its header."""
_Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]


def inspect_avif(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of an AVIF file.

    Raises:
        UnsupportedImage: When it is damaged, of more than 8 bits, animated, or Pillow was built without AVIF.
    """
    if not AvifImagePlugin.SUPPORTED:
        raise UnsupportedImage(f"{name} is an AVIF picture; {_REMEDY}.")
    bits, coding = _pixel_format(_metadata_box(file, name), name)
    if bits > 8:  # of which Pillow would make 8
        raise too_deep(name, bits)
    with decoding(name):
        image = open_plugin(file, AvifImagePlugin.AvifImageFile)
    if getattr(image, "is_animated", False):
        raise refused(name, "an animation in AVIF", "save it as animated WebP, PNG or GIF first")
    icc = image.info.get("icc_profile") or None
    # Pillow 12 opens grey as RGB, with which a grey profile must not go.
    is_unfit = icc is not None and is_grey_profile(icc) and image.mode != "L"
    metadata = Metadata(
        source_format="AVIF",
        exif=_exif(file, image),
        icc_profile=None if is_unfit else icc,
        xmp=image.info.get("xmp") or None,
        coding=replace(coding, colours=_colours(file)),
        left_out=("the colour profile (it is for grey pictures)",) if is_unfit else (),
    )
    return Container(Size(image.height, image.width), metadata)


def _exif(file: BinaryIO, image: Image.Image) -> bytes | None:
    """Return the EXIF block as it stands in the file, with the orientation that holds for the pixels."""
    rewritten = image.info.get("exif")  # by Pillow, which has put the orientation of the picture's own box in
    item = item_of(file, b"Exif")
    if item is None or len(item) < 4 or not rewritten:
        return without_prefix(rewritten) if rewritten else None
    exif = without_prefix(item[4:])  # behind a length: that of the prefix, if there is one
    wanted = orientation_of(without_prefix(rewritten))
    turned = with_orientation(exif, wanted)
    return turned if orientation_of(turned) == wanted else without_prefix(rewritten)


def encode_avif(photo: Photo) -> tuple[bytes, ...]:
    """Encode a photo at quality 95, with as many chroma samples as the AVIF that it was read from, or all.

    Args:
        photo: Upright; grey with transparency is written as RGB.

    Returns:
        The file in parts.

    Raises:
        OutputError: When Pillow was built without AVIF.
    """
    if not AvifImagePlugin.SUPPORTED:
        raise OutputError(f"AVIF cannot be written; {_REMEDY}, or choose another format.")
    image, metadata = picture_of(photo), photo.metadata
    subsampling = metadata.coding.subsampling if isinstance(metadata.coding, AvifCoding) else "4:4:4"
    buffer = io.BytesIO()
    image.save(
        buffer,
        "AVIF",
        quality=QUALITY,
        subsampling="4:0:0" if image.mode == "L" else subsampling,
        exif=_Verbatim(metadata.exif) if metadata.exif is not None else None,
        icc_profile=metadata.icc_profile or b"",
        xmp=metadata.xmp or b"",
    )
    colours = metadata.colour_numbers
    known = metadata.coding.colours if isinstance(metadata.coding, AvifCoding) else colours
    return (buffer.getvalue() if known is None else _with_colours(buffer.getvalue(), known),)


def _colours(file: BinaryIO) -> tuple[int, int] | None:
    """Return primaries and transfer of the main picture, if they are said and are not sRGB's."""
    for kind, content in properties_of(file):
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 8:
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            return None if (primaries, transfer) == _SRGB else (primaries, transfer)
    return None


def _with_colours(encoded: bytes, colours: tuple[int, int]) -> bytes:
    """Return a file of Pillow's, which says that all colours are sRGB's, with other primaries and another transfer.

    They stand in the description of the picture, which is what counts, and once more in the AV1 stream.
    """
    written = b"colrnclx" + struct.pack(">HH", *_SRGB)
    encoded = encoded.replace(written, b"colrnclx" + struct.pack(">HH", *colours), 1)
    start = encoded.find(_STREAM_START, encoded.find(b"mdat"))
    while start >= 0:
        begin = start + len(_STREAM_START) + 1
        end = begin + encoded[begin - 1]
        header = _sequence_with(encoded[begin:end], colours)
        encoded = encoded[:begin] + header + encoded[end:]
        start = encoded.find(_STREAM_START, end)
    return encoded


def _sequence_with(header: bytes, colours: tuple[int, int]) -> bytes:
    """Return the header of an AV1 stream of Pillow's with other numbers; as it is, where there are none in it.

    They stand there behind a bit 1, not at the border of a byte.
    """
    size = 8 * len(header)
    bits = int.from_bytes(header, "big")
    written, wanted = ((1 << 16) | primaries << 8 | transfer for primaries, transfer in (_SRGB, colours))
    places = [shift for shift in range(size - 16) if bits >> shift & 0x1FFFF == written]
    if len(places) != 1 or max(colours) > 255:
        return header
    return (bits ^ (written ^ wanted) << places[0]).to_bytes(len(header), "big")


class _Verbatim(Image.Exif):
    """An EXIF block as it is: of bytes, Pillow would take out the orientation and write all else anew."""

    def __init__(self, exif: bytes) -> None:
        super().__init__()
        self._verbatim = exif

    def __bool__(self) -> bool:
        return True  # though it has no entries

    def tobytes(self, offset: int = 8) -> bytes:
        """Return the block; it has no offset to be moved by."""
        return self._verbatim


def _metadata_box(file: BinaryIO, name: str) -> bytes:
    """Return the box that describes the pictures in a file."""
    end = file.seek(0, io.SEEK_END)
    position = 0
    while position + 8 <= end:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"meta":
            return file.read(min(length, _MAX_META_BYTES))
        if length < 8:  # 0 reaches to the end, 1 has 64 bits: neither comes before it
            break
        position += length
    raise damaged(name, "it has no description of its pictures")


def _pixel_format(description: bytes, name: str) -> tuple[int, AvifCoding]:
    """Return bits per channel, and the coding of the first picture that has colour."""
    bits = 8
    subsampling: list[_Subsampling] = []
    start = description.find(b"av1C")
    while start >= 0:
        flags = description[start + 6 : start + 7]
        if not flags:
            raise damaged(name, "its description ends too early")
        is_high, is_12, is_grey, halves_x, halves_y = (flags[0] >> shift & 1 for shift in (6, 5, 4, 3, 2))
        bits = max(bits, 12 if is_12 else 10 if is_high else 8)
        if not is_grey:
            subsampling.append("4:2:0" if halves_y else "4:2:2" if halves_x else "4:4:4")
        start = description.find(b"av1C", start + 4)
    return bits, AvifCoding(subsampling=subsampling[0] if subsampling else "4:4:4")


AVIF = Format(
    name="AVIF",
    label="AVIF",
    query="avif",
    media_type="image/avif",
    suffixes=(".avif",),
    sniff=lambda head: has_brand(head, b"avif", b"avis"),
    inspect=inspect_avif,
    decode=decode_with(AvifImagePlugin.AvifImageFile),
    encode=encode_avif,
    holds=frozenset(("exif", "xmp", "icc", "colours")),
    grey_profiles="of opaque pictures",
    orientation="not held",
    max_side_px=32_768,
    pixels="8 bit grey, RGB, with transparency",
    coding="quality 95, the same chroma subsampling and colour numbers, turned upright",
)
