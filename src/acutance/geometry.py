"""Integer geometry: sizes, boxes and the plan of tiles. It knows nothing of pixels or networks.

Sizes are `(height, width)` in that order, everywhere. Boxes are half-open: `[top, bottom)` × `[left, right)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from acutance.errors import ConfigError


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width


def in_pixels(number: int) -> str:
    """Return a number of pixels in words: `1200 px`, `12.5 megapixels`."""
    if number < 100_000:
        return f"{number} px"
    millions = f"{number / 1e6:.1f}".removesuffix(".0")
    return f"{millions} megapixel{'' if millions == '1' else 's'}"


class Box(NamedTuple):
    """A half-open rectangle of pixels."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Size:
        """Height and width of the box."""
        return Size(self.bottom - self.top, self.right - self.left)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices: `array[box.slices]` is the part of an `h w …` array inside the box."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def shifted(self, top: int, left: int) -> Box:
        """Return the same box in a frame whose origin lies at (top, left)."""
        return Box(self.top - top, self.left - left, self.bottom - top, self.right - left)

    def within(self, other: Box) -> Box:
        """Return the part of the box that lies in another; where they do not overlap, a side of it is 0 or less."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def scaled(self, factor: int) -> Box:
        """Return the box in an image `factor` times as large."""
        return Box(self.top * factor, self.left * factor, self.bottom * factor, self.right * factor)


def upright(box: Box, size: Size, orientation: int) -> Box:
    """Return where a box of a picture lies once that is turned as an EXIF orientation, 1 to 8, says."""
    top, left, bottom, right = box
    height, width = size
    if orientation >= 5:
        top, left, bottom, right, height, width = left, top, right, bottom, width, height
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    return Box(top, left, bottom, right)


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of work: read `source`, keep `target`.

    `source` is `target` grown by the halo and cut at the image's border, so the pixels of `target`
    that a network computes from `source` are those it would compute from the whole image.
    """

    source: Box
    target: Box


def with_halo(target: Box, *, within: Box, halo_px: int) -> Tile:
    """Return the tile that computes a target box: its source is grown by the halo and cut at the border of `within`."""
    source = Box(target.top - halo_px, target.left - halo_px, target.bottom + halo_px, target.right + halo_px)
    return Tile(source=source.within(within), target=target)


def ceil_to_multiple(value: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


def plan_tiles(size: Size, *, tile_px: int, halo_px: int, multiple: int = 1) -> Iterator[Tile]:
    """Cut an image into tiles, row by row from the top, left to right.

    The targets cover the image exactly once. All sources are of one size, so that what computes them can use the same
    memory again; those at the border of the image have their halo on fewer sides, and a larger target instead. Every
    source starts at a multiple of `multiple`; it also ends at one, given that the image does.

    Args:
        size: Of the image, a multiple of `multiple` in both directions.
        tile_px: Longest side of a source without its two halos, in px; rounded up to `multiple`.
        halo_px: Context in px that a target's pixels need on each side; rounded up to `multiple`.
        multiple: What the network's input sizes must be multiples of.

    Raises:
        ConfigError: When a size is not positive or not a multiple.
    """
    if tile_px < 1 or halo_px < 0 or multiple < 1:
        raise ConfigError(f"tile {tile_px}, halo {halo_px}, multiple {multiple}: must be positive.")
    if size.height < 1 or size.width < 1 or size.height % multiple or size.width % multiple:
        raise ConfigError(f"image of {size.height}×{size.width} px: sides must be multiples of {multiple}.")
    tile, halo = ceil_to_multiple(tile_px, multiple), ceil_to_multiple(halo_px, multiple)
    columns = _spans(size.width, tile, halo, multiple)
    for rows in _spans(size.height, tile, halo, multiple):
        for span in columns:
            source, target = (
                Box(top, left, bottom, right) for (top, bottom), (left, right) in zip(rows, span, strict=True)
            )
            yield Tile(source=source, target=target)


def _spans(length: int, tile: int, halo: int, multiple: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cut a side into as few parts as `tile` allows; return (start, end) of the source and of the target of each."""
    count = max(-(-(length - 2 * halo) // tile), 1)
    source = ceil_to_multiple(-(-(length + 2 * halo * (count - 1)) // count), multiple)
    # Where one source holds all, it may be smaller than its halos.
    starts = [*range(0, length - source, max(source - 2 * halo, 1)), length - source]
    cuts = [0, *(start + halo for start in starts[1:]), length]
    return [((start, start + source), cut) for start, cut in zip(starts, pairwise(cuts), strict=True)]


def overlapping_starts(length: int, *, tile: int, overlap: int, multiple: int = 1) -> list[int]:
    """Return where parts of one size begin that cover a side, in order, each overlapping the next by `overlap` or more.

    Where that is no multiple, by the next one; but one multiple of each part is left at least.

    Args:
        length: Of the side, not below `tile`.
        tile: Size of a part.
        overlap: Below `tile`.
        multiple: Of which all starts are multiples; `length` and `tile` have to be, too.

    Examples:
        >>> overlapping_starts(100, tile=40, overlap=10)
        [0, 30, 60]
    """
    overlap = min(ceil_to_multiple(overlap, multiple), tile - multiple)
    count = max(-(-(length - overlap) // (tile - overlap)), 1)
    last = length - tile
    return [last * index // max(count - 1, 1) // multiple * multiple for index in range(count)]


def quarter(target: Box, *, multiple: int = 1) -> list[Box]:
    """Cut a box in four, or in two where it is long; the cuts lie at multiples of `multiple` from its corner."""
    side = ceil_to_multiple(-(-max(target.size) // 2), multiple)
    parts = plan_tiles(target.size, tile_px=side, halo_px=0, multiple=multiple)
    return [part.target.shifted(-target.top, -target.left) for part in parts]
