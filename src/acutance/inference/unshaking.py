"""Camera shake taken out of pixels of any type, tile by tile, before a network cleans what is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.shake import Progress, Shake, find_shake
from acutance.geometry import Size, plan_tiles
from acutance.imaging.convert import PixelType, to_float
from acutance.inference.belief import grey_of, keep_what_is_believed
from acutance.inference.processor import usable_cpus

TILE_PX = 1024
"""Fixed, unlike the network's tiles: what is beyond a tile's halo has some influence here, which must not depend on how
much memory there is."""

HALO_PX = 96
"""Three widths of the largest kernel."""

UNDOING = "taking the shake out"


def shake_in(pixels: npt.NDArray[PixelType], *, threads: int | None = None, progress: Progress) -> Shake | None:
    """Look for camera shake in a picture; see `find_shake`.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey.
        threads: None is one per core.
        progress: Called with the share done and what comes next.
    """
    return find_shake(grey_of(to_float(pixels)), threads=threads or usable_cpus(), progress=progress)


def without_shake(
    pixels: npt.NDArray[PixelType], shake: Shake, *, threads: int | None = None, progress: Progress
) -> npt.NDArray[np.float32]:
    """Undo a picture's shake, but where something else than it blurred the picture: there it stays.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey.
        shake: What was found.
        threads: None is one per core.
        progress: Called with the share of pixels done and what comes next, in the calling thread.

    Returns:
        Float32 `h w c` in [0, 1].
    """
    result = np.empty(pixels.shape, np.float32)
    tiles = list(plan_tiles(Size(*pixels.shape[:2]), tile_px=TILE_PX, halo_px=HALO_PX))
    threads = threads or usable_cpus()
    progress(0.0, UNDOING)
    with ThreadPoolExecutor(threads) as pool:
        for number, tile in enumerate(tiles, start=1):
            seen = to_float(pixels[tile.source.slices])
            inside = tile.target.shifted(tile.source.top, tile.source.left).slices
            trusted = pool.submit(shake.trust, grey_of(seen))
            channels = np.ascontiguousarray(np.moveaxis(seen, 2, 0))
            still = np.clip(np.moveaxis(shake.undone(channels, threads=threads), 0, 2), 0, 1)
            mixed = seen + trusted.result()[..., np.newaxis] * (still - seen)
            result[tile.target.slices] = mixed[inside]
            progress(number / len(tiles), UNDOING)
    keep_what_is_believed(pixels, result)
    return result
