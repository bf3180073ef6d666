"""The screen of an animation: pictures are drawn on it one after the other, as browsers do."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box, Size
from acutance.media.photo import Photo

Values = npt.NDArray[Any]
"""uint8 or uint16."""


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
