"""Animations: several pictures shown one after the other, and what of each has changed since the one before."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box
from acutance.media.photo import Photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Animation:
    """When the pictures of a file are shown."""

    durations_s: tuple[Fraction, ...]
    """How long each picture is shown, in seconds, as the file says it."""
    plays: int
    """How many times all of them are shown; 0: for ever."""
    has_still: bool = False
    """Whether a PNG file holds one more picture, before the others, for programs that know no animations."""

    @property
    def count(self) -> int:
        """How many pictures there are, the still one included."""
        return len(self.durations_s) + self.has_still


def cropped(photo: Photo, box: Box) -> Photo:
    """Return a part of a photo, as views."""
    alpha = None if photo.alpha is None else photo.alpha[box.slices]
    return Photo(pixels=photo.pixels[box.slices], alpha=alpha, metadata=photo.metadata)


def differing(before: Photo, after: Photo) -> npt.NDArray[np.bool_]:
    """Return which pixels of two photos of one size differ, bool `h w`."""
    differs: npt.NDArray[np.bool_] = (before.pixels != after.pixels).any(axis=2)
    if before.alpha is not None or after.alpha is not None:
        white = 2**after.bits - 1
        alphas = [np.uint16(white) if photo.alpha is None else photo.alpha for photo in (before, after)]
        differs |= alphas[0] != alphas[1]
    return differs


def bounding_box(mask: npt.NDArray[np.bool_]) -> Box:
    """Return the smallest box that holds all true pixels of a mask `h w`; where there are none, the first pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Box(0, 0, 1, 1)
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
