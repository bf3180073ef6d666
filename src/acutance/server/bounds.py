"""What a file would cost to decode, looked at before anything is decoded: small files that unpack to very much.

A header is believed for this, since a decoder believes it, too. What a header cannot tell is bounded by the worker's
time and memory.
"""

from __future__ import annotations

import re
from typing import get_args

from acutance.engines.engine import Ensemble
from acutance.errors import ImageTooLarge
from acutance.media import PictureFile

MAX_SCANS = 100
"""Of one JPEG. A progressive one has about ten; each is a pass over all pixels, and may take ten bytes of the file."""

MAX_FRAME_PIXELS = 2**24
"""Of one frame of an animation or of a video: 4096×4096, or 5.3K. Several frames are in memory at once."""

MAX_ALL_PIXELS = 10**9
"""Of all frames or pages of a file together, in each orientation that goes through the network."""

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_EOI, _SOS = b"\xd9", b"\xda"


def check_bounds(pictures: PictureFile, content: bytes, *, ensemble: int = 1) -> None:
    """Refuse a file that would keep a decoder busy, or fill the memory, out of all proportion.

    Args:
        pictures: The open file.
        content: Its bytes.
        ensemble: Orientations in which each of its pictures goes through the network.

    Raises:
        ImageTooLarge: When it would.
    """
    if pictures.format == "JPEG":
        check_scans(content)
    count, size = pictures.count, pictures.size
    if pictures.animation is not None:
        check_frame(size.width, size.height, "an animation")
    if count * size.pixels > MAX_ALL_PIXELS:
        raise ImageTooLarge(
            f"the image has {count} pictures of {size.width}×{size.height} px = {count * size.pixels / 1e6:.0f} MP in "
            f"all, the limit is {MAX_ALL_PIXELS / 1e6:.0f} MP; send fewer or smaller ones."
        )
    if ensemble * count * size.pixels > MAX_ALL_PIXELS:
        pixels = count * size.pixels
        fitting = max(count for count in get_args(Ensemble) if count * pixels <= MAX_ALL_PIXELS)
        raise ImageTooLarge(
            f"ensemble = {ensemble}: {ensemble} orientations of {pixels / 1e6:.2f} MP are "
            f"{ensemble * pixels / 1e6:.2f} MP, the limit is {MAX_ALL_PIXELS / 1e6:.2f} MP; take {fitting}."
        )


def check_scans(jpeg: bytes) -> None:
    """Refuse a JPEG of too many scans.

    Raises:
        ImageTooLarge: When it has more than `MAX_SCANS`.
    """
    scans, at = 0, 2
    while (found := _MARKER.search(jpeg, at)) is not None and found[1] != _EOI:
        # Segments are passed over by their length: what lies in them, a thumbnail for instance, is not drawn.
        length = int.from_bytes(jpeg[found.end() : found.end() + 2], "big")
        at = found.end() + max(length, 2)
        scans += found[1] == _SOS
    if scans > MAX_SCANS:
        raise ImageTooLarge(
            f"the image is a JPEG of {scans} scans, the limit is {MAX_SCANS}; save it anew, a usual one has up to 10."
        )


def check_frame(width: int, height: int, of_what: str) -> None:
    """Refuse too large frames.

    Args:
        width: In px.
        height: In px.
        of_what: They are frames of, with its article.

    Raises:
        ImageTooLarge: When they have more than `MAX_FRAME_PIXELS`.
    """
    if width * height > MAX_FRAME_PIXELS:
        raise ImageTooLarge(
            f"the frames of {of_what} have {width}×{height} px = {width * height / 1e6:.1f} MP, the limit is "
            f"{MAX_FRAME_PIXELS / 1e6:.1f} MP; send a smaller one."
        )
