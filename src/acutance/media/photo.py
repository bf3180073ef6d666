"""A photo in memory: its pixels, its transparency, and all that travelled with them in the file.

Pixels stay as the file stores them: nothing is rotated (the EXIF orientation is kept as a tag), no colour
is converted (the ICC profile is kept). What only matters for writing the same kind of file again, such as a
JPEG's quantisation tables, is kept as its *coding*.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from acutance.errors import InputError
from acutance.geometry import Size
from acutance.imaging.convert import Scalar, to_8_bits
from acutance.media.exif import orientation_of, with_orientation
from acutance.media.xmp import upright_packet

ImageFormat = str
"""A format's name: that of a row of `acutance.media.formats.FORMATS`, such as "JPEG" or "PNG"."""

Subsampling = Literal[0, 1, 2]
"""Chroma subsampling by Pillow's numbers: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0."""

Chroma = Literal["4:4:4", "4:2:2", "4:2:0"]
"""The same by the names that it has everywhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegCoding:
    """How a JPEG file was coded, so that the result is coded no worse."""

    tables: tuple[tuple[int, ...], ...] = field(repr=False)
    """Quantisation tables of the components, 64 numbers each in natural (not zigzag) order; the last one
    holds for the components after it too."""
    subsampling: Subsampling
    """Of the chroma planes; a layout that cannot be written counts as the next better one."""
    is_progressive: bool = False
    """Whether the picture appears in several passes."""
    is_rgb: bool = False
    """Whether the components are R, G and B themselves, not luminance and chroma."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebpCoding:
    """How a WebP file was coded."""

    is_lossless: bool
    """Whether the pixels were kept exactly."""
    background: bytes = bytes(4)
    """What an animation names as the colour behind it (blue, green, red, alpha), which browsers pass over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffCoding:
    """How a TIFF file was coded."""

    compression: Literal["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg"]
    """By Pillow's names."""
    has_predictor: bool = False
    """Whether LZW or deflate worked on differences of neighbouring pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AvifCoding:
    """How an AVIF file was coded."""

    subsampling: Chroma
    """Of the chroma planes."""
    colours: tuple[int, int] | None = None
    """Primaries and transfer by the numbers of ITU-T H.273, where the file says them and they are not those of sRGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeifCoding:
    """How a HEIC file was coded."""

    bits: int
    """Per channel: 8, 10 or 12."""
    subsampling: Chroma
    """Of the chroma planes."""
    colours: tuple[int, int, int, int] | None = None
    """Primaries, transfer, matrix and full range by the numbers of ITU-T H.273, where the file says them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg2000Coding:
    """How a JPEG 2000 file was coded."""

    is_lossless: bool
    """Whether its wavelets keep the pixels exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PnmCoding:
    """How a PGM or PPM file of more than 256 levels was coded."""

    white: int
    """The value of white, 256 to 65535."""


class ListedPicture(NamedTuple):
    """A further picture in a JPEG file, as the Multi-Picture Format lists it."""

    kind: int
    """Its attributes, as they stand in the list."""
    start: int
    """Where it begins, in bytes: in the file or, in a trailer, in that."""
    size: int
    """How many bytes it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegTrailer:
    """What follows the picture in a JPEG file and stays true of the result: a video, a gain map, captions."""

    content: bytes = field(repr=False)
    """As it stands there."""
    pictures: tuple[ListedPicture, ...] = ()
    """Which parts of it are pictures that the file lists."""
    kind: int = 0
    """Attributes of the file's first picture in that list."""


Coding = JpegCoding | WebpCoding | TiffCoding | AvifCoding | HeifCoding | Jpeg2000Coding | PnmCoding


_LIKE_SRGB = ((1, 2), (1, 2, 6, 13))
"""Primaries and transfers, of BT.709, BT.601 and sRGB or not said, that are shown as if all were sRGB's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What travels with the pixels. Everything is kept as the bytes that the file held."""

    source_format: ImageFormat | None = None
    """What was read; None when the pixels do not come from a file."""
    exif: bytes | None = field(default=None, repr=False)
    """EXIF block, beginning with its TIFF header (`II*\\0` or `MM\\0*`)."""
    icc_profile: bytes | None = field(default=None, repr=False)
    """Colour profile."""
    icc_name: bytes = b""
    """What a PNG file calls it, Latin-1; empty: nothing."""
    xmp: bytes | None = field(default=None, repr=False)
    """XMP packet, UTF-8."""
    photoshop: bytes | None = field(default=None, repr=False)
    """Photoshop's image resources (`8BIM…`), where captions and keywords (IPTC) live."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical resolution in px per inch."""
    comments: tuple[bytes, ...] = field(default=(), repr=False)
    """Comments of a JPEG or GIF file."""
    jpeg_segments: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """Further JPEG segments: marker (0xE0…0xEF) and payload."""
    jpeg_trailer: JpegTrailer | None = None
    """What follows the picture in a JPEG file."""
    png_chunks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    """Further PNG chunks (texts, gamma, …): type and payload; that of a background colour is of 16 bits."""
    jp2_boxes: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    """Further JPEG 2000 boxes (places on earth, captions): type and content."""
    coding: Coding | None = None
    """How the file was coded; None where there is nothing to say."""
    left_out: tuple[str, ...] = ()
    """What the file held that is not kept at all, in words; `lost_in` repeats it."""

    @property
    def colour_numbers(self) -> tuple[int, int] | None:
        """Primaries and transfer by the numbers of ITU-T H.273, where they say what a program would not assume.

        It would assume sRGB, and where there is a colour profile, it believes that.
        """
        if self.icc_profile is not None or not isinstance(self.coding, (AvifCoding, HeifCoding)):
            return None
        primaries, transfer = (self.coding.colours or (1, 13))[:2]
        return None if primaries in _LIKE_SRGB[0] and transfer in _LIKE_SRGB[1] else (primaries, transfer)

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8: how the stored pixels must be turned to be upright (1: not at all)."""
        return 1 if self.exif is None else orientation_of(self.exif)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photo:
    """A photo in memory; immutable, as long as nobody writes into its arrays.

    Raises:
        InputError: When the arrays are not of the shapes and types below.
    """

    pixels: npt.NDArray[Any]
    """uint8 or uint16 `h w c`, c = 1 (grey) or 3 (RGB), 0…255 or 0…65535, colours and orientation as in the file."""
    alpha: npt.NDArray[Any] | None = None
    """Of the pixels' type, `h w`, 0 (transparent) … 255 or 65535 (opaque), not premultiplied into the pixels; None:
    all opaque."""
    metadata: Metadata = Metadata()
    """What travels with the pixels."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        dtype = self.pixels.dtype
        if dtype not in (np.uint8, np.uint16) or len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise InputError(
                f"pixels of shape {shape}, type {dtype}: must be uint8 or uint16, height × width × 1 or 3."
            )
        alpha = self.alpha
        if alpha is not None and (alpha.dtype != dtype or alpha.shape != shape[:2]):
            raise InputError(
                f"alpha of shape {alpha.shape}, type {alpha.dtype}: must be {dtype}, {shape[0]} × {shape[1]}."
            )

    @property
    def size(self) -> Size:
        """Height and width in px, as stored."""
        return Size(self.pixels.shape[0], self.pixels.shape[1])

    @property
    def bits(self) -> int:
        """Bits per channel: 8 or 16."""
        return 8 * self.pixels.itemsize

    @property
    def is_opaque(self) -> bool:
        """Whether nothing shines through."""
        return self.alpha is None or int(self.alpha.min()) == 2**self.bits - 1

    def in_8_bits(self) -> Photo:
        """Return the photo with 8 bits per channel, rounded; itself where it has no more."""
        if self.bits == 8:
            return self
        alpha = None if self.alpha is None else to_8_bits(self.alpha)
        return replace(self, pixels=to_8_bits(self.pixels), alpha=alpha)

    def with_pixels(self, pixels: npt.NDArray[Any], alpha: npt.NDArray[Any] | None = None) -> Photo:
        """Return the photo with other pixels; its metadata stay.

        Args:
            pixels: uint8 or uint16 `h w c` with as many channels as before (the colour profile describes them).
            alpha: Of the same type, `h w`; None keeps the present one, which then must have the size of `pixels`.

        Raises:
            InputError: When the shapes do not fit.
        """
        if pixels.ndim != 3 or pixels.shape[2] != self.pixels.shape[2]:
            raise InputError(f"pixels of shape {pixels.shape}: must have {self.pixels.shape[2]} channels as before.")
        return replace(self, pixels=pixels, alpha=self.alpha if alpha is None else alpha)

    def upright(self) -> Photo:
        """Return the photo with its orientation applied to the pixels (as views) and the tag set to 1."""
        orientation, exif = self.metadata.orientation, self.metadata.exif
        if orientation == 1 or exif is None:
            return self
        dpi = self.metadata.dpi
        return Photo(
            pixels=turned(self.pixels, orientation),
            alpha=None if self.alpha is None else turned(self.alpha, orientation),
            metadata=replace(
                self.metadata,
                exif=with_orientation(exif, 1),
                xmp=None if self.metadata.xmp is None else upright_packet(self.metadata.xmp),
                dpi=(dpi[1], dpi[0]) if dpi is not None and orientation >= 5 else dpi,
            ),
        )


def turned(array: npt.NDArray[Scalar], orientation: int) -> npt.NDArray[Scalar]:
    """Turn an `h w …` array as an EXIF orientation says; a view.

    Orientations 5 to 8 exchange rows and columns; then 2 3 6 7 mirror columns and 3 4 7 8 mirror rows.
    """
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return array[rows, columns]


def is_grey_profile(icc: bytes) -> bool:
    """Say whether a colour profile is one for grey pictures."""
    return icc[16:20] == b"GRAY"
