"""Pictures in strips: some rows after the other, so that a picture need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from acutance.geometry import Size
from acutance.imaging.picture import Picture
from acutance.media.photo import Photo

Strip = Picture
"""Some rows of a picture, uint8 or uint16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripSource:
    """A picture that can be read in strips, as often as wanted."""

    size: Size
    bits: int
    """Per channel: 8 or 16."""
    colours: int
    """1 (grey) or 3 (RGB)."""
    has_alpha: bool
    read: Callable[[], Iterator[Strip]]
    """Reads from the first row; all strips together are the picture."""

    @property
    def row_bytes(self) -> int:
        """What a row takes in memory."""
        return self.size.width * (self.colours + self.has_alpha) * self.bits // 8


def strips_of_photo(photo: Photo) -> StripSource:
    """Return a photo as one strip."""
    return StripSource(
        size=photo.size,
        bits=photo.bits,
        colours=photo.pixels.shape[2],
        has_alpha=photo.alpha is not None,
        read=lambda: iter((Strip(photo.pixels, photo.alpha),)),
    )


def regrouped(strips: Iterator[Strip], rows: int) -> Iterator[Strip]:
    """Yield the same rows in strips of so many, the last one shorter."""
    waiting: list[Strip] = []
    count = 0
    for strip in strips:
        waiting.append(strip)
        count += len(strip.pixels)
        del strip  # a large one must not stay because of a few rows of it
        if count < rows:
            continue
        together = joined(waiting)
        waiting = []
        whole = count // rows * rows
        for top in range(0, whole, rows):
            yield together.part(slice(top, top + rows))
        count -= whole
        if count:
            waiting = [together.part(slice(whole, None)).each(np.copy)]
        del together
    if count:
        yield joined(waiting)


def joined(strips: list[Strip]) -> Strip:
    """Return strips as one."""
    if len(strips) == 1:
        return strips[0]
    pixels = np.concatenate([strip.pixels for strip in strips])
    alphas = [strip.alpha for strip in strips if strip.alpha is not None]
    return Strip(pixels, np.concatenate(alphas) if alphas else None)
