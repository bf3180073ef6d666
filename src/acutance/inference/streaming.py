"""Restoring a picture that need not fit into memory: a row of tiles after the other, from strips to strips.

The tiles are those that the whole picture would be cut into, with the same halos, so the pixels are the same to the
last bit. One thing alone looks further than a halo: the colours that are made up under full transparency, which come
from what is visible in the rows at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine
from acutance.errors import ConfigError
from acutance.geometry import Box, Size, Tile
from acutance.imaging.pad import with_margin
from acutance.imaging.picture import fill_transparent
from acutance.inference.back_projecting import Rows, corrected_rows, is_corrected
from acutance.inference.tiling import most_uncut, restore_tile, tiles_of
from acutance.media import Strip, StripSource, joined
from acutance.spec import ModelSpec

_PROCESS_BYTES = 180e6
_ENGINE_BYTES_PER_PX = 340
"""Of a tile, halos included; measured with `fast` in ONNX Runtime: 275 at 860 px, 342 at 1436 px."""
_PILLOW_BYTES_PER_PX = 4
_UNDOING_BYTES_PER_PX = 800
"""Of a tile that a blur is undone in, halos included: nine deconvolved planes, spectra, and the network's. A process
for one of 1264 px a side took 1525 MB, one for 6.6 megapixels no more."""
_CORRECTED_ROWS = 1024
"""Rows that are held for the correction by what was seen: those below a row count."""
_LUMINANCE_BYTES_PER_PX = 16
"""What was seen and what was restored, in float32, while rows are added."""
_BLENDED_BYTES_PER_PX = 36
"""Three colours in float32: as they are, without the blur, and blended."""
_TILES_PX = (1344, 1024, 768, 512, 384, 256, 192, 128, 96, 64)


def memory_of_whole(size: Size, *, row_bytes: int, spec: ModelSpec, tile_px: int) -> float:
    """Estimate what a process takes that holds a picture and its result as a whole, in bytes."""
    picture = size.height * row_bytes
    held = picture * (1 + spec.scale**2) + _PILLOW_BYTES_PER_PX * size.pixels
    if is_corrected(spec, wanted=None):
        held += picture + _CORRECTED_ROWS * size.width * _LUMINANCE_BYTES_PER_PX
    if spec.needs_whole:
        from acutance.inference.undoing import KERNEL_REACH_PX, TILE_PX

        high, wide = (min(side, TILE_PX + 2 * (spec.halo_px + KERNEL_REACH_PX)) for side in size)
        return _PROCESS_BYTES + _UNDOING_BYTES_PER_PX * high * wide + _BLENDED_BYTES_PER_PX * size.pixels + held
    seen = (tile_px + 2 * spec.halo_px) ** 2
    padded = with_margin(size, spec.size_multiple).size.pixels
    if padded <= most_uncut(spec, tile_px=tile_px):
        seen = max(seen, padded)
    return _engine_bytes(seen) + held


def tile_within(source: StripSource, spec: ModelSpec, *, tile_px: int, memory_bytes: float) -> int:
    """Return the largest tiles, not above `tile_px`, with which a picture in strips fits into some memory.

    Raises:
        ConfigError: When even the smallest do not.
    """
    needed = 0.0
    for tile in (tile_px, *(side for side in _TILES_PX if side < tile_px)):
        needed = _engine_bytes((tile + 2 * spec.halo_px) ** 2) + _rows_bytes(source, spec, tile)
        if needed <= memory_bytes:
            return tile
    raise ConfigError(
        f"memory of {memory_bytes / 1e6:.0f} MB: rows of {source.size.width} px need at least {needed / 1e6:.0f} MB; "
        "raise the limit of memory (--max-memory, max_memory_mb)."
    )


def _engine_bytes(seen_px: int) -> float:
    """Estimate what a process takes whose network sees so many pixels at once."""
    return _PROCESS_BYTES + _ENGINE_BYTES_PER_PX * float(seen_px)


def _rows_bytes(source: StripSource, spec: ModelSpec, tile_px: int) -> float:
    """Estimate what the rows of a row of tiles take: as read, as RGB, restored, and on the way to the file."""
    rows = min(tile_px + 2 * spec.halo_px, source.size.height)
    restored = 3 * source.size.width * source.bits // 8 * spec.scale**2
    held = rows * (2 * source.row_bytes + 2 * float(restored))
    if is_corrected(spec, wanted=None):
        held += _CORRECTED_ROWS * (2 * float(restored) + source.size.width * _LUMINANCE_BYTES_PER_PX)
    return held


def restored_strips(
    engine: Engine,
    source: StripSource,
    *,
    strength: float,
    tile_px: int,
    corrects: bool = False,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> StripSource:
    """Return the restored picture, to be read in strips; nothing is done before that.

    Args:
        engine: The network.
        source: The picture. With transparency it is read twice: whether any of it is transparent decides, as for a
            whole picture, whether transparency is restored at all.
        strength: See `restore_tiled`.
        tile_px: Longest side of the tiles, in px.
        corrects: Whether it is corrected by what was seen; see `back_projecting`.
        threads: For that.
        progress: Called with the share of rows done.
    """
    scale = engine.spec.scale
    size = Size(source.size.height * scale, source.size.width * scale)

    def tile_rows(strength: float, alpha_strength: float) -> Iterator[tuple[Strip, Strip]]:
        """Yield rows as they are seen by the network, and restored."""
        is_opaque = not source.has_alpha or all(_is_opaque(strip) for strip in source.read())
        rows = _Rows(source)
        tiles = tiles_of(source.size, engine.spec, tile_px=tile_px)
        margin_bottom = with_margin(source.size, engine.spec.size_multiple).bottom
        for _, group in groupby(tiles, key=lambda tile: tile.target.top):
            row = _Row(list(group), source.size, margin_bottom=margin_bottom)
            pixels, alpha = rows.window(row.top, row.bottom)
            if alpha is None or is_opaque:
                colours = row.restored(engine, pixels, strength=strength)
                white = np.iinfo(pixels.dtype).max
                restored = Strip(colours, None if alpha is None else np.full(colours.shape[:2], white, pixels.dtype))
            else:
                pixels = fill_transparent(pixels, alpha)
                colours = row.restored(engine, pixels, strength=strength)
                opacity = row.restored(engine, alpha[..., np.newaxis], strength=alpha_strength)
                restored = Strip(colours, opacity[..., 0])
            yield Strip(pixels[row.target.start - row.top : row.target.stop - row.top], None), restored
            del pixels, alpha, colours, restored  # or they would stay while the next ones are made
            if progress is not None:
                progress(row.target.stop / source.size.height)

    def read() -> Iterator[Strip]:
        if corrects:
            yield from _corrected(tile_rows(1.0, strength), size, strength=strength, threads=threads)
        else:
            for _, restored in tile_rows(strength, strength):
                yield restored

    return replace(source, size=size, read=read)


def _corrected(strips: Iterator[tuple[Strip, Strip]], size: Size, *, strength: float, threads: int) -> Iterator[Strip]:
    """Correct restored strips by what was seen; their transparency, which is no light, stays."""
    opacities: list[npt.NDArray[Any]] = []

    def rows() -> Iterator[Rows]:
        for seen, restored in strips:
            if restored.alpha is not None:
                opacities.append(restored.alpha)
            yield Rows(seen.pixels, restored.pixels)

    for pixels in corrected_rows(size, rows(), strength=strength, threads=threads):
        if not opacities:
            yield Strip(pixels, None)
            continue
        together = np.concatenate(opacities)
        opacities[:] = [together[len(pixels) :]]
        yield Strip(pixels, together[: len(pixels)])


def _is_opaque(strip: Strip) -> bool:
    return strip.alpha is None or int(strip.alpha.min()) == np.iinfo(strip.alpha.dtype).max


class _Row:
    """A row of tiles, and the rows of pixels that it needs and gives."""

    def __init__(self, tiles: list[Tile], size: Size, *, margin_bottom: int) -> None:
        self._tiles = tiles
        top, bottom = tiles[0].source.top, tiles[0].source.bottom
        # What lies beyond the picture is the mirror image of rows inside it, which have to be there. All rows of tiles
        # keep what the bottom margin shows: where tiles are small, the next may need it from further up than this one.
        self.top = max(min(top, 2 * size.height - 1 - margin_bottom), 0)
        self.bottom = min(max(bottom, 1 - top), size.height)
        self.target = slice(max(tiles[0].target.top, 0), min(tiles[0].target.bottom, size.height))

    def restored(self, engine: Engine, pixels: npt.NDArray[Any], *, strength: float) -> npt.NDArray[Any]:
        """Return the rows that these tiles give, from the rows `top` to `bottom`; grey stays grey."""
        is_grey = pixels.shape[2] == 1
        colour = np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if is_grey else pixels
        scale = engine.spec.scale
        result = np.empty((colour.shape[0] * scale, colour.shape[1] * scale, 3), pixels.dtype)
        for tile in self._tiles:
            here = Tile(source=self._moved(tile.source), target=self._moved(tile.target))
            restore_tile(engine, colour, result, tile=here, strength=strength)
        wanted = result[(self.target.start - self.top) * scale : (self.target.stop - self.top) * scale]
        # On a grey picture the three channels come out nearly, not exactly, alike; the middle one stands for them.
        return np.ascontiguousarray(wanted[..., 1:2]) if is_grey else wanted

    def _moved(self, box: Box) -> Box:
        return box.shifted(self.top, 0)


class _Rows:
    """Rows of a picture, each read once; of those that were returned only what is needed again is kept."""

    def __init__(self, source: StripSource) -> None:
        self._strips = source.read()
        self._held: list[Strip] = []
        self._start = self._end = 0

    def window(self, top: int, bottom: int) -> Strip:
        """Return some rows; none above them is asked for later."""
        # A copy of the few rows that are needed again lets go of the many that are not.
        self._held = [joined(self._held).part(slice(top - self._start, None)).each(np.copy)] if self._held else []
        self._start = top
        while self._end < bottom:
            strip = next(self._strips)
            self._held.append(strip)
            self._end += len(strip.pixels)
        self._held = [joined(self._held)]
        return self._held[0].part(slice(bottom - top))
