"""Restoring a picture tile by tile, so that the result is that of the whole picture, bit for bit.

The networks have no normalisation and no global operation, so a pixel depends on its surroundings up to the receptive
radius only. A tile is read with that much context (the halo), and only its inner part is kept. Pixels become floats
one tile at a time: memory does not grow with the picture beyond its own pixels.

Around the picture lies a margin, its mirror image, which is thrown away again; see `acutance.imaging.pad.with_margin`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine, check_finite
from acutance.errors import OutOfMemory
from acutance.geometry import Box, Size, Tile, ceil_to_multiple, plan_tiles, quarter, with_halo
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_batch, write_planes
from acutance.imaging.pad import MARGIN_PX, mirrored_part, with_margin
from acutance.imaging.resize import enlarged_part
from acutance.inference.ramps import REACH_PX, kept_on_ramps
from acutance.spec import ModelSpec

DEFAULT_TILE_PX = 1344
"""The halo costs 14 % on a 12-megapixel photo, and a process for it takes 840 MB."""

SMALLEST_TILE_PX = 32
"""When memory is short, tiles are quartered down to this side before giving up."""

LEAST_FIRST_PX = 256
"""Half of the shortest side of a tile that is quartered so that something of it is seen sooner."""


class TileWatch(Protocol):
    """Somebody who looks at a picture while it is restored. It never changes the result."""

    @property
    def is_looking(self) -> bool:
        """Whether tiles are wanted now."""

    def next_of(self, boxes: Sequence[Box]) -> int:
        """Return which of the boxes that are left, in px of the picture, is to be restored next."""

    def restored(self, box: Box, pixels: npt.NDArray[PixelType], size: Size) -> None:
        """Take a finished part.

        Args:
            box: Where it lies, in px of the result.
            pixels: `h w 3`, of the type of the result; not to be kept.
            size: Of the result.
        """


def restore_tiled(
    engine: Engine,
    pixels: npt.NDArray[PixelType],
    *,
    strength: float = 1.0,
    tile_px: int = DEFAULT_TILE_PX,
    progress: Callable[[float], None] | None = None,
    watch: TileWatch | None = None,
    start: tuple[int, int] = (0, 0),
) -> npt.NDArray[PixelType]:
    """Restore a picture of any size.

    Args:
        engine: The network.
        pixels: RGB `h w 3`: uint8, uint16, or float32 in [0, 1].
        strength: 0 keeps the input, 1 takes the network's output; blended before rounding. Where the model enlarges,
            the input is enlarged by a bicubic filter for it.
        tile_px: Longest side of the tiles; changes speed and memory, never the result (but with a model whose tiles
            are feathered, see `ModelSpec.feather_px`). A picture that has, with its margin, no more pixels than
            `most_uncut` is not cut.
        progress: Called with the share of pixels done.
        watch: Chooses the order of the tiles, and is given each; not by models whose tiles are feathered.
        start: Row and column with which one of the network's cells begins; not with models whose tiles are feathered.

    Returns:
        RGB `h·scale w·scale 3` of the same type, a new array.

    Raises:
        NonFiniteOutput: When the network gives NaN or infinity.
        OutOfMemory: When even the smallest tile does not fit.
    """
    spec = engine.spec
    size = Size(*pixels.shape[:2])
    picture = Box(0, 0, *size)
    padded = with_margin(size, spec.size_multiple, start=start).size
    if padded.pixels <= most_uncut(spec, tile_px=tile_px):
        tile_px = max(padded)  # a frame of full HD, say: cut in two, it would cost 5 % more, and as much memory
    if spec.feather_px:
        from acutance.inference.feathering import restore_feathered  # for networks of others alone

        return restore_feathered(engine, pixels, strength=strength, tile_px=tile_px, progress=progress)
    result = np.empty((size.height * spec.scale, size.width * spec.scale, 3), pixels.dtype)
    done = 0
    tiles = tiles_of(size, spec, tile_px=tile_px, start=start)
    for tile in tiles if watch is None else _as_wanted(tiles, watch, spec):
        restore_tile(engine, pixels, result, tile=tile, strength=strength)
        inside = tile.target.within(picture)
        done += inside.size.pixels
        if watch is not None and watch.is_looking:
            box = inside.scaled(spec.scale)
            watch.restored(box, result[box.slices], Size(*result.shape[:2]))
        if progress is not None:
            progress(done / size.pixels)
    return result


def _as_wanted(tiles: Iterator[Tile], watch: TileWatch, spec: ModelSpec) -> Iterator[Tile]:
    """Give tiles in the order in which somebody wants them; the first is cut in four, so that it is seen sooner."""
    left = list(tiles)
    is_first = True
    while left:
        tile = left.pop(watch.next_of([tile.target for tile in left]))
        is_large = min(tile.target.size) >= 2 * LEAST_FIRST_PX
        if is_first and is_large and watch.is_looking:
            left[:0] = _quarters(tile, spec)
        else:
            yield tile
        is_first = False


def _quarters(tile: Tile, spec: ModelSpec) -> list[Tile]:
    halo_px = ceil_to_multiple(spec.halo_px, spec.size_multiple)
    parts = quarter(tile.target, multiple=spec.size_multiple)
    return [with_halo(part, within=tile.source, halo_px=halo_px) for part in parts]


def most_uncut(spec: ModelSpec, *, tile_px: int) -> int:
    """Return how many pixels a picture that is not cut has at most, its margin included."""
    return (tile_px + 2 * spec.halo_px + 2 * MARGIN_PX) ** 2


def tiles_of(size: Size, spec: ModelSpec, *, tile_px: int, start: tuple[int, int] = (0, 0)) -> Iterator[Tile]:
    """Cut a picture and its margin into tiles, row by row from the top, left to right.

    They are in the picture's frame, so the first begin before it. Those that lie in the margin altogether are left out.
    """
    picture, seen = Box(0, 0, *size), with_margin(size, spec.size_multiple, start=start)
    for tile in plan_tiles(seen.size, tile_px=tile_px, halo_px=spec.halo_px, multiple=spec.size_multiple):
        source, target = (box.shifted(-seen.top, -seen.left) for box in (tile.source, tile.target))
        if min(target.within(picture).size) > 0:
            yield Tile(source=source, target=target)


def restore_tile(
    engine: Engine,
    pixels: npt.NDArray[PixelType],
    result: npt.NDArray[PixelType],
    *,
    tile: Tile,
    strength: float,
) -> None:
    """Restore one tile into the result; where memory is short, by quarters.

    Args:
        engine: The network.
        pixels: RGB `h w 3`: the picture, or rows of it that hold all that the tile's source shows, mirrored or not.
        result: RGB `h·scale w·scale 3` of the same type.
        tile: In the frame of `pixels`; what lies beyond them is their mirror image.
        strength: See `restore_tiled`.

    Raises:
        NonFiniteOutput, OutOfMemory: See `restore_tiled`.
    """
    inside = tile.target.within(Box(0, 0, *pixels.shape[:2]))  # without the margin
    if min(inside.size) <= 0:  # a quarter may be margin altogether
        return
    try:
        restored = _run(engine, pixels, tile)
    except OutOfMemory:
        if max(tile.target.size) <= SMALLEST_TILE_PX:
            raise
        for smaller in _quarters(tile, engine.spec):
            restore_tile(engine, pixels, result, tile=smaller, strength=strength)
        return
    scale = engine.spec.scale
    rows, columns = inside.shifted(tile.target.top, tile.target.left).scaled(scale).slices
    restored = restored[:, rows, columns]
    if _keeps_ramps(engine.spec):
        restored = kept_on_ramps(pixels, inside, restored)
    if strength != 1.0:
        restored = blend(enlarged_part(pixels, inside, scale, within=tile.source), restored, strength)
    write_planes(restored, result[inside.scaled(scale).slices])


def _keeps_ramps(spec: ModelSpec) -> bool:
    """Say whether smooth ramps are kept: what others made stays theirs, and tiles must show enough around them."""
    return spec.is_own and spec.task == "sharpen" and spec.halo_px >= REACH_PX


def _run(engine: Engine, pixels: npt.NDArray[PixelType], tile: Tile) -> npt.NDArray[np.float32]:
    """Run the network on a tile's source; return its output for the tile's target, `3 h w`."""
    restored = engine.run(to_batch(mirrored_part(pixels, tile.source)))
    check_finite(restored, engine.spec, tile.target.within(Box(0, 0, *pixels.shape[:2])))
    target = tile.target.shifted(tile.source.top, tile.source.left).scaled(engine.spec.scale)
    rows, columns = target.slices
    return restored[0, :, rows, columns]
