"""Restoring a picture with a network whose tiles cannot be exact: they overlap, and are blended where they do.

A network that looks at its whole input (global attention, normalisation over the picture), or that takes one size
alone, gives other pixels for another cut. So there is no exact answer to agree with; what can be had is one without
seams. A tile's share falls to nothing towards its border, and the shares of all tiles are one at every pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine, check_finite
from acutance.errors import OutOfMemory
from acutance.geometry import Box, Size, ceil_to_multiple, overlapping_starts
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_batch, write_planes
from acutance.imaging.pad import mirrored_part, with_margin
from acutance.imaging.resize import enlarged_part
from acutance.spec import ModelSpec

SMALLEST_FEATHERED_PX = 64
"""When memory is short, tiles are halved down to this side before giving up; smaller ones would see too little."""


def restore_feathered(
    engine: Engine,
    pixels: npt.NDArray[PixelType],
    *,
    strength: float,
    tile_px: int,
    progress: Callable[[float], None] | None = None,
) -> npt.NDArray[PixelType]:
    """Restore a picture of any size with overlapping tiles.

    Args:
        engine: The network; its spec says by how much they overlap, and whether it takes one size alone.
        pixels: RGB `h w 3`: uint8, uint16, or float32 in [0, 1].
        strength: See `restore_tiled`.
        tile_px: Longest side of the tiles of a network that takes any size.
        progress: Called with the share of tiles done.

    Returns:
        RGB `h·scale w·scale 3` of the same type, a new array.

    Raises:
        NonFiniteOutput: When the network gives NaN or infinity.
        OutOfMemory: When even the smallest tile does not fit.
    """
    try:
        return _restored(engine, pixels, _plan(pixels, engine.spec, tile_px), strength, progress)
    except OutOfMemory:
        if engine.spec.fixed_height_px or tile_px // 2 < SMALLEST_FEATHERED_PX:
            raise
    return restore_feathered(engine, pixels, strength=strength, tile_px=tile_px // 2, progress=progress)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The tiles: a grid of boxes of one size."""

    frame: Box
    """What the network sees: the picture and its mirror image around it, in the picture's frame."""
    tile: Size
    tops: list[int]
    lefts: list[int]
    """Where the tiles begin, in the frame."""


def _plan(pixels: npt.NDArray[PixelType], spec: ModelSpec, tile_px: int) -> _Plan:
    size = Size(*pixels.shape[:2])
    if spec.fixed_height_px:
        # Without a margin: a picture of the network's own size is one tile, and comes out as the network gives it.
        tile = Size(spec.fixed_height_px, spec.fixed_width_px)
        frame = Box(0, 0, max(size.height, tile.height), max(size.width, tile.width))
    else:
        frame = with_margin(size, spec.size_multiple)
        side = ceil_to_multiple(max(tile_px, 2 * spec.feather_px), spec.size_multiple)
        tile = Size(min(side, frame.size.height), min(side, frame.size.width))
    overlap = min(spec.feather_px, min(tile) // 2)
    tops, lefts = (
        overlapping_starts(
            length, tile=part, overlap=overlap, multiple=1 if spec.fixed_height_px else spec.size_multiple
        )
        for length, part in zip(frame.size, tile, strict=True)
    )
    return _Plan(frame, tile, tops, lefts)


def _restored(
    engine: Engine,
    pixels: npt.NDArray[PixelType],
    plan: _Plan,
    strength: float,
    progress: Callable[[float], None] | None,
) -> npt.NDArray[PixelType]:
    scale = engine.spec.scale
    height, width = pixels.shape[:2]
    result = np.empty((height * scale, width * scale, 3), pixels.dtype)
    top, left = -plan.frame.top * scale, -plan.frame.left * scale
    row = 0
    for band in _bands(engine, pixels, plan, progress):
        # In the frame of the enlarged picture: without the margin above and below, left and right.
        first, last = max(row - top, 0), min(row - top + band.shape[1], height * scale)
        if first < last:
            planes = band[:, first + top - row : last + top - row, left : left + width * scale]
            if strength != 1.0:
                rows = Box(first // scale, 0, last // scale, width)  # tiles begin and end at whole pixels
                planes = blend(enlarged_part(pixels, rows, scale, within=plan.frame), planes, strength)
            write_planes(planes, result[first:last])
        row += band.shape[1]
    return result


def _bands(
    engine: Engine,
    pixels: npt.NDArray[PixelType],
    plan: _Plan,
    progress: Callable[[float], None] | None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the rows of the frame, restored, from the top: as many as are finished after each row of tiles."""
    spec = engine.spec
    scale, frame = spec.scale, plan.frame
    down = _shares(plan.tops, plan.tile.height, frame.size.height, scale)
    across = _shares(plan.lefts, plan.tile.width, frame.size.width, scale)
    ends = [*plan.tops[1:], frame.size.height]
    held = np.zeros((3, plan.tile.height * scale, frame.size.width * scale), np.float32)
    for row, (top, end) in enumerate(zip(plan.tops, ends, strict=True)):
        for column, left in enumerate(plan.lefts):
            box = Box(top, left, top + plan.tile.height, left + plan.tile.width).shifted(-frame.top, -frame.left)
            restored = engine.run(to_batch(mirrored_part(pixels, box)))
            check_finite(restored, spec, box.within(Box(0, 0, *pixels.shape[:2])))
            share = down[row][:, np.newaxis] * across[column]
            held[:, :, left * scale : (left + plan.tile.width) * scale] += restored[0] * share
            if progress is not None:
                progress((row * len(plan.lefts) + column + 1) / (len(plan.tops) * len(plan.lefts)))
        done = (end - top) * scale
        yield held[:, :done]
        rest = held[:, done:].copy()
        held[:, : rest.shape[1]] = rest
        held[:, rest.shape[1] :] = 0


def _shares(starts: list[int], tile: int, length: int, scale: int) -> list[npt.NDArray[np.float32]]:
    """Return the share that each tile has along one side; at every pixel of the frame they sum to one."""
    sums = np.zeros(length * scale)
    ramps = []
    for index, start in enumerate(starts):
        before = starts[index - 1] + tile - start if index else 0
        after = start + tile - starts[index + 1] if index + 1 < len(starts) else 0
        ramp = np.ones(tile * scale)
        if before:
            ramp[: before * scale] = _rising(before * scale)
        if after:
            ramp[-after * scale :] = np.minimum(ramp[-after * scale :], _rising(after * scale)[::-1])
        ramps.append(ramp)
        sums[start * scale : (start + tile) * scale] += ramp
    parts = [sums[start * scale : (start + tile) * scale] for start in starts]
    return [(ramp / part).astype(np.float32) for ramp, part in zip(ramps, parts, strict=True)]


def _rising(count: int) -> npt.NDArray[np.float64]:
    """Rise from 0 to 1, and hardly at either end: a tile's last pixels are the ones that it knows least about."""
    share = (np.arange(count) + 0.5) / count
    return share * share * (3 - 2 * share)
