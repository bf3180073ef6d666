"""A picture freed of what blurred it: looked for, undone in closed form, and cleaned by a network that is told so.

Straight motion is told by the estimator and refined on a textured part; a curved path is found as camera shake is, and
undone without the network, which has learnt from kernels that are more exact. A lens's blur, too, is told: out of focus
by some px, a disk is undone better so than by a network that is told nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.plausibility import believed
from acutance.deconvolution.shake import SMALLEST_PX, Shake, find_shake, known_shake, textured_box
from acutance.deconvolution.wiener import wiener_guides
from acutance.estimation.straight import refined
from acutance.estimation.verdict import BlurVerdict
from acutance.geometry import Box, Size, Tile, ceil_to_multiple, plan_tiles
from acutance.imaging.convert import PixelType, to_float
from acutance.imaging.pad import mirrored_part, with_margin
from acutance.inference.engine import Engine
from acutance.inference.looking import blur_field
from acutance.inference.processor import usable_cpus
from acutance.inference.tiling import check_finite
from acutance.inference.unshaking import TILE_PX, grey_of, without_shake

Progress = Callable[[float, str], None]
"""Takes the share done, 0 … 1, and in a few words what comes next."""

NOTHING_TO_TELL = f"smaller than {SMALLEST_PX} px, or even all over: what blurred it cannot be told, left as it is"
LOOKING, UNDOING = "looking for what blurred the picture", "taking the blur out"
REFINED_PIXELS = 40_000
"""Straight motion is refined on so many."""
LARGEST_EXCESS = 0.03
LARGEST_MISFIT = 0.8
MISFIT_PER_LEVEL = 0.4
"""Noise does not fit any picture: so much more misfit is no sign against the kernel for each level of it."""
SMALLEST_RADIUS_PX, SMALLEST_LINE_PX = 1.0, 2.5
"""Less is left to models that need not be told."""
KERNEL_REACH_PX = 64
"""So far beyond a tile its surroundings still count for the deconvolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlur:
    """What blurred a picture, in words and as a kernel that was checked."""

    words: str
    kernel: Shake
    is_told: bool
    """Whether the network is told: of a curved path it is not."""


def blur_in(
    pixels: npt.NDArray[PixelType], *, threads: int | None = None, progress: Progress
) -> tuple[FoundBlur | None, str]:
    """Look for what blurred a picture, the same all over.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey.
        threads: None is one per core.
        progress: Called with the share done and what comes next.

    Returns:
        What was found, None where nothing can be undone; and a sentence on it.
    """
    progress(0.0, LOOKING)
    grey = grey_of(to_float(pixels))
    if min(grey.shape) < SMALLEST_PX or float(np.ptp(grey)) < 1 / 255:
        return None, NOTHING_TO_TELL
    field = blur_field(grey, threads=threads)
    seen = field.whole
    progress(0.3, LOOKING)
    if seen.is_sharp:
        return None, "sharp already: left as it is"
    if seen.kind == "path":
        shake = find_shake(grey, threads=threads or usable_cpus(), progress=progress)
        if shake is None:
            return None, f"{seen}, which differs over the picture or cannot be told exactly: left as it is"
        words = f"curved motion of about {shake.length_px:.0f} px: taken out"
        return FoundBlur(words=words, kernel=shake, is_told=False), words
    crop = np.ascontiguousarray(grey[textured_box(grey, REFINED_PIXELS).slices])
    if seen.kind == "line":
        seen = refined(crop, seen)
    progress(0.7, LOOKING)
    found = _checked(grey, seen, field.noise)
    return found, f"{seen}: taken out" if found is not None else f"{seen}, perhaps, but not everywhere: left as it is"


def _checked(grey: npt.NDArray[np.float32], seen: BlurVerdict, noise_levels: float) -> FoundBlur | None:
    """Undo the kernel on a textured part and blur that again: does it explain what was seen?"""
    psf = seen.psf
    assert psf is not None
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    kernel = known_shake(crop, psf, noise_sigma=max(noise_levels, 0.29) / 255)
    evidence = kernel.evidence
    if evidence.excess > LARGEST_EXCESS or evidence.misfit > LARGEST_MISFIT + MISFIT_PER_LEVEL * noise_levels:
        return None
    return FoundBlur(words=f"{seen}: taken out", kernel=kernel, is_told=True)


def without_blur(
    pixels: npt.NDArray[PixelType],
    found: FoundBlur,
    engine: Engine,
    *,
    threads: int | None = None,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Undo a picture's blur, but where something else than its kernel blurred the picture: there it stays.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey.
        found: What blurred it.
        engine: Of a network that takes guides.
        threads: None is one per core.
        progress: Called with the share of pixels done and what comes next, in the calling thread.

    Returns:
        Float32 `h w c` in [0, 1].

    Raises:
        NonFiniteOutput: When the network gives NaN or infinity.
    """
    if not found.is_told:
        return without_shake(pixels, found.kernel, threads=threads, progress=progress)
    size = Size(*pixels.shape[:2])
    result = np.empty(pixels.shape, np.float32)
    multiple = engine.spec.size_multiple
    halo = ceil_to_multiple(engine.spec.halo_px + KERNEL_REACH_PX, multiple)
    padded = Size(*(ceil_to_multiple(side, multiple) for side in size))
    tiles = list(plan_tiles(padded, tile_px=TILE_PX, halo_px=halo, multiple=multiple))
    progress(0.0, UNDOING)
    with ThreadPoolExecutor(threads or usable_cpus()) as pool:
        for number, tile in enumerate(tiles, start=1):
            _undo_tile(pixels, result, tile, kernel=found.kernel, engine=engine, pool=pool)
            progress(number / len(tiles), UNDOING)
    return result


def _undo_tile(
    pixels: npt.NDArray[PixelType],
    result: npt.NDArray[np.float32],
    tile: Tile,
    *,
    kernel: Shake,
    engine: Engine,
    pool: ThreadPoolExecutor,
) -> None:
    source = tile.source.within(Box(0, 0, *pixels.shape[:2]))
    seen = to_float(pixels[source.slices])
    trusted = pool.submit(kernel.trust, grey_of(seen))
    planes = np.ascontiguousarray(np.moveaxis(seen, 2, 0))
    guides = list(pool.map(lambda plane: wiener_guides(plane, kernel.psf, origin=kernel.origin), planes))
    if len(planes) == 1:
        planes, guides = np.repeat(planes, 3, axis=0), guides * 3
    # Colour by colour, one guide behind the other: as in training.
    stacked = np.concatenate([planes, np.stack(guides, axis=1).reshape(-1, *planes.shape[1:])])
    frame = with_margin(tile.source.size, engine.spec.size_multiple)
    batch = np.ascontiguousarray(np.moveaxis(mirrored_part(np.moveaxis(stacked, 0, 2), frame), 2, 0))[np.newaxis]
    restored = engine.run(batch)[0]
    target = tile.target.within(Box(0, 0, *pixels.shape[:2]))
    check_finite(restored, engine.spec, target)
    inside = target.shifted(source.top, source.left)
    rows, columns = Box(0, 0, *seen.shape[:2]).shifted(frame.top, frame.left).slices
    sharp = np.clip(np.moveaxis(restored[:, rows, columns], 0, 2), 0, 1)
    if pixels.shape[2] == 1:
        sharp = sharp[..., 1:2]
    # What is believed hangs on what lies around: it is told with the surroundings of the tile.
    trust = (trusted.result() * believed(grey_of(seen), grey_of(sharp)))[..., np.newaxis]
    result[target.slices] = (seen + trust * (sharp - seen))[inside.slices]
