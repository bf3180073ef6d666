"""What blurred a picture, and whether it can be undone: one kernel all over, or straight motion by place.

Straight motion is told by the estimator and refined on a textured part; a curved path is found as camera shake is. A
lens's blur, too, is told: out of focus by some px, a disk is undone better so than by a network that is told nothing.
`undoing` does what is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Psf
from acutance.deconvolution.plausibility import mean_step
from acutance.deconvolution.shake import SMALLEST_PX, Progress, Shake, find_shake, known_shake, textured_box, weighed
from acutance.engines.processor import usable_cpus, within_cpus
from acutance.estimation.spectrum import LEAST_SIDE_PX, BandedSpectrum, spectral_motions
from acutance.estimation.straight import refined
from acutance.estimation.verdict import BlurField, BlurVerdict
from acutance.geometry import Box
from acutance.imaging.convert import PixelType, to_float
from acutance.inference.belief import grey_of
from acutance.inference.inspecting import has_no_edges
from acutance.inference.looking import blur_field

LOOKING = "looking for what blurred the picture"
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
CLEAR_BANDS = 0.4
"""Score from which on straight motion is told by the bands of the spectrum. Of plates and photos that moved by 8 to 16
px it was .41 to .74, of photos that something else blurred below .34; of sharp lettering up to .51, whose deconvolution
leaves the range by .4 and more."""
BANDED_EXCESS, BANDED_MISFIT = 0.06, 1.5
"""Limits for such motion, which two things speak for already: lettering on a small crop, right, had .016 and .8."""
SAME_BANDS = 0.2
"""Score from which on a quarter of the picture has the bands of the whole."""
ONE_THING_PIXELS = 40_000
"""A picture, or a region, of no more is one thing that moved in one way."""
PERHAPS_CURVED_PX = 10.0
"""What looks like straight motion of this length or more, and does not prove to be, may be curved. In shorter motion
the search finds paths that are none."""
PATCH_PX = 64
"""Distance of the places, each of which is a patch of twice the side."""
PLACE_PX = 80
"""Half of the side of what the spectrum of a place is taken of."""
MOST_PLACES = 40
"""The spectra of so many places are looked at: a tenth of a second each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlur:
    """One kernel that blurred the whole picture, and was checked."""

    words: str
    kernel: Shake
    is_told: bool
    """Whether the network is told: of a curved path it is not."""
    moved: bool
    """Whether something may have moved otherwise: there the result rings, since the kernel is not its own."""
    is_sure: bool = False
    """Whether all of the picture has the bands of this motion in its spectrum: then no place is held against its
    residual, which is large where lettering is, too."""
    seen: BlurVerdict | None = None
    """What the kernel is of; None for a curved path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMotion:
    """Straight motion that differs over the picture: the camera turned, or things moved by themselves."""

    words: str
    field: BlurField
    banded: Mapping[tuple[int, int], BlurVerdict]
    """By place, `PATCH_PX` apart: motion that the spectrum there has the bands of."""
    top: int = 0
    """Where what was looked at begins in what is undone, in px."""
    left: int = 0

    def kernel_at(self, y: float, x: float) -> Psf | None:
        """Return the kernel near a place; None where there is no straight motion to be sure of."""
        y, x = y - self.top, x - self.left
        banded = self.banded.get((round(y / PATCH_PX) * PATCH_PX, round(x / PATCH_PX) * PATCH_PX))
        if banded is not None:
            return banded.psf
        seen = self.field.near(y, x)
        is_sure = seen.kind == "line" and seen.share >= SURE and seen.strength_px >= SHORTEST_PX
        return seen.psf if is_sure else None


def blur_in(
    pixels: npt.NDArray[PixelType], *, threads: int | None = None, progress: Progress, orientation: int = 1
) -> tuple[FoundBlur | FoundMotion | None, str]:
    """Look for what blurred a picture: one kernel all over, or else straight motion by place.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey.
        threads: None is one per core.
        progress: Called with the share done and what comes next.
        orientation: How the picture is turned when somebody looks at it, as EXIF says it; for the sentence alone.

    Returns:
        What was found, None where nothing can be undone; and a sentence on it.
    """
    progress(0.0, LOOKING)
    grey = grey_of(to_float(pixels))
    if min(grey.shape) < LEAST_SIDE_PX or grey.size < SMALLEST_PX**2:
        return None, "too small to tell what blurred it: left as it is"
    if has_no_edges([grey], is_fine=False):
        return None, "nothing in it shows how blurred it is: left as it is"
    field = blur_field(grey, threads=threads)
    seen = field.whole
    progress(0.3, LOOKING)
    # A crop of lettering tells the estimator little, its bands all; a whole photo that is sharp is not doubted.
    is_doubted = not seen.is_sharp or grey.size <= ONE_THING_PIXELS
    found = _banded(grey, field) if is_doubted else None
    if found is None and seen.is_sharp:
        return None, "sharp already: left as it is"
    is_small = min(grey.shape) < SMALLEST_PX
    if found is None and not is_small:
        found, seen = _as_told(grey, field, threads=threads, progress=progress)
    if found is not None:
        return found, found.words if found.seen is None else f"{found.seen.turned(orientation)}: taken out"
    motion = None if is_small else _by_place(grey, field, threads=threads)
    if motion is not None:
        return motion, motion.words
    return None, f"{seen.turned(orientation)}, perhaps, but not everywhere or not exactly: left as it is"


def _as_told(
    grey: npt.NDArray[np.float32], field: BlurField, *, threads: int | None, progress: Progress
) -> tuple[FoundBlur | None, BlurVerdict]:
    """Follow what the estimator says of the picture as a whole; return that, refined, too."""
    seen = field.whole
    if seen.kind == "path":
        return _curved(grey, threads=threads, progress=progress), seen
    if seen.kind == "line":
        seen = refined(np.ascontiguousarray(grey[textured_box(grey, REFINED_PIXELS).slices]), seen)
    progress(0.7, LOOKING)
    found = _checked(grey, seen, field)
    if found is None and seen.kind == "line" and seen.strength_px >= PERHAPS_CURVED_PX:
        found = _curved(grey, threads=threads, progress=progress)
    return found, seen


def _curved(grey: npt.NDArray[np.float32], *, threads: int | None, progress: Progress) -> FoundBlur | None:
    """Look for a curved path. That tells its own progress, from nothing on."""
    shake = find_shake(
        grey,
        threads=within_cpus(threads) or usable_cpus(),
        progress=lambda share, doing: progress(0.3 + 0.7 * share, doing),
    )
    if shake is None:
        return None
    words = f"curved motion of about {shake.length_px:.0f} px: taken out"
    return FoundBlur(words=words, kernel=shake, is_told=False, moved=True)


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
    return FoundBlur(words=f"{seen}: taken out", kernel=kernel, is_told=True, moved=moved, seen=seen)


def _banded(grey: npt.NDArray[np.float32], field: BlurField) -> FoundBlur | None:
    """Look for straight motion in the spectrum of a picture as a whole."""
    looked_at = np.ascontiguousarray(grey[textured_box(grey, REFINED_PIXELS).slices])
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    seen = _banded_motion(looked_at, crop, field.noise)
    if seen is None or seen.psf is None:
        return None
    is_alike = _has_bands_all_over(grey, seen.strength_px, seen.angle)
    kernel = known_shake(crop, seen.psf, noise_sigma=max(field.noise, 0.29) / 255)
    words = f"{seen}: taken out"
    return FoundBlur(words=words, kernel=kernel, is_told=True, moved=not is_alike, is_sure=is_alike, seen=seen)


def _banded_motion(
    looked_at: npt.NDArray[np.float32], crop: npt.NDArray[np.float32], noise_levels: float
) -> BlurVerdict | None:
    """Look for straight motion in the spectrum of a part; undone on a crop, it must explain what was seen."""
    for motion in spectral_motions(looked_at):
        if motion.score < CLEAR_BANDS:
            break
        seen = BlurVerdict(kind="line", share=1.0, strength_px=motion.length_px, angle=motion.angle)
        assert seen.psf is not None
        evidence = weighed(crop, seen.psf)
        if evidence.excess <= BANDED_EXCESS and evidence.misfit <= BANDED_MISFIT + MISFIT_PER_LEVEL * noise_levels:
            return seen
    return None


def _has_bands_all_over(grey: npt.NDArray[np.float32], length_px: float, angle: float) -> bool:
    """Whether each quarter of a picture, but of a small one, has the bands of one motion."""
    if grey.size <= ONE_THING_PIXELS:
        return True
    quarters = [half for side in np.array_split(grey, 2) for half in np.array_split(side, 2, axis=1)]
    for quarter in quarters:
        part = np.ascontiguousarray(quarter[textured_box(quarter, REFINED_PIXELS).slices])
        if min(part.shape) < LEAST_SIDE_PX or has_no_edges([part], is_fine=False):
            continue
        if BandedSpectrum(part).score(length_px, angle) < SAME_BANDS:
            return False
    return True


def _by_place(grey: npt.NDArray[np.float32], field: BlurField, *, threads: int | None) -> FoundMotion | None:
    """Look for straight motion by place; None where there is too little of it."""
    has_moved = field.whole.kind in {"line", "path"}
    banded = _banded_places(grey, field, threads=threads) if has_moved else {}
    motion = FoundMotion(words="", field=field, banded=banded)
    places = [(y, x) for y in range(0, grey.shape[0], PATCH_PX) for x in range(0, grey.shape[1], PATCH_PX)]
    moved = sum(motion.kernel_at(y, x) is not None for y, x in places) / len(places)
    if moved < SMALLEST_SHARE:
        return None
    words = f"straight motion that differs over the picture: taken out of {100 * moved:.0f} % of it"
    return replace(motion, words=words)


def _banded_places(
    grey: npt.NDArray[np.float32], field: BlurField, *, threads: int | None
) -> dict[tuple[int, int], BlurVerdict]:
    """Look at the spectrum of each place, or of those with most texture; each is accepted by itself."""
    picture = Box(0, 0, *grey.shape)
    boxes = {
        (y, x): Box(y - PLACE_PX, x - PLACE_PX, y + PLACE_PX, x + PLACE_PX).within(picture)
        for y in range(0, grey.shape[0] + PATCH_PX, PATCH_PX)
        for x in range(0, grey.shape[1] + PATCH_PX, PATCH_PX)
    }
    boxes = {place: box for place, box in boxes.items() if min(box.size) >= SMALLEST_PX}
    texture = {place: mean_step(grey[box.slices]) for place, box in boxes.items()}
    places = sorted(boxes, key=lambda place: -texture[place])[:MOST_PLACES]

    def look(place: tuple[int, int]) -> BlurVerdict | None:
        part = np.ascontiguousarray(grey[boxes[place].slices])
        return None if has_no_edges([part], is_fine=False) else _banded_motion(part, part, field.noise)

    with ThreadPoolExecutor(within_cpus(threads) or usable_cpus()) as pool:
        return {place: seen for place, seen in zip(places, pool.map(look, places), strict=True) if seen is not None}
