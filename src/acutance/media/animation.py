"""Animations: pictures shown one after the other, drawn on a screen as browsers do; and what of each has changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box, Size
from acutance.media.photo import Photo

Values = npt.NDArray[Any]
"""uint8 or uint16."""


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


class Disposal(Enum):
    """What is done with a picture when its time is over."""

    NONE = auto()
    """It stays, and the next one is drawn over it."""
    CLEAR = auto()
    """Its place becomes transparent, whatever background colour the file names."""
    RESTORE = auto()
    """What was there before comes back."""


class Canvas:
    """What is on the screen: at first nothing, all transparent."""

    def __init__(self, size: Size, *, shows_below: bool) -> None:
        """Make an empty screen.

        Args:
            size: Of the animation.
            shows_below: Whether any picture lets what lies behind the animation be seen, by not covering it, or by what
                is done with it afterwards. If not, and if the first picture has no transparency, none has.
        """
        self._size = size
        self._shows_below = shows_below
        self._pixels: Values = np.empty(0)
        self._alpha: Values | None = None

    def alone(self, pixels: Values, alpha: Values | None) -> Photo:
        """Return a picture that is not part of the animation, of the same kind as those that are."""
        if alpha is None and self._shows_below:
            alpha = np.full(self._size, np.iinfo(pixels.dtype).max, pixels.dtype)
        return Photo(pixels=pixels, alpha=alpha)

    def shown(self, pixels: Values, alpha: Values | None, box: Box, disposal: Disposal, *, is_blended: bool) -> Photo:
        """Draw a picture, return what is seen then, and undo what is to be undone before the next one.

        Args:
            pixels: uint8 or uint16 `h w c`.
            alpha: Of the same type, `h w`; None is opaque.
            box: Where it goes: of its size, within the screen; it may be empty.
            disposal: What is done with it afterwards.
            is_blended: Whether what is below is seen through it; else it takes its place, transparency and all.
        """
        if not self._pixels.size:
            self._pixels = np.zeros((*self._size, pixels.shape[2]), pixels.dtype)
            self._alpha = np.zeros(self._size, pixels.dtype) if alpha is not None or self._shows_below else None
        before = None
        if disposal is Disposal.RESTORE:
            below_alpha = None if self._alpha is None else self._alpha[box.slices].copy()
            before = self._pixels[box.slices].copy(), below_alpha
        self._draw(pixels, alpha, box, is_blended=is_blended)
        photo = Photo(pixels=self._pixels.copy(), alpha=None if self._alpha is None else self._alpha.copy())
        if before is not None:
            self._pixels[box.slices] = before[0]
            if self._alpha is not None:
                self._alpha[box.slices] = before[1]
        elif disposal is Disposal.CLEAR and self._alpha is not None:
            self._pixels[box.slices] = 0
            self._alpha[box.slices] = 0
        return photo

    def _draw(self, pixels: Values, alpha: Values | None, box: Box, *, is_blended: bool) -> None:
        white = np.iinfo(pixels.dtype).max
        if self._alpha is None or alpha is None or not is_blended:
            self._pixels[box.slices] = pixels
            if self._alpha is not None:
                self._alpha[box.slices] = white if alpha is None else alpha
            return
        below, below_alpha = self._pixels[box.slices], self._alpha[box.slices]
        above = alpha.astype(np.float64) / white
        behind = (1 - above) * below_alpha / white
        total = above + behind
        mixed = (pixels * above[..., None] + below * behind[..., None]) / np.maximum(total, 1e-9)[..., None]
        whole, hidden = alpha == white, alpha == 0
        self._pixels[box.slices] = np.where(
            hidden[..., None], below, np.where(whole[..., None], pixels, np.rint(mixed))
        )
        self._alpha[box.slices] = np.where(hidden, below_alpha, np.rint(total * white))
