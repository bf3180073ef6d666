"""What blurred a picture, and whether it can be undone: one kernel all over, or straight motion by place.

Straight motion is told by the estimator and refined on a textured part; a curved path is found as camera shake is. A
lens's blur, too, is told: out of focus by some px, a disk is undone better so than by a network that is told nothing.
`undoing` does what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Psf
from acutance.deconvolution.shake import SMALLEST_PX, Progress, Shake, find_shake, known_shake, textured_box
from acutance.estimation.straight import refined
from acutance.estimation.verdict import BlurField, BlurVerdict
from acutance.geometry import Size
from acutance.imaging.convert import PixelType, to_float
from acutance.inference.belief import grey_of
from acutance.inference.looking import blur_field
from acutance.inference.processor import usable_cpus

LOOKING = "looking for what blurred the picture"
SMALLEST_STEP = 2.5 / 255
"""Of the steps between neighbours a thousandth is larger, or there is nothing to tell blur by: ramps in 8 bits have
steps of one level, which the estimator takes for anything."""
REFINED_PIXELS = 40_000
"""Straight motion is refined on so many."""
LARGEST_EXCESS = 0.03
LARGEST_MISFIT = 0.8
SMALLEST_GAIN = 1.02
"""Of sparseness, by straight motion undone; where there was motion it was 1.05 at least, noise of 2 levels or not."""
MISFIT_PER_LEVEL = 0.4
"""Noise does not fit any picture: so much more misfit is no sign against the kernel for each level of it."""
ALL_OVER = 0.9
"""Share of the windows from which on all of the picture moved alike: no place need be doubted then. To ask each whether
it rings cost .1 to .5 dB on photos that did."""
SURE, SHORTEST_PX = 0.8, 3.5
"""By place only straight motion is undone that the estimator gives so much of the probability, and at least so long:
curved motion, taken for straight, came out below the blurred picture."""
SMALLEST_SHARE = 0.02
PATCH_PX = 64
"""Distance of the places, each of which is a patch of twice the side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlur:
    """One kernel that blurred the whole picture, and was checked."""

    words: str
    kernel: Shake
    is_told: bool
    """Whether the network is told: of a curved path it is not."""
    moved: bool
    """Whether something may have moved otherwise: there the result rings, since the kernel is not its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMotion:
    """Straight motion that differs over the picture: the camera turned, or things moved by themselves."""

    words: str
    field: BlurField
    top: int = 0
    """Where what was looked at begins in what is undone, in px."""
    left: int = 0

    def kernel_at(self, y: float, x: float) -> Psf | None:
        """Return the kernel near a place; None where there is no straight motion to be sure of."""
        seen = self.field.near(y - self.top, x - self.left)
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
    if min(grey.shape) < SMALLEST_PX:
        return None, "too small to tell what blurred it: left as it is"
    if _has_no_edges(grey):
        return None, "nothing in it that blur could be told by: left as it is"
    field = blur_field(grey, threads=threads)
    seen = field.whole
    progress(0.3, LOOKING)
    if seen.is_sharp:
        return None, "sharp already: left as it is"
    found: FoundBlur | None = None
    if seen.kind == "path":
        # Looking for a path tells its own progress, from nothing on.
        shake = find_shake(
            grey,
            threads=threads or usable_cpus(),
            progress=lambda share, doing: progress(0.3 + 0.7 * share, doing),
        )
        if shake is not None:
            words = f"curved motion of about {shake.length_px:.0f} px: taken out"
            found = FoundBlur(words=words, kernel=shake, is_told=False, moved=True)
    else:
        if seen.kind == "line":
            seen = refined(np.ascontiguousarray(grey[textured_box(grey, REFINED_PIXELS).slices]), seen)
        progress(0.7, LOOKING)
        found = _checked(grey, seen, field)
    if found is not None:
        return found, found.words
    motion = _by_place(field, Size(*grey.shape))
    if motion is not None:
        return motion, motion.words
    return None, f"{seen}, perhaps, but not everywhere or not exactly: left as it is"


def _has_no_edges(grey: npt.NDArray[np.float32]) -> bool:
    """Whether a picture is one colour or smooth ramps, which look alike, blurred and sharp."""
    step = max(float(np.quantile(np.abs(np.diff(grey, axis=axis)), 0.999)) for axis in (0, 1))
    return step < SMALLEST_STEP


def _checked(grey: npt.NDArray[np.float32], seen: BlurVerdict, field: BlurField) -> FoundBlur | None:
    """Undo the kernel on a textured part and blur that again: does it explain what was seen?"""
    psf = seen.psf
    assert psf is not None
    noise_levels = field.noise
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    kernel = known_shake(crop, psf, noise_sigma=max(noise_levels, 0.29) / 255)
    evidence = kernel.evidence
    if seen.kind == "line" and evidence.gain < SMALLEST_GAIN:
        return None
    if evidence.excess > LARGEST_EXCESS or evidence.misfit > LARGEST_MISFIT + MISFIT_PER_LEVEL * noise_levels:
        return None
    moved = seen.kind == "line" and field.share_moved_like(seen) < ALL_OVER
    return FoundBlur(words=f"{seen}: taken out", kernel=kernel, is_told=True, moved=moved)


def _by_place(field: BlurField, size: Size) -> FoundMotion | None:
    """Look for straight motion by place; None where there is too little of it."""
    motion = FoundMotion(words="", field=field)
    places = [(y, x) for y in range(0, size.height, PATCH_PX) for x in range(0, size.width, PATCH_PX)]
    moved = sum(motion.kernel_at(y, x) is not None for y, x in places) / len(places)
    if moved < SMALLEST_SHARE:
        return None
    words = f"straight motion that differs over the picture: taken out of {100 * moved:.0f} % of it"
    return FoundMotion(words=words, field=field)
