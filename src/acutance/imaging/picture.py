"""A picture: its pixels, and what shines through them; colour there is filled in, so that garbage bleeds nowhere.

A transparent pixel may hold any colour (often black, or leftovers of what was erased). A network that looks at its
neighbourhood would drag that colour into the visible edge. So before it runs, hidden colours are replaced by the
average of the nearest visible ones, found on a pyramid (pull-push, after Gortler et al. 1996).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from acutance.imaging.convert import PixelType, to_float, to_type

_ROWS = 64
"""At once; an even number."""


class Picture(NamedTuple):
    """A picture, or some rows of one."""

    pixels: npt.NDArray[Any]
    """`h w c`, c = 1 (grey) or 3 (RGB), gamma space; uint8, uint16, or float32 in [0, 1]."""
    alpha: npt.NDArray[Any] | None = None
    """`h w` of the same type, from 0 (transparent) to white (opaque); None where nothing is transparent."""

    def each(self, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Picture:
        """Return it with pixels and alpha changed alike: turned, cut or copied."""
        return Picture(change(self.pixels), None if self.alpha is None else change(self.alpha))

    def filled(self) -> Picture:
        """Return it with what is hidden filled in; see `fill_transparent`."""
        return self if self.alpha is None else Picture(fill_transparent(self.pixels, self.alpha), self.alpha)

    def part(self, rows: slice, columns: slice = slice(None)) -> Picture:
        """Return a part of it; a view."""
        return self.each(lambda array: array[rows, columns])


def fill_transparent(pixels: npt.NDArray[PixelType], alpha: npt.NDArray[PixelType]) -> npt.NDArray[PixelType]:
    """Replace the colour of fully transparent pixels by that of their visible surroundings.

    Args:
        pixels: `h w c`; uint8, uint16, or float32 in [0, 1].
        alpha: `h w` of the same type, from 0 (transparent) to white (opaque).

    Returns:
        `h w c` of the same type: a new array with every pixel of alpha > 0 as it was; the input itself when nothing is
        hidden or nothing is visible.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    colours = to_type(_filled(*_halved(pixels, alpha)), pixels.dtype.type)
    filled = pixels.copy()
    for top in range(0, len(filled), _ROWS):
        rows = filled[top : top + _ROWS]
        surroundings = _enlarged(colours[top // 2 : (top + _ROWS) // 2], rows.shape)
        np.copyto(rows, surroundings, where=hidden[top : top + _ROWS, :, np.newaxis])
    return filled


def _halved(
    pixels: npt.NDArray[PixelType], alpha: npt.NDArray[PixelType]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return premultiplied colours and weights at half the size; of a few rows at a time, which stay in the cache."""
    parts = []
    for top in range(0, len(pixels), _ROWS):
        weights = to_float(alpha[top : top + _ROWS])
        parts.append(_reduced(to_float(pixels[top : top + _ROWS]) * weights[..., None], weights))
    colours, weights = (np.concatenate(some) for some in zip(*parts, strict=True))
    return colours, weights


def _filled(premultiplied: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return colours (not premultiplied) with the gaps filled from coarser levels."""
    seen = weights > 0
    visible = np.where(seen, weights, 1.0).astype(np.float32)
    colours = premultiplied / visible[..., None]
    if seen.all() or max(weights.shape) == 1:
        return colours
    coarser = _filled(*_reduced(premultiplied, weights))
    return np.where(seen[..., None], colours, _enlarged(coarser, weights.shape)).astype(np.float32, copy=False)


def _reduced(
    premultiplied: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Average 2×2 pixels of premultiplied colours and of weights; odd sides are padded with nothing."""
    height, width = weights.shape
    rows, columns = -height % 2, -width % 2
    if rows or columns:
        premultiplied = np.pad(premultiplied, ((0, rows), (0, columns), (0, 0)))
        weights = np.pad(weights, ((0, rows), (0, columns)))
    return _mean_of_cells(premultiplied), _mean_of_cells(weights[..., None])[..., 0]


def _mean_of_cells(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    total = image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]
    return np.asarray(total * np.float32(0.25), dtype=np.float32)


def _enlarged(image: npt.NDArray[PixelType], size: tuple[int, ...]) -> npt.NDArray[PixelType]:
    """Double both sides by repetition and cut to the size: smoothness does not matter under transparency."""
    return np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)[: size[0], : size[1]]
