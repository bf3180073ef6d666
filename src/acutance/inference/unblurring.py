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

from acutance.deconvolution.planes import Psf
from acutance.deconvolution.shake import SMALLEST_PX, Shake, find_shake, known_shake, textured_box
from acutance.deconvolution.wiener import PENALTIES, wiener_guides
from acutance.estimation.straight import refined
from acutance.estimation.verdict import BlurField, BlurVerdict
from acutance.geometry import Box, Size, Tile, ceil_to_multiple, plan_tiles
from acutance.imaging.convert import PixelType, to_float
from acutance.imaging.pad import mirrored_part, with_margin
from acutance.inference.belief import grey_of, keep_what_is_believed
from acutance.inference.engine import Engine
from acutance.inference.looking import blur_field
from acutance.inference.processor import usable_cpus
from acutance.inference.tiling import check_finite
from acutance.inference.unshaking import TILE_PX, without_shake

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
SURE, SHORTEST_PX = 0.8, 3.5
"""By place only straight motion is undone that the estimator gives so much of the probability, and at least so long:
curved motion, taken for straight, came out below the blurred picture."""
SMALLEST_SHARE = 0.02
PATCH_PX, HALO_PX = 64, 48
"""Distance of the places, each of which is a patch of twice the side, and what of their surroundings counts."""
KERNEL_REACH_PX = 64
"""So far beyond a tile its surroundings still count for the deconvolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlur:
    """One kernel that blurred the whole picture, and was checked."""

    words: str
    kernel: Shake
    is_told: bool
    """Whether the network is told: of a curved path it is not."""
    moved: bool
    """Whether it is motion: what moved otherwise rings, where the kernel is not its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMotion:
    """Straight motion that differs over the picture: the camera turned, or things moved by themselves."""

    words: str
    field: BlurField

    def kernel_at(self, y: float, x: float) -> Psf | None:
        """Return the kernel near a place; None where there is no straight motion to be sure of."""
        seen = self.field.near(y, x)
        is_sure = seen.kind == "line" and seen.share >= SURE and seen.strength_px >= SHORTEST_PX
        return seen.psf if is_sure else None


def blur_in(
    pixels: npt.NDArray[PixelType], *, threads: int | None = None, progress: Progress
) -> tuple[FoundBlur | FoundMotion | None, str]:
    """Look for what blurred a picture: one kernel all over, or else straight motion by place.

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
    found: FoundBlur | None = None
    if seen.kind == "path":
        shake = find_shake(grey, threads=threads or usable_cpus(), progress=progress)
        if shake is not None:
            words = f"curved motion of about {shake.length_px:.0f} px: taken out"
            found = FoundBlur(words=words, kernel=shake, is_told=False, moved=True)
    else:
        if seen.kind == "line":
            seen = refined(np.ascontiguousarray(grey[textured_box(grey, REFINED_PIXELS).slices]), seen)
        progress(0.7, LOOKING)
        found = _checked(grey, seen, field.noise)
    if found is not None:
        return found, found.words
    motion = _by_place(field, Size(*grey.shape))
    if motion is not None:
        return motion, motion.words
    return None, f"{seen}, perhaps, but not everywhere or not exactly: left as it is"


def _checked(grey: npt.NDArray[np.float32], seen: BlurVerdict, noise_levels: float) -> FoundBlur | None:
    """Undo the kernel on a textured part and blur that again: does it explain what was seen?"""
    psf = seen.psf
    assert psf is not None
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    kernel = known_shake(crop, psf, noise_sigma=max(noise_levels, 0.29) / 255)
    evidence = kernel.evidence
    if evidence.excess > LARGEST_EXCESS or evidence.misfit > LARGEST_MISFIT + MISFIT_PER_LEVEL * noise_levels:
        return None
    return FoundBlur(words=f"{seen}: taken out", kernel=kernel, is_told=True, moved=seen.kind == "line")


def _by_place(field: BlurField, size: Size) -> FoundMotion | None:
    """Look for straight motion by place; None where there is too little of it."""
    motion = FoundMotion(words="", field=field)
    places = [(y, x) for y in range(0, size.height, PATCH_PX) for x in range(0, size.width, PATCH_PX)]
    moved = sum(motion.kernel_at(y, x) is not None for y, x in places) / len(places)
    if moved < SMALLEST_SHARE:
        return None
    words = f"straight motion that differs over the picture: taken out of {100 * moved:.0f} % of it"
    return FoundMotion(words=words, field=field)


def without_blur(
    pixels: npt.NDArray[PixelType],
    found: FoundBlur | FoundMotion,
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
    if isinstance(found, FoundBlur) and not found.is_told:
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
            _undo_tile(pixels, result, tile, found=found, engine=engine, pool=pool)
            progress(number / len(tiles), UNDOING)
    if isinstance(found, FoundMotion) or found.moved:
        keep_what_is_believed(pixels, result)
    return result


def _undo_tile(
    pixels: npt.NDArray[PixelType],
    result: npt.NDArray[np.float32],
    tile: Tile,
    *,
    found: FoundBlur | FoundMotion,
    engine: Engine,
    pool: ThreadPoolExecutor,
) -> None:
    source = tile.source.within(Box(0, 0, *pixels.shape[:2]))
    seen = to_float(pixels[source.slices])
    planes = np.ascontiguousarray(np.moveaxis(seen, 2, 0))
    if isinstance(found, FoundBlur):
        trusted = pool.submit(found.kernel.trust, grey_of(seen))
        kernel = found.kernel
        guides = np.stack(list(pool.map(lambda one: wiener_guides(one, kernel.psf, origin=kernel.origin), planes)), 1)
        trust = trusted.result()
    else:
        guides, trust = _guides_by_place(planes, source, found, pool)
    if len(planes) == 1:
        planes, guides = np.repeat(planes, 3, axis=0), np.repeat(guides, 3, axis=1)
    # One guide behind the other, each in its three colours: as in training.
    stacked = np.concatenate([planes, guides.reshape(-1, *planes.shape[1:])])
    frame = with_margin(tile.source.size, engine.spec.size_multiple)
    batch = np.ascontiguousarray(np.moveaxis(mirrored_part(np.moveaxis(stacked, 0, 2), frame), 2, 0))[np.newaxis]
    restored = engine.run(batch)[0]
    target = tile.target.within(Box(0, 0, *pixels.shape[:2]))
    check_finite(restored, engine.spec, target)
    inside = target.shifted(source.top, source.left)
    rows, columns = inside.shifted(frame.top, frame.left).slices
    sharp = np.clip(np.moveaxis(restored[:, rows, columns], 0, 2), 0, 1)
    if pixels.shape[2] == 1:
        sharp = sharp[..., 1:2]
    blurred = seen[inside.slices]
    result[target.slices] = blurred + trust[inside.slices][..., np.newaxis] * (sharp - blurred)


def _guides_by_place(
    planes: npt.NDArray[np.float32], source: Box, found: FoundMotion, pool: ThreadPoolExecutor
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Deconvolve overlapping patches, each with its own kernel, and fade from one to the next.

    Args:
        planes: `c h w`: a part of the picture.
        source: Where it lies.
        found: The kernels.
        pool: Patches are worked on side by side.

    Returns:
        Guides `3 c h w`, and the share `h w` of patches that moved; where none did, the guides are the picture.
    """
    channels, height, width = planes.shape
    guides = np.zeros((len(PENALTIES), channels, height, width), np.float32)
    moved, weights = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    rise = np.sin(np.pi * (np.arange(2 * PATCH_PX) + 0.5) / (2 * PATCH_PX)) ** 2
    window = np.outer(rise, rise).astype(np.float32)
    centres = [
        (y, x)
        for y in range(source.top // PATCH_PX * PATCH_PX, source.bottom + PATCH_PX, PATCH_PX)
        for x in range(source.left // PATCH_PX * PATCH_PX, source.right + PATCH_PX, PATCH_PX)
    ]

    def solved(centre: tuple[int, int]) -> npt.NDArray[np.float32] | None:
        psf = found.kernel_at(*centre)
        patch = _patch_around(*centre).within(source)
        if psf is None or min(patch.size) <= 0:
            return None
        around = Box(patch.top - HALO_PX, patch.left - HALO_PX, patch.bottom + HALO_PX, patch.right + HALO_PX)
        around = around.within(source)
        part = planes[(slice(None), *around.shifted(source.top, source.left).slices)]
        inner = patch.shifted(around.top, around.left).slices
        return np.stack([wiener_guides(np.ascontiguousarray(plane), psf) for plane in part], 1)[..., *inner]

    for centre, answer in zip(centres, pool.map(solved, centres), strict=True):
        box = _patch_around(*centre)
        patch = box.within(source)
        if min(patch.size) <= 0:
            continue
        here = patch.shifted(source.top, source.left).slices
        weight = window[patch.shifted(box.top, box.left).slices]
        guides[..., *here] += weight * (planes[..., *here] if answer is None else answer)
        weights[here] += weight
        if answer is not None:
            moved[here] += weight
    return guides / weights, moved / weights


def _patch_around(y: int, x: int) -> Box:
    return Box(y - PATCH_PX, x - PATCH_PX, y + PATCH_PX, x + PATCH_PX)
