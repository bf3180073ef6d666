"""Restoring a picture tile by tile, so that the result is that of the whole picture, bit for bit.

The networks have no normalisation and no global operation, so a pixel depends on its surroundings up to the receptive
radius only. A tile is read with that much context (the halo), and only its inner part is kept. Pixels become floats
one tile at a time: memory does not grow with the picture beyond its own pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from acutance.errors import NonFiniteOutput, OutOfMemory
from acutance.geometry import Size, Tile, ceil_to_multiple, plan_tiles, quarter, with_halo
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_batch, write_planes
from acutance.imaging.pad import reflect_to_multiple
from acutance.inference.engine import Engine
from acutance.spec import ModelSpec

DEFAULT_TILE_PX = 1344
"""The halo costs 6 % on a 12-megapixel photo, and a process for it takes 840 MB."""

SMALLEST_TILE_PX = 32
"""When memory is short, tiles are quartered down to this side before giving up."""


def restore_tiled(
    engine: Engine,
    pixels: npt.NDArray[PixelType],
    *,
    strength: float = 1.0,
    tile_px: int = DEFAULT_TILE_PX,
    progress: Callable[[float], None] | None = None,
) -> npt.NDArray[PixelType]:
    """Restore a picture of any size.

    Args:
        engine: The network.
        pixels: RGB `h w 3`: uint8, uint16, or float32 in [0, 1].
        strength: 0 keeps the input, 1 takes the network's output; blended before rounding. Ignored by models that
            enlarge, whose output has no input of its size.
        tile_px: Longest side of the tiles; changes speed and memory, never the result. A picture that has no more
            pixels than a square tile with its halo is not cut.
        progress: Called with the share of pixels done.

    Returns:
        RGB `h·scale w·scale 3` of the same type, a new array.

    Raises:
        NonFiniteOutput: When the network gives NaN or infinity.
        OutOfMemory: When even the smallest tile does not fit.
    """
    spec = engine.spec
    height, width = pixels.shape[:2]
    padded = padded_size(Size(height, width), spec)
    result = np.empty((height * spec.scale, width * spec.scale, 3), pixels.dtype)
    done = 0
    if padded.pixels <= (tile_px + 2 * spec.halo_px) ** 2:
        tile_px = max(padded)  # a frame of full HD, say: cut in two, it would cost 5 % more, and as much memory
    for tile in plan_tiles(padded, tile_px=tile_px, halo_px=spec.halo_px, multiple=spec.size_multiple):
        restore_tile(engine, pixels, result, tile=tile, strength=strength)
        done += tile.target.size.pixels
        if progress is not None:
            progress(done / padded.pixels)
    return result


def padded_size(size: Size, spec: ModelSpec) -> Size:
    """Return a picture's size, rounded up to what the model takes."""
    return Size(ceil_to_multiple(size.height, spec.size_multiple), ceil_to_multiple(size.width, spec.size_multiple))


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
        pixels: RGB `h w 3`: the picture, or rows of it that hold the tile's source.
        result: RGB `h·scale w·scale 3` of the same type.
        tile: In the frame of `pixels`.
        strength: See `restore_tiled`.

    Raises:
        NonFiniteOutput, OutOfMemory: See `restore_tiled`.
    """
    try:
        restored = _run(engine, pixels, tile)
    except OutOfMemory:
        if max(tile.target.size) <= SMALLEST_TILE_PX:
            raise
        spec = engine.spec
        size = padded_size(Size(*pixels.shape[:2]), spec)
        for part in quarter(tile.target, multiple=spec.size_multiple):
            smaller = with_halo(part, within=size, halo_px=ceil_to_multiple(spec.halo_px, spec.size_multiple))
            restore_tile(engine, pixels, result, tile=smaller, strength=strength)
        return
    scale = engine.spec.scale
    inside = tile.target.scaled(scale).slices
    room = result[inside]  # smaller than the target where the picture was padded
    restored = restored[:, : room.shape[0], : room.shape[1]]
    if scale == 1 and strength != 1.0:
        restored = blend(to_batch(pixels[tile.target.slices])[0], restored, strength)
    write_planes(restored, room)


def _run(engine: Engine, pixels: npt.NDArray[PixelType], tile: Tile) -> npt.NDArray[np.float32]:
    """Run the network on a tile's source; return its output for the tile's target, `3 h w`."""
    # The source may reach beyond the picture by the padding to the size multiple; the crop ends with the picture and
    # is reflected, which gives the same pixels as reflecting the whole picture.
    crop = reflect_to_multiple(pixels[tile.source.slices], engine.spec.size_multiple)
    restored = engine.run(to_batch(crop))
    # One NaN or infinity makes the sum so, too; a finite sum in float32 cannot overflow for values near [0, 1].
    if not math.isfinite(float(restored.sum())):
        raise NonFiniteOutput(
            f"model {engine.spec.name}: gave NaN or infinity at rows {tile.target.top}–{tile.target.bottom}, columns "
            f"{tile.target.left}–{tile.target.right}; nothing was written. Try another engine and report it."
        )
    target = tile.target.shifted(tile.source.top, tile.source.left).scaled(engine.spec.scale)
    rows, columns = target.slices
    return restored[0, :, rows, columns]
