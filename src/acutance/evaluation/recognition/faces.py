"""Faces in photos of the user's own: found where they are sharp, made as small as a camera on a wall shows them.

Nobody draws faces as one draws letters. What is looked for is what the detector finds in the sharp photo, and finds
again once it is small, so that it is never asked for what it cannot see. Whose face it is, nobody asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.data.protocol import Pixels
from acutance.errors import ConfigError
from acutance.evaluation.recognition.items import MARGIN_PX, Item
from acutance.geometry import Box
from acutance.media.reading import read_photo

FOUND: Final = "face"
"""What a judge says of a picture whose middle is a face."""
_SURE: Final = 0.95
"""A detector's own confidence from which on a face in a sharp photo counts."""
_SAME: Final = 0.5
"""Share that two boxes must have in common of both together to be of one face."""

Detector = Callable[[Pixels], Sequence[tuple[Box, float]]]
"""From a picture `h w 3` to the boxes of its faces, each with a confidence of 0 … 1."""


def faces_in(photos: Sequence[Path], detect: Detector, *, height_px: float, most: int) -> tuple[Item, ...]:
    """Find faces in sharp photos.

    Args:
        photos: Looked at in their order.
        detect: Finds them.
        height_px: They are made so high; smaller ones are left out.
        most: So many are enough.

    Returns:
        Each with its surroundings: of what a judge is shown, the face is the middle half of both sides.

    Raises:
        ConfigError: When there is none.
        InputError: When a photo cannot be read.
    """
    found = tuple(islice((item for path in photos for item in _faces_of(path, detect, height_px)), most))
    if not found:
        raise ConfigError(
            f"--recognise faces@{height_px:g}: no face of {height_px:g} px or more was found in {len(photos)} photos; "
            "give a folder of photos with faces by --test."
        )
    return found


def seen_in_the_middle(shown: Pixels, found: Sequence[tuple[Box, float]]) -> tuple[str, float]:
    """Return `FOUND` and the confidence where a face was found in the middle of a picture, else nothing."""
    height, width = shown.shape[:2]
    middle = Box(height // 4, width // 4, height - height // 4, width - width // 4)
    best = max((confidence for box, confidence in found if overlap(box, middle) >= _SAME), default=0.0)
    return (FOUND, best) if best > 0 else ("", 0.0)


def overlap(one: Box, other: Box) -> float:
    """Return the share that two boxes have in common of what both cover, 0 … 1."""
    common = one.within(other)
    shared = max(common.bottom - common.top, 0) * max(common.right - common.left, 0)
    return shared / (one.size.pixels + other.size.pixels - shared)


def _faces_of(path: Path, detect: Detector, height_px: float) -> Iterator[Item]:
    pixels = _in_colour(read_photo(path).pixels)
    for face, confidence in detect(pixels):
        if confidence < _SURE or face.size.height < height_px:
            continue
        item = _made_small(pixels, face, height_px / face.size.height)
        shown = None if item is None else item.sharp[item.box.slices]
        if item is not None and shown is not None and seen_in_the_middle(shown, detect(shown))[0]:
            yield item


def _made_small(pixels: Pixels, face: Box, scale: float) -> Item | None:
    """Cut out a face with what is around it, and reduce it; None where the photo ends too near."""
    high, wide = (side / 2 for side in face.size)
    shown = (face.left - wide, face.top - high, face.right + wide, face.bottom + high)
    if min(shown[:2]) < 0 or shown[2] > pixels.shape[1] or shown[3] > pixels.shape[0]:
        return None
    # What blur and networks see beyond it may be the photo's mirror image: portraits fill their photos.
    margin = math.ceil(MARGIN_PX / scale)
    pixels = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    around = (shown[0], shown[1], shown[2] + 2 * margin, shown[3] + 2 * margin)
    size = (round((around[2] - around[0]) * scale), round((around[3] - around[1]) * scale))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=around)
    box = Box(MARGIN_PX, MARGIN_PX, size[1] - MARGIN_PX, size[0] - MARGIN_PX)
    return Item(FOUND, np.asarray(small), box)


def _in_colour(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Pixels:
    """Return 8 bits and three colours."""
    eight = np.rint(pixels / 257.0).astype(np.uint8) if pixels.dtype == np.uint16 else pixels.astype(np.uint8)
    return np.repeat(eight, 3, axis=2) if eight.shape[2] == 1 else np.ascontiguousarray(eight)
