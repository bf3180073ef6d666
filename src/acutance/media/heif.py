"""HEIC files, by pillow-heif (extra `heif`): pictures of 8, 10 and 12 bits.

libheif turns the pixels upright when it decodes, so the orientation of the EXIF block no longer holds and is set to
"upright". The block itself is taken from the file as it stands.
"""

from __future__ import annotations

import importlib.util
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from acutance.errors import OutputError
from acutance.extras import how_to_get
from acutance.geometry import Size
from acutance.media.boxes import has_brand, has_credentials, item_of, pixel_shape_notes
from acutance.media.container import (
    CREDENTIALS_LOST,
    PREVIEWS_LOST,
    Container,
    Decoded,
    colours_and_alpha,
    damaged,
    missing,
    rescaled,
)
from acutance.media.encoder_threads import allowed_threads
from acutance.media.exif import with_orientation, without_prefix
from acutance.media.format import Format, lost_colours
from acutance.media.photo import Chroma, HeifCoding, Metadata, Photo
from acutance.media.pil import decoding
from acutance.media.xmp import upright_packet

if TYPE_CHECKING:
    from pillow_heif import HeifFile

QUALITY = 92
"""Quality (x265's scale, as pillow-heif has it). The files do not say at what quality they were written."""
_X265 = {"preset": "fast", "x265:frame-threads": "1"}
"""At the same quality, "fast" takes 0.4 of the CPU time of the library's "slow" for files 4 % larger; and there is one
frame only."""
_MAX_POOL = 64
"""Threads in a pool of x265's."""

_depth_lock = threading.Lock()
_SUBSAMPLINGS: dict[int, Chroma] = {420: "4:2:0", 422: "4:2:2", 444: "4:4:4"}
_NCLX = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")


def is_installed() -> bool:
    """Say whether the extra is there."""
    return importlib.util.find_spec("pillow_heif") is not None


def inspect_heif(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a HEIC file: of its main picture."""
    opened = _opened(file, name)
    image = opened[opened.primary_index]
    info: dict[str, Any] = image.info
    width, height = image.size
    bits = int(info.get("bit_depth") or 8)
    exif = _exif(file, info.get("exif"))
    xmp = info.get("xmp")
    left_out = [*pixel_shape_notes(file)]
    if len(opened) > 1:
        left_out.append("the further pictures in the file")
    if info.get("depth_images") or info.get("aux"):
        left_out.append("the depth or gain map in the file")
    if info.get("thumbnails"):
        left_out.append(PREVIEWS_LOST)
    if has_credentials(file):
        left_out.append(CREDENTIALS_LOST)
    nclx = info.get("nclx_profile")
    metadata = Metadata(
        source_format="HEIF",
        exif=exif,
        icc_profile=info.get("icc_profile") or None,
        xmp=upright_packet(xmp.rstrip(b"\0")) if isinstance(xmp, bytes) and xmp else None,
        coding=HeifCoding(
            bits=bits,
            subsampling=_SUBSAMPLINGS.get(int(info.get("chroma") or 420), "4:4:4"),
            colours=None if nclx is None else cast(tuple[int, int, int, int], tuple(int(nclx[key]) for key in _NCLX)),
        ),
        left_out=tuple(left_out),
    )
    return Container(Size(height, width), metadata, bits=16 if bits > 8 else 8, needs_own_decoder=True)


def decode_heif(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode the main picture of a HEIC file, upright.

    Returns:
        Pixels, `h w c` with c = 1 or 3, and alpha, `h w`, or None; uint8, or uint16 with white at 65535 where the file
        has more than 8 bits.
    """
    opened = _opened(file, name)
    with decoding(name):
        image = opened[opened.primary_index]
        values = np.asarray(image)
    if values.ndim == 2:
        values = values[:, :, np.newaxis]
    if values.dtype == np.uint16:
        info: dict[str, Any] = image.info
        bits = int(info.get("bit_depth") or 10)
        values = rescaled(values >> (16 - bits), 2**bits - 1, 65535)  # they stand in the higher bits
    return colours_and_alpha(values)


def encode_heif(photo: Photo) -> tuple[bytes, ...]:
    """Encode a photo at quality 92, with as many bits and chroma samples as the HEIC that it was read from.

    Args:
        photo: Upright. Of 16 bits per channel, 12 are written, or the 10 that it had; grey is written as colour.
    """
    import pillow_heif

    known = photo.metadata.coding if isinstance(photo.metadata.coding, HeifCoding) else None
    coding = known or HeifCoding(bits=8 if photo.bits == 8 else 12, subsampling="4:4:4")
    if photo.bits == 8:
        coding = replace(coding, bits=8)
    height, width = photo.size
    values = np.broadcast_to(photo.pixels, (height, width, 3))
    if photo.alpha is not None:
        values = np.dstack([values, photo.alpha])
    if photo.bits > 8:
        values = rescaled(values, 65535, 2**coding.bits - 1) << np.uint16(16 - coding.bits)
    mode = ("RGBA" if photo.alpha is not None else "RGB") + (";16" if photo.bits > 8 else "")
    options: dict[str, Any] = {} if coding.colours is None else dict(zip(_NCLX, coding.colours, strict=True))
    buffer = io.BytesIO()
    with _depth_lock:  # which the library takes from a variable of the process
        pillow_heif.options.SAVE_HDR_TO_12_BIT = coding.bits > 10
        pillow_heif.encode(
            mode,
            (width, height),
            np.ascontiguousarray(values).tobytes(),
            buffer,
            quality=QUALITY,
            subsampling=coding.subsampling,
            enc_params=_X265 | _pool(allowed_threads()),
            exif=photo.metadata.exif,
            xmp=None if photo.metadata.xmp is None else upright_packet(photo.metadata.xmp),  # or it turns the picture
            icc_profile=photo.metadata.icc_profile,
            **options,
        )
    return (buffer.getvalue(),)


def _pool(threads: int | None) -> dict[str, str]:
    """Return x265's setting for so many threads; it takes one per CPU by itself."""
    if threads is None:
        return {}
    return {"x265:pools": "none" if threads == 1 else str(min(threads, _MAX_POOL))}


def check_installed() -> None:
    """Refuse to write when the extra is missing.

    Raises:
        OutputError: When it is.
    """
    if not is_installed():
        raise OutputError(
            f"HEIC is written by an extra that is not installed: {how_to_get('heif')}, or choose another format."
        )


def _opened(file: BinaryIO, name: str) -> HeifFile:
    if not is_installed():
        raise missing(name, "a HEIC picture", "heif")
    import pillow_heif

    file.seek(0)
    with decoding(name):
        opened = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    if not len(opened):
        raise damaged(name, "it has no picture")
    return opened


def _exif(file: BinaryIO, found: bytes | None) -> bytes | None:
    """Return the EXIF block as it stands in the file, saying that the picture is upright."""
    if not found:
        return None
    item = item_of(file, b"Exif")
    exif = without_prefix(found if item is None or len(item) < 4 else item[4:])
    return with_orientation(exif, 1)


def _also_lost(photo: Photo) -> Iterator[str]:
    if not isinstance(photo.metadata.coding, HeifCoding):
        if photo.bits > 8:
            yield "tones finer than 12 bits per channel"
        yield from lost_colours(photo.metadata)  # the library is given all numbers, or none


HEIF = Format(
    name="HEIF",
    label="HEIC",
    query="heic",
    media_type="image/heic",
    suffixes=(".heic", ".heif"),
    other_suffixes=(".hif",),
    sniff=lambda head: has_brand(head, b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"),
    inspect=inspect_heif,
    decode=decode_heif,
    encode=encode_heif,
    extra="heif",
    check_writable=check_installed,
    max_bits=16,
    holds=frozenset(("exif", "xmp", "icc", "colours")),
    grey_profiles="not held",
    orientation="not held",
    also_lost=_also_lost,
    max_side_px=16_384,
    pixels="8, 10 or 12 bit RGB, with transparency",
    coding="quality 92, the same depth, chroma subsampling and colour numbers, turned upright",
)
