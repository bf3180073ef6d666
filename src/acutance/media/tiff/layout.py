"""How the pixels of a TIFF page are laid out and packed: what is read, and what is refused, by its name."""

from __future__ import annotations

from typing import Literal, NamedTuple

from acutance.geometry import Size
from acutance.media.container import damaged, rare_or_damaged, refused
from acutance.media.exif import ORIENTATION
from acutance.media.ifd import ByteOrder, Tree
from acutance.media.photo import TiffCoding
from acutance.media.pil import can_unpack_tiff

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_SAMPLES, _STRIP_ROWS, _PLANES, _PREDICTOR = 277, 278, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 322, 323, 338, 339
RAW, PREMULTIPLIED, STRAIGHT = 1, 1, 2
_UNPACKED = frozenset((RAW, 5, 8, 32773, 32946, 34925, 50000))
"""Compressions by number: none, LZW, deflate, PackBits, deflate again, LZMA, Zstandard."""
_COLOURS = {0: 1, 1: 1, 2: 3, 8: 3, 9: 3}
"""Grey (0: inverted), RGB, and two ways to write Lab, by their photometric interpretation."""
LAB = (8, 9)
_KINDS = {3: "a palette of 16 bits", 5: "a CMYK picture", 6: "a YCbCr picture of 16 bits"}
_REGISTERED_KINDS = frozenset((*range(7), 8, 9, 10, 32803, 32844, 32845, 34892, 51177, 52527))
_REGISTERED_PREDICTORS = frozenset((1, 2, 3, 34892, 34893, 34894, 34895))
"""What sound files may have: others are of a rare kind, or broken in this place."""
_WHOLE = frozenset((*range(8, 17), 24, 32, 64))
_FLOATS = frozenset((16, 32, 64))
"""Bits of the numbers that are read: whole ones, and floating-point ones."""
_FLOAT = 3
_MAX_SAMPLES = 64
_MAX_PADDED_PX = 2**20
"""Of a tile that is larger than its picture."""
_KEPT: dict[int, Literal["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg"]] = {
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


class Layout(NamedTuple):
    """How the pixels of a file are laid out."""

    size: Size
    bits: int
    """Per sample."""
    is_float: bool
    photometric: int
    samples: int
    alpha: tuple[int, int] | None
    """Which sample is the transparency, and whether it is premultiplied into the colours (1) or not (2)."""
    is_planar: bool
    compression: int
    predictor: int
    """1: none; 2: differences of neighbours; 3: of the bytes of floating-point numbers."""
    block: Size
    """Of a strip or a tile."""
    is_tiled: bool
    orientation: int
    order: ByteOrder

    @property
    def colours(self) -> int:
        """Number of colour channels."""
        return _COLOURS[self.photometric]

    @property
    def depth(self) -> int:
        """Bits per channel of what is decoded: 8, or 16 for all that has more."""
        return 8 if self.bits == 8 else 16

    @property
    def row_bytes(self) -> int:
        """Of a strip or tile."""
        return -(-self.bits * self.samples_per_block * self.block.width // 8)

    @property
    def samples_per_block(self) -> int:
        """Number of samples per pixel that lie together in a strip or tile."""
        return 1 if self.is_planar else self.samples

    @property
    def grid(self) -> tuple[int, int]:
        """How many strips or tiles lie below and beside each other."""
        return -(-self.size.height // self.block.height), -(-self.size.width // self.block.width)

    @property
    def unused(self) -> int:
        """How many channels are neither colour nor transparency."""
        return self.samples - self.colours - (self.alpha is not None)


def layout_of(directory: Tree, name: str) -> Layout:
    """Return how the pixels of a page of 8 bits or more are laid out.

    Raises:
        UnsupportedImage: When that makes no sense, or is not read.
    """
    number = directory.integer
    size = Size(number(_HEIGHT, 0), number(_WIDTH, 0))
    samples, photometric = number(_SAMPLES, 1), number(_PHOTOMETRIC, 1)
    if photometric not in _COLOURS:
        kind = _KINDS.get(photometric, f"a 16-bit picture of a rare kind (photometric interpretation {photometric})")
        remedy = "convert it to RGB, with its colour profile, first"
        raise (refused if photometric in _REGISTERED_KINDS else rare_or_damaged)(name, kind, remedy)
    bits = set(directory.integers(_BITS))
    is_float = number(_SAMPLE_FORMAT, 1) == _FLOAT
    if len(bits) == 1 and not bits <= (_FLOATS if is_float else _WHOLE):
        raise refused(name, f"a picture of {max(bits)} bits per channel", "convert it to 16 bits first")
    if len(bits) != 1 or number(_FILL_ORDER, 1) != 1:
        is_sound = len(bits) == 1 and number(_FILL_ORDER, 1) == 2
        kind, remedy = "a 16-bit picture with bits in an odd order", "save it anew with another program first"
        raise (refused if is_sound else rare_or_damaged)(name, kind, remedy)
    if number(_COMPRESSION, RAW) not in _UNPACKED:
        raise refused(name, "a 16-bit picture of a rare compression", "save it with LZW, deflate or none first")
    predictor = 1 if number(_COMPRESSION, RAW) == RAW else number(_PREDICTOR, 1)
    if predictor not in ((1, _FLOAT) if is_float else (1, 2)) or (predictor == 2 and not bits <= {8, 16, 32, 64}):
        kind, remedy = "a 16-bit picture of a rare predictor", "save it without one first"
        raise (refused if predictor in _REGISTERED_PREDICTORS else rare_or_damaged)(name, kind, remedy)
    is_tiled = directory.find(_TILE_WIDTH) is not None
    block = Size(min(number(_STRIP_ROWS, size.height), size.height), size.width)
    if is_tiled:
        block = Size(number(_TILE_HEIGHT, 0), number(_TILE_WIDTH, 0))
    is_huge = is_tiled and block.pixels > max(4 * size.pixels, _MAX_PADDED_PX)
    if is_huge or not _COLOURS[photometric] <= samples <= _MAX_SAMPLES or min(block) < 1:
        raise damaged(name, "its pixels are in no possible order")
    return Layout(
        size=size,
        bits=bits.pop(),
        is_float=is_float,
        photometric=photometric,
        samples=samples,
        alpha=_alpha_of(directory, colours=_COLOURS[photometric], samples=samples),
        is_planar=number(_PLANES, 1) == 2 and samples > 1,
        compression=number(_COMPRESSION, RAW),
        predictor=predictor,
        block=block,
        is_tiled=is_tiled,
        orientation=number(ORIENTATION, 1),
        order=directory.order,
    )


def _alpha_of(directory: Tree, *, colours: int, samples: int) -> tuple[int, int] | None:
    kinds = directory.integers(_EXTRA_SAMPLES)
    if not kinds and (colours, samples) == (3, 4):
        return 3, STRAIGHT  # what old programs mean by a fourth channel
    known = [(index, kind) for index, kind in enumerate(kinds, start=colours) if kind in (PREMULTIPLIED, STRAIGHT)]
    return known[0] if known and known[0][0] < samples else None


def check_can_be_unpacked(compression: int, name: str) -> None:
    """Refuse a compression, by its number, that nothing here unpacks: the file may well be sound.

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
