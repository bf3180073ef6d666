"""Cameras' raw files, by LibRaw (rawpy, extra `raw`): developed into 16 bits, and written as TIFF.

Developed plainly: with the white balance that the camera noted, to sRGB, neither brightened nor sharpened; upright.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from acutance.errors import InputError
from acutance.geometry import Size
from acutance.media.boxes import has_brand, has_credentials
from acutance.media.cmyk import srgb_profile
from acutance.media.container import CREDENTIALS_LOST, Container, Decoded, damaged, missing, refused
from acutance.media.exif import with_orientation
from acutance.media.format import Format
from acutance.media.ifd import block_without, first_tree
from acutance.media.jpeg.reading import inspect_jpeg
from acutance.media.photo import Metadata
from acutance.media.tiff.tags import CREDENTIALS, PIXEL_TAGS, UNWANTED_VALUES

if TYPE_CHECKING:
    import rawpy

DEVELOPED = "the raw data (developed with the camera's white balance, into 16 bits)"

_SRGB_CURVE = (2.4, 12.92)
_FIRST_DNG_TAG = 50706
_CFA_TAGS = frozenset((33421, 33422))
_SIGNATURES = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"\0MRM", b"FOVb", b"IIII", b"MMMM")
# fmt: off
SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)
# fmt: on


def is_installed() -> bool:
    """Say whether the extra is there."""
    return importlib.util.find_spec("rawpy") is not None


def inspect_raw(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a raw file."""
    with _opened(file, name) as raw:
        sizes = raw.sizes
        size = Size(sizes.iheight, sizes.iwidth)
        thumbnail = _thumbnail(raw)
    if sizes.flip & 4:
        size = Size(size.width, size.height)
    tree = first_tree(file, without=UNWANTED_VALUES)  # of a file that is a TIFF, without what describes its raw data
    exif = None
    if tree is not None:
        of_dng = {entry.tag for entry in tree.entries if entry.tag >= _FIRST_DNG_TAG}
        exif = block_without(tree, PIXEL_TAGS | UNWANTED_VALUES | _CFA_TAGS | of_dng)
    is_signed = has_credentials(file) if tree is None else tree.find(CREDENTIALS) is not None
    if exif is None and thumbnail is not None:  # which has one of its own, in files that are no TIFF
        try:
            exif = inspect_jpeg(io.BytesIO(thumbnail), name).metadata.exif
        except InputError:
            exif = None
    metadata = Metadata(
        source_format="TIFF",
        exif=None if exif is None else with_orientation(exif, 1),
        icc_profile=srgb_profile(),
        left_out=(
            DEVELOPED,
            *(() if exif is not None else ("EXIF",)),
            *((CREDENTIALS_LOST,) if is_signed else ()),
        ),
    )
    return Container(size, metadata, bits=16)


def decode_raw(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Develop a raw file, upright.

    Returns:
        Pixels, uint16 `h w c` with c = 1 or 3; no alpha.
    """
    import rawpy

    with _opened(file, name) as raw:
        values = raw.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=_SRGB_CURVE,
        )
    return np.ascontiguousarray(values.reshape(*values.shape[:2], -1), np.uint16), None


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[rawpy.RawPy]:
    if not is_installed():
        raise missing(name, "a camera's raw file", "raw", ", or develop it to a JPEG or TIFF first")
    import rawpy

    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            yield raw
    except rawpy.LibRawFileUnsupportedError as error:
        remedy = "develop it to a JPEG or TIFF with the camera's own program first"
        raise refused(name, "a raw file of a camera that is not known", remedy) from error
    except rawpy.LibRawError as error:
        raise damaged(name, "its raw data cannot be read") from error


def _thumbnail(raw: rawpy.RawPy) -> bytes | None:
    """Return the JPEG picture in a raw file, or None."""
    import rawpy

    try:
        found = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    return found.data if found.format == rawpy.ThumbFormat.JPEG and isinstance(found.data, bytes) else None


def _sniff(head: bytes) -> bool:
    is_known = head.startswith(_SIGNATURES) or head[6:14] == b"HEAPCCDR"
    return is_known or has_brand(head, b"crx ") or (head[:2] in (b"II", b"MM") and head[8:10] == b"CR")


RAW = Format(
    name="RAW",
    label="cameras' raw files",
    query="raw",
    media_type="image/x-dcraw",
    other_suffixes=SUFFIXES if is_installed() else (),
    written_as="TIFF",
    sniff=_sniff,
    inspect=inspect_raw,
    decode=decode_raw,
    extra="raw",
    pixels="16 bit RGB",
    coding="a TIFF of 16 bits",
)
