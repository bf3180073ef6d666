"""AVIF files: libavif inside Pillow reads and writes them; only depth and chroma subsampling are looked up here.

In these files the orientation stands beside the EXIF block, and the one within is not binding. Photos are written
upright, so that no two programs can disagree.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

from PIL import AvifImagePlugin, Image

from acutance.errors import OutputError, UnsupportedImage
from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.boxes import (
    MAX_CONTENT_BYTES,
    box_at,
    content_of,
    has_brand,
    has_credentials,
    item_of,
    pixel_shape_notes,
    properties_of,
)
from acutance.media.container import CREDENTIALS_LOST, PREVIEWS_LOST, Container, damaged, too_deep
from acutance.media.encoder_threads import allowed_threads
from acutance.media.exif import orientation_of, with_orientation, without_prefix
from acutance.media.format import Format, Frames
from acutance.media.photo import AvifCoding, Chroma, Metadata, Photo, is_grey_profile
from acutance.media.pil import decode_with, decoding, frames_with, open_plugin, picture_of

QUALITY = 95
"""Quality (Pillow's scale). The files do not say at what quality they were written."""

_REMEDY = "the installed Pillow was built without it, so install one of Pillow's own packages"
_MAX_FRAMES = 2**16
_SRGB = (1, 13)
"""Primaries and transfer of sRGB, by the numbers of ITU-T H.273."""
_STREAM_START = b"\x12\x00\x0a"
"""How an AV1 stream begins: an empty unit, and the type of its header."""
_BESIDE = (
    (re.compile(rb"infe[\2\3](?s:.{7}|.{9})tmap"), "the gain map (HDR)"),
    (re.compile(rb"aux[Ci]\0{4}[!-~]*depth"), "the depth map"),
    (re.compile(rb"\0{2}..thmb\0", re.DOTALL), PREVIEWS_LOST),
    (re.compile(rb"hdlr\0{8}soun"), "the sound"),
)
"""What stands in the description of a file for what it holds besides its pictures, and what is said of that."""


def inspect_avif(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of an AVIF file."""
    if not AvifImagePlugin.SUPPORTED:
        raise UnsupportedImage(f"{name} is an AVIF picture; {_REMEDY}.")
    description = _metadata_box(file, name) + _content(file, box_at(file, b"moov"))
    bits, coding = _pixel_format(description, name)
    if bits > 8:  # of which Pillow would make 8
        raise too_deep(name, bits)
    with decoding(name):
        image = open_plugin(file, AvifImagePlugin.AvifImageFile)
    animation = None
    if getattr(image, "is_animated", False):
        animation = _animation(file)
        if animation is None or animation.count != getattr(image, "n_frames", 1):
            raise damaged(name, "it does not say when its pictures are shown")
    icc = image.info.get("icc_profile") or None
    # Pillow 12 opens grey as RGB, with which a grey profile must not go.
    is_unfit = icc is not None and is_grey_profile(icc) and image.mode != "L"
    metadata = Metadata(
        source_format="AVIF",
        exif=_exif(file, image),
        icc_profile=None if is_unfit else icc,
        xmp=image.info.get("xmp") or None,
        coding=replace(coding, colours=_colours(file)),
        left_out=(
            *(("the colour profile (it is for grey pictures)",) if is_unfit else ()),
            *_lost_beside(file, description),
        ),
    )
    return Container(Size(image.height, image.width), metadata, animation=animation)


def _lost_beside(file: BinaryIO, description: bytes) -> Iterator[str]:
    """Yield what is lost of what a file holds besides its pictures, from the boxes that describe them."""
    for pattern, what in _BESIDE:
        if pattern.search(description):
            yield what
    if any(kind == b"clap" for kind, _ in properties_of(file)):
        yield "the crop that is to be shown (all of the picture is written)"
    yield from pixel_shape_notes(file)
    if has_credentials(file):
        yield CREDENTIALS_LOST


def _animation(file: BinaryIO) -> Animation | None:
    """Return when the pictures of the first track are shown; None where it does not say that."""
    track = box_at(file, b"moov", b"trak")
    clock = _content(file, box_at(file, b"mdia", b"mdhd", within=track))
    times = _content(file, box_at(file, b"mdia", b"minf", b"stbl", b"stts", within=track))
    edits = _content(file, box_at(file, b"edts", b"elst", within=track))
    try:
        (per_second,) = struct.unpack_from(">I", clock, 20 if clock[0] else 12)
        (count,) = struct.unpack_from(">I", times, 4)
        runs = [struct.unpack_from(">II", times, 8 + 8 * run) for run in range(min(count, len(times) // 8))]
        if not per_second or sum(pictures for pictures, _ in runs) > _MAX_FRAMES:
            return None
    except (struct.error, IndexError):
        return None
    durations = tuple(Fraction(ticks, per_second) for pictures, ticks in runs for _ in range(pictures))
    is_played_once = len(edits) > 3 and not edits[3] & 1
    return Animation(durations_s=durations, plays=1 if is_played_once else 0)


def _content(file: BinaryIO, place: tuple[int, int] | None) -> bytes:
    """Return the content of a box; nothing where there is none."""
    return b"" if place is None else content_of(file, *place)


def encode_avif_frames(photos: Iterable[Photo], animation: Animation) -> tuple[bytes, ...]:
    """Encode an animation, each picture like `encode_avif`. The library wants all pictures at once.

    Args:
        photos: Whole pictures of one size and 8 bits, all with transparency or none.
        animation: When they are shown; thousandths of a second are written.
    """
    metadata = Metadata()
    images = []
    for photo in photos:
        metadata = photo.metadata
        images.append(picture_of(photo))
    durations = [round(duration * 1000) for duration in animation.durations_s]
    return _saved(images[0], metadata, save_all=True, append_images=images[1:], duration=durations)


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
    """
    return _saved(picture_of(photo), photo.metadata)


def check_avif() -> None:
    """Refuse to write where Pillow cannot.

    Raises:
        OutputError: When it was built without AVIF.
    """
    if not AvifImagePlugin.SUPPORTED:
        raise OutputError(f"AVIF cannot be written; {_REMEDY}, or choose another format.")


def _saved(image: Image.Image, metadata: Metadata, **more: object) -> tuple[bytes, ...]:
    subsampling = metadata.coding.subsampling if isinstance(metadata.coding, AvifCoding) else "4:4:4"
    buffer, threads = io.BytesIO(), allowed_threads()
    if threads is not None:
        more["max_threads"] = threads
    image.save(
        buffer,
        "AVIF",
        quality=QUALITY,
        subsampling="4:0:0" if image.mode == "L" else subsampling,
        exif=_Verbatim(metadata.exif) if metadata.exif is not None else None,
        icc_profile=metadata.icc_profile or b"",
        xmp=metadata.xmp or b"",
        **more,
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
    """Return the box that describes the pictures in a file, also where it is cut off."""
    end = file.seek(0, io.SEEK_END)
    position = 0
    while position + 8 <= end:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"meta":
            return file.read(min(length, MAX_CONTENT_BYTES))
        if length < 8:  # 0 reaches to the end, 1 has 64 bits: neither comes before it
            break
        position += length
    raise damaged(name, "it has no description of its pictures")


def _pixel_format(description: bytes, name: str) -> tuple[int, AvifCoding]:
    """Return bits per channel, and the coding of the first picture that has colour."""
    bits = 8
    subsampling: list[Chroma] = []
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
    other_suffixes=(".avifs",),
    sniff=lambda head: has_brand(head, b"avif", b"avis"),
    inspect=inspect_avif,
    decode=decode_with(AvifImagePlugin.AvifImageFile),
    encode=encode_avif,
    check_writable=check_avif,
    frames=Frames(decode=frames_with(AvifImagePlugin.AvifImageFile), encode=encode_avif_frames, per_second=1000),
    holds=frozenset(("exif", "xmp", "icc", "colours")),
    grey_profiles="of opaque pictures",
    orientation="not held",
    max_side_px=32_768,
    pixels="8 bit grey, RGB, with transparency",
    coding="quality 95, the same chroma subsampling and colour numbers, turned upright",
)
