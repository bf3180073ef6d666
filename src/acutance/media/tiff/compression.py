"""How TIFF files are compressed: what is read, what is kept, and what is called by its name when it is refused."""

from __future__ import annotations

from typing import Literal

from acutance.media.container import rare_or_damaged, refused
from acutance.media.photo import TiffCoding
from acutance.media.pil import can_unpack_tiff

Compression = Literal["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg"]

_KEPT: dict[int, Compression] = {
    1: "raw",
    5: "tiff_lzw",
    6: "jpeg",
    7: "jpeg",
    8: "tiff_adobe_deflate",
    32773: "packbits",
    32946: "tiff_adobe_deflate",
}
"""By number. The others (fax, LZMA, Zstandard) become deflate, which every program reads."""
_RARE = {
    9: "JBIG",
    10: "JBIG",
    22610: "JPEG XR",
    32908: "PixarFilm",
    32909: "PixarLog",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "the lossy JPEG of raw files",
    34925: "LZMA",
    34933: "PNG",
    34934: "JPEG XR",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
"""Names of those that may not be read here."""
DEFAULT_CODING = TiffCoding(compression="tiff_adobe_deflate", has_predictor=True)
PREDICTED = ("tiff_lzw", "tiff_adobe_deflate")


def check_can_be_unpacked(compression: int, name: str) -> None:
    """Refuse a page that nothing here unpacks: the file may well be sound.

    Args:
        compression: Its number in the file.
        name: Of the file, for the error.

    Raises:
        UnsupportedImage: When it is so.
    """
    if not can_unpack_tiff(compression):
        remedy = "save it with deflate, LZW or no compression first"
        if compression in _RARE:
            raise refused(name, f"a TIFF packed with {_RARE[compression]}", remedy)
        raise rare_or_damaged(name, f"a TIFF packed with a rare compression (number {compression})", remedy)


def coding_of(compression: int, *, has_predictor: bool) -> TiffCoding:
    """Return how a page is written that was compressed in the way of that number."""
    if compression not in _KEPT:
        return DEFAULT_CODING
    return TiffCoding(compression=_KEPT[compression], has_predictor=has_predictor)
