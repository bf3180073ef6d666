"""What is learnt of a file before any pixel is decoded; shared by the readers of the formats."""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from acutance.errors import UnsupportedImage
from acutance.extras import how_to_get
from acutance.geometry import Size
from acutance.media.animation import Animation
from acutance.media.photo import Metadata

Decoded = tuple[npt.NDArray[Any], npt.NDArray[Any] | None]
"""Pixels and alpha, as in `Photo`."""

MAX_INFLATED_BYTES = 64 * 2**20
"""Largest compressed profile or text that is unpacked; more is a decompression bomb."""


class Container(NamedTuple):
    """A file's header and what travels with its pixels."""

    size: Size
    metadata: Metadata
    bits: int = 8
    """Bits per channel of the decoded pixels, 8 or 16; a file of fewer than 8 is spread to 8."""
    needs_own_decoder: bool = False
    """Whether Pillow does not know, or would spoil, such pixels."""
    cmyk_profile: bytes | None = None
    """Of a CMYK picture: through what its pixels become the RGB that the rest speaks of."""
    animation: Animation | None = None
    """Of a file whose pictures move."""
    pages: tuple[int, ...] = ()
    """Of a file of several pages: where the directory of each begins."""

    @property
    def num_pictures(self) -> int:
        """How many pictures the file holds."""
        return len(self.pages) or (1 if self.animation is None else self.animation.count)


class OtherFormat(Exception):
    """A file turns out to be of the format of that name, though it begins like one of another."""


METRES_PER_INCH = 0.0254
"""For files that tell their resolution in pixels per metre."""

END_LOST = "the damage of the file (its end marker was missing, nothing of the picture)"
"""What is said where a file without its end proves to be whole but for that."""
CREDENTIALS_LOST = "content credentials (C2PA), which hold for the unchanged picture only"
"""What is said of a manifest that is signed for the pixels as they were."""
PREVIEWS_LOST = "the smaller previews in the file"
"""What is said where previews beside the picture, which would show it unsharpened, are not written."""


def depth_notes(bits: int, *, has_palette: bool) -> tuple[str, ...]:
    """Return what is said of a file of few colours, of `bits` per pixel: sharpened, it has more."""
    if has_palette:
        return ("the palette (colours are written in full)",)
    return (f"the depth of {bits} bit{'s' if bits > 1 else ''} (written as 8)",) if bits < 8 else ()


def shape_notes(ratio: float) -> tuple[str, ...]:
    """Return what is said of pixels that are so many times as wide as high, where only square ones are written."""
    return () if ratio == 1 else (f"the shape of the pixels ({ratio:.3g} times as wide as high)",)


def damaged(name: str, what: str) -> UnsupportedImage:
    """Make the error for a file that is cut off or broken; `what` says where, in a few words."""
    return UnsupportedImage(f"{name} is cut off or damaged ({what}); get the file again.")


def refused(name: str, what: str, remedy: str) -> UnsupportedImage:
    """Make the error for a sound file of a kind that is not read."""
    return UnsupportedImage(f"{name} is {what}, which is not read here; {remedy}.")


def missing(name: str, what: str, extra: str, else_: str = "") -> UnsupportedImage:
    """Make the error for a file that an extra of ours would read."""
    return UnsupportedImage(
        f"{name} is {what}, which an extra reads that is not installed: {how_to_get(extra)}{else_}."
    )


def rare_or_damaged(name: str, what: str, remedy: str) -> UnsupportedImage:
    """Make the error for a file that says of itself what no known file does: of a rare kind, or broken there."""
    return UnsupportedImage(
        f"{name} is {what}, which is not read here, or it is damaged; get the file again, or {remedy}."
    )


def too_deep(name: str, bits: int) -> UnsupportedImage:
    """Make the error for more bits per channel than are taken."""
    return UnsupportedImage(
        f"{name} is a picture of {bits} bits per channel, which is not read here; it would lose tones in fewer, so "
        "convert it yourself if that is what you want."
    )


def colours_and_alpha(values: npt.NDArray[Any]) -> Decoded:
    """Return values `h w c`, c = 1 … 4, as colours, `h w 1` or `h w 3`, and transparency, `h w`, if there: as views."""
    colours = 3 if values.shape[2] > 2 else 1
    return values[..., :colours], values[..., colours] if values.shape[2] > colours else None


def rescaled(levels: npt.NDArray[Any], white: int, wanted: int) -> npt.NDArray[np.uint16]:
    """Return levels, of which that of white is known, as uint16 with another white, rounded; both are at most 65535."""
    if white == wanted:
        return levels.astype(np.uint16)
    # At most 65535 · 65535 + 32767, which fits.
    return ((levels.astype(np.uint32) * np.uint32(wanted) + np.uint32(white // 2)) // np.uint32(white)).astype(
        np.uint16
    )


def exactly(file: BinaryIO, size: int) -> bytes:
    """Read so many bytes.

    Raises:
        EOFError: When there are fewer.
    """
    data = file.read(size)
    if len(data) != size:
        raise EOFError("it ends too early")
    return data


def inflate(data: bytes) -> bytes | None:
    """Unpack zlib data; None when it is damaged or larger than `MAX_INFLATED_BYTES`."""
    unpacker = zlib.decompressobj()
    try:
        inflated = unpacker.decompress(data, MAX_INFLATED_BYTES)
    except zlib.error:
        return None
    return inflated if unpacker.eof else None
