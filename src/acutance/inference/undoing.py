"""A picture freed of the blur that was found in it: deconvolved tile by tile, and cleaned by a network that is told so.

What the network is told is the picture, deconvolved in closed form with the kernel; what it gives is made to explain
the picture (`deconvolution.data_consistency`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.shake import Progress
from acutance.engines.engine import Engine, check_finite
from acutance.engines.processor import pool_size
from acutance.geometry import Box, Size, Tile, ceil_to_multiple, plan_tiles, with_halo
from acutance.imaging.convert import PixelType, to_float
from acutance.imaging.pad import mirrored_part, with_margin
from acutance.imaging.response import Response
from acutance.inference.bands import response_to
from acutance.inference.belief import grey_of, keep_what_is_believed
from acutance.inference.found_blur import Found, FoundBlur, FoundMotion, FoundPaths
from acutance.inference.solving import Solver, solver_of
from acutance.inference.told import ToldBlur

TILE_PX = 1024
"""Fixed, unlike the network's tiles: what is beyond a tile's halo has some influence here, which must not depend on how
much memory there is."""
FADE_PX = 48
"""So far beyond its border a tile fades into the next. Of long motion some frequencies are all but gone, and what is
made of them differs from tile to tile, however much of their surroundings they see: of 100 px there was a step of ten
levels between two tiles."""
UNDOING = "taking the blur out"
KERNEL_REACH_PX = 64
"""So far beyond a tile its surroundings still count for the deconvolution in closed form."""
PATH_REACH_PX = 96
"""So far around a part with a path of its own: three widths of the largest kernel."""
NEAR_PX = 24
"""What the network sees around a part that is wanted alone; its guides come from farther away."""


def without_blur(
    pixels: npt.NDArray[PixelType],
    found: Found | ToldBlur,
    engine: Engine,
    *,
    wanted: Box | None = None,
    response: Response | None = None,
    threads: int | None = None,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Undo a picture's blur, but where something else than its kernel blurred the picture: there it stays.

    What somebody told is undone everywhere: who tells it has looked.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey.
        found: What blurred it.
        engine: Of a network that takes guides.
        wanted: The part that counts; beyond it the picture is returned as it is. The network then sees no more than it
            must, so that a small part of a picture takes a part of a second.
        response: How the values come from what was blurred; None is as was found, or as the picture tells of a kernel
            that somebody told. Opacity has no curve.
        threads: None is one per core.
        progress: Called with the share of pixels done and what comes next, in the calling thread.

    Returns:
        Float32 `h w c` in [0, 1].

    Raises:
        NonFiniteOutput: When the network gives NaN or infinity.
    """
    if response is None:
        response = response_to(grey_of(to_float(pixels)), found) if isinstance(found, ToldBlur) else found.response
    if isinstance(found, FoundPaths):
        return _without_paths(pixels, found, engine, wanted, response=response, threads=threads, progress=progress)
    size = Size(*pixels.shape[:2])
    kept = Box(0, 0, *size) if wanted is None else wanted
    result = np.zeros(pixels.shape, np.float32) if wanted is None else to_float(pixels)
    result[kept.slices] = 0
    multiple = engine.spec.size_multiple
    reach = KERNEL_REACH_PX
    if not isinstance(found, FoundMotion):
        reach = max(reach, len(found.psf if isinstance(found, ToldBlur) else found.kernel.psf))
    halo = ceil_to_multiple(engine.spec.halo_px + reach, multiple)
    padded = Size(*(ceil_to_multiple(side, multiple) for side in size))
    tiles = list(plan_tiles(padded, tile_px=TILE_PX, halo_px=halo, multiple=multiple))
    progress(0.0, UNDOING)
    with ThreadPoolExecutor(pool_size(threads)) as pool:

        def solver(source: Box) -> Solver:
            return solver_of(found, source, response=response, pool=pool)

        for number, tile in enumerate(tiles, start=1):
            target = with_halo(tile.target, within=kept, halo_px=FADE_PX).source
            if min(target.size) > 0:
                part = Tile(source=tile.source, target=target)
                undone = _undone_tile(pixels, part, solver, engine, sees_all=wanted is None)
                result[target.slices] += _share(tile.target, target, padded)[..., np.newaxis] * undone
            progress(number / len(tiles), UNDOING)
    if isinstance(found, FoundMotion) or (isinstance(found, FoundBlur) and found.moved):
        keep_what_is_believed(pixels[kept.slices], result[kept.slices])
    return result


def _share(tile: Box, part: Box, size: Size) -> npt.NDArray[np.float32]:
    """Return how far each pixel of a part is a tile's: it fades into its neighbours, and all tiles together are 1.

    Args:
        tile: What the tile alone would give.
        part: Where it reaches, fading.
        size: Of all tiles together.
    """
    shares = []
    for low, high, length, first, last in (
        (tile.top, tile.bottom, size.height, part.top, part.bottom),
        (tile.left, tile.right, size.width, part.left, part.right),
    ):
        place = np.arange(first, last) + 0.5
        rise = np.ones(last - first) if low == 0 else np.clip((place - low) / (2 * FADE_PX) + 0.5, 0, 1)
        fall = np.zeros(last - first) if high == length else np.clip((place - high) / (2 * FADE_PX) + 0.5, 0, 1)
        rise, fall = (share * share * (3 - 2 * share) for share in (rise, fall))
        shares.append(rise - fall)
    return np.outer(*shares).astype(np.float32)


def _without_paths(
    pixels: npt.NDArray[PixelType],
    found: FoundPaths,
    engine: Engine,
    wanted: Box | None,
    *,
    response: Response,
    threads: int | None,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Undo each part's path in it, fading into its neighbours and into parts that stay as they are."""
    whole = Box(0, 0, *pixels.shape[:2]) if wanted is None else wanted
    result = to_float(pixels)
    for number, (inner, path) in enumerate(found.parts):
        part = _to_the_border(inner, found, whole)
        target = with_halo(part, within=whole, halo_px=FADE_PX).source
        around = with_halo(target, within=Box(0, 0, *pixels.shape[:2]), halo_px=PATH_REACH_PX)
        blur = FoundBlur(kernel=path, moved=True)
        part_of = pixels[around.source.slices]
        undone = without_blur(part_of, blur, engine, response=response, threads=threads, progress=_untold)
        inside = target.shifted(around.source.top, around.source.left).slices
        share = _share(part.shifted(whole.top, whole.left), target.shifted(whole.top, whole.left), whole.size)
        result[target.slices] += share[..., np.newaxis] * (undone[inside] - to_float(pixels[target.slices]))
        progress((number + 1) / len(found.parts), UNDOING)
    return result


def _untold(share: float, doing: str) -> None:
    """Tell nobody of a part's progress."""


def _to_the_border(part: Box, found: FoundPaths, whole: Box) -> Box:
    """Return where a part lies in what is undone.

    One at the border of what was looked at goes on to that of the whole: a region's result fades beyond it.
    """
    return Box(
        whole.top if part.top == 0 else part.top + found.top,
        whole.left if part.left == 0 else part.left + found.left,
        whole.bottom if part.bottom == found.size.height else part.bottom + found.top,
        whole.right if part.right == found.size.width else part.right + found.left,
    )


def _undone_tile(
    pixels: npt.NDArray[PixelType],
    tile: Tile,
    solver: Callable[[Box], Solver],
    engine: Engine,
    *,
    sees_all: bool,
) -> npt.NDArray[np.float32]:
    """Return what the tile's target becomes, `h w c`; the network sees all of its source, or what lies near."""
    source = tile.source.within(Box(0, 0, *pixels.shape[:2]))
    seen = to_float(pixels[source.slices])
    planes = np.ascontiguousarray(np.moveaxis(seen, 2, 0))
    by = solver(source)
    trust = by.trust(seen)
    guides = by.guides(planes)
    inputs = np.concatenate([planes[np.newaxis], guides])
    if len(planes) == 1:
        inputs = np.repeat(inputs, 3, axis=1)
    # One guide behind the other, each in its three colours: as in training.
    stacked = inputs.reshape(-1, *planes.shape[1:])
    inside = tile.target.shifted(source.top, source.left)
    multiple = engine.spec.size_multiple
    frame = with_margin(tile.source.size, multiple) if sees_all else _near(inside, NEAR_PX + by.reach_px, multiple)
    batch = np.ascontiguousarray(np.moveaxis(mirrored_part(np.moveaxis(stacked, 0, 2), frame), 2, 0))[np.newaxis]
    restored = engine.run(batch)[0]
    check_finite(restored, engine.spec, tile.target)
    shown = frame.within(Box(0, 0, *source.size))
    restored = restored[:, *shown.shifted(frame.top, frame.left).slices]
    if len(planes) == 1:
        restored = restored[1:2]
    restored = by.consistent(np.clip(restored, 0, 1), planes[:, *shown.slices], shown)
    sharp = np.clip(np.moveaxis(restored[:, *inside.shifted(shown.top, shown.left).slices], 0, 2), 0, 1)
    blurred = seen[inside.slices]
    return np.asarray(blurred + trust()[inside.slices][..., np.newaxis] * (sharp - blurred))


def _near(box: Box, margin_px: int, multiple: int) -> Box:
    """Return a box grown by what must be seen around it, from multiples to multiples."""
    low = [(side - margin_px) // multiple * multiple for side in (box.top, box.left)]
    high = [ceil_to_multiple(side + margin_px, multiple) for side in (box.bottom, box.right)]
    return Box(*low, *high)
