"""What blurred a picture, and whether it can be undone: one kernel all over, or straight motion by place.

Straight motion is told by the estimator and refined on a textured part; a curved path is found as camera shake is. A
lens's blur, too, is told: out of focus by some px, a disk is undone better so than by a network that is told nothing.
`undoing` does what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.shake import Progress, known_shake, weighed
from acutance.deconvolution.texture import SMALLEST_PX, textured_box
from acutance.estimation.blocks import first_block, start_in
from acutance.estimation.spectrum import LEAST_SIDE_PX
from acutance.estimation.straight import refined
from acutance.estimation.verdict import BlurField, BlurVerdict
from acutance.geometry import Box
from acutance.imaging.convert import PixelType, to_float
from acutance.imaging.response import Response
from acutance.inference.bands import (
    ONE_THING_PIXELS,
    TEXTURED_PIXELS,
    banded,
    banded_places,
    has_bands_all_over,
    radius_in,
    response_to,
    weighed_as,
)
from acutance.inference.belief import grey_of
from acutance.inference.edges import has_no_edges, is_made_of_steps
from acutance.inference.found_blur import PATCH_PX, Found, FoundBlur, FoundMotion, FoundPaths, size_words
from acutance.inference.looking import blur_field
from acutance.inference.paths import path_in
from acutance.inference.paths_by_place import paths_by_place
from acutance.inference.surroundings import (
    CLEARLY,
    LARGEST_MISFIT,
    MISFIT_PER_LEVEL,
    explains,
    gated_part,
    surroundings_of,
)

LOOKING = "looking for what blurred the picture"
_SHARP = "sharp already: left as it is"
LARGEST_EXCESS = 0.03
SMALLEST_GAIN = 1.02
"""Of sparseness, by straight motion undone; where there was motion it was 1.05 at least, noise of 2 levels or not."""
ALL_OVER = 0.9
"""Share of the windows from which on all of the picture moved alike: no place need be doubted then. To ask each whether
it rings cost .1 to .5 dB on photos that did."""
SMALLEST_SHARE = 0.02
PERHAPS_CURVED_PX = 10.0
"""What looks like straight motion of this length or more, and does not prove to be, may be curved. In shorter motion
the search finds paths that are none."""


def blur_in(
    pixels: npt.NDArray[PixelType],
    place: Box | None = None,
    *,
    threads: int | None = None,
    progress: Progress,
    orientation: int = 1,
    reduced_by: int = 1,
) -> tuple[Found | None, str]:
    """Look for what blurred a picture: one kernel all over, or else a path or straight motion by place.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey.
        place: The part of it that is looked at, None for all. Where a small one tells too little, what is around it is
            asked, and what that says is held against the place.
        threads: None is one per core.
        progress: Called with the share done and what comes next.
        orientation: How the picture is turned when somebody looks at it, as EXIF says it; for the sentence alone.
        reduced_by: How many times as large it is then; for the sentence alone.

    Returns:
        What was found, None where nothing can be undone, counted from the place's corner; and a sentence on it.
    """
    progress(0.0, LOOKING)
    whole = Box(0, 0, *pixels.shape[:2])
    place = whole if place is None else place
    around = surroundings_of(place, whole)
    first = progress if around is None else _part_of(progress, 0.0, 0.5)
    start = first_block(pixels)
    grey = grey_of(to_float(pixels[place.slices]))
    own = _looked_at(grey, start=start_in(place, start), threads=threads, progress=first)
    where = size_words(reduced_by)
    if own.may_be_told and around is not None:
        second = _part_of(progress, 0.5, 1.0)
        found = _as_around(pixels, place, around, own.found, start=start, threads=threads, progress=second)
        if found is not None:
            words = found.words_on(orientation=orientation, reduced_by=reduced_by)
            return found, f"{words}, as around the region: taken out{where}"
    if isinstance(own.found, FoundBlur):
        return own.found, f"{own.found.words_on(orientation=orientation, reduced_by=reduced_by)}: taken out{where}"
    if own.found is not None:
        return own.found, f"{own.words}{where}"
    if own.seen is None:
        return None, own.words
    seen = own.seen.turned(orientation).enlarged(reduced_by)
    return None, f"{seen}, perhaps, but not everywhere or not exactly: left as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What a part of a picture tells by itself."""

    found: Found | None = None
    words: str = ""
    """On what was found, or why nothing was, where `seen` does not say it."""
    seen: BlurVerdict | None = None
    """What it looks like, where that could not be undone."""
    may_be_told: bool = True
    """Whether a larger part may tell more: a path that convinces stands by itself."""


def _part_of(progress: Progress, start: float, end: float) -> Progress:
    return lambda share, doing: progress(start + share * (end - start), doing)


def _looked_at(
    grey: npt.NDArray[np.float32], *, start: tuple[int, int], threads: int | None, progress: Progress
) -> _Looked:
    """Look at a part of a picture."""
    if min(grey.shape) < LEAST_SIDE_PX or grey.size < SMALLEST_PX**2:
        return _Looked(words="too small to tell what blurred it: left as it is")
    has_edges = not has_no_edges([grey], is_fine=False)
    if not has_edges or is_made_of_steps([grey]):
        words = _SHARP if has_edges else "nothing in it shows how blurred it is: left as it is"
        return _Looked(words=words, may_be_told=False)
    field = blur_field(grey, start=start, threads=threads)
    progress(0.3, LOOKING)
    found, seen = _one_kernel(grey, field, threads=threads, progress=progress)
    if found is not None:
        return _Looked(found=found, may_be_told=not found.is_path)
    if seen.is_sharp:
        return _Looked(words=_SHARP, may_be_told=False)
    if min(grey.shape) < SMALLEST_PX:
        return _Looked(seen=seen)
    by_place: list[FoundPaths | FoundMotion | None] = [_by_place(grey, field, threads=threads)]
    if field.whole.kind == "path":
        by_place.append(paths_by_place(grey, threads=threads, progress=_part_of(progress, 0.8, 1.0)))
    motion = max((one for one in by_place if one is not None), key=lambda one: one.share, default=None)
    return _Looked(seen=seen) if motion is None else _Looked(found=motion, words=motion.words)


def _one_kernel(
    grey: npt.NDArray[np.float32], field: BlurField, *, threads: int | None, progress: Progress
) -> tuple[FoundBlur | None, BlurVerdict]:
    """Look for one kernel all over; return the estimator's word, too."""
    seen = field.whole
    # A crop of lettering tells the estimator little, its bands all; a whole photo that is sharp is not doubted.
    is_doubted = not seen.is_sharp or grey.size <= ONE_THING_PIXELS
    found = banded(grey, field) if is_doubted else None
    if found is not None or seen.is_sharp or min(grey.shape) < SMALLEST_PX:
        return found, seen
    return _as_told(grey, field, threads=threads, progress=progress)


def _as_around(
    pixels: npt.NDArray[PixelType],
    place: Box,
    around: Box,
    own: Found | None,
    *,
    start: tuple[int, int],
    threads: int | None,
    progress: Progress,
) -> FoundBlur | None:
    """Ask what is around a place; return its kernel where it explains the place, and better than the place's own."""
    grey = grey_of(to_float(pixels[around.slices]))
    if has_no_edges([grey], is_fine=False):
        return None
    field = blur_field(grey, start=start_in(around, start), threads=threads)
    found, _ = _one_kernel(grey, field, threads=threads, progress=progress)
    if found is None:
        return None
    grey = found.response.light(grey)
    crop = gated_part(grey, place.shifted(around.top, around.left), found.kernel.psf)
    kernel = known_shake(crop, found.kernel.psf)
    evidence = kernel.evidence if found.seen is None else weighed_as(crop, found.seen)
    before = weighed(crop, own.kernel.psf).gain if isinstance(own, FoundBlur) else 1.0
    if isinstance(own, FoundBlur) and own.is_sure:
        before *= CLEARLY
    if not explains(evidence, before=before, noise_levels=field.noise):
        return None
    return replace(found, kernel=replace(found.kernel, usual_residual=kernel.usual_residual))


def _as_told(
    grey: npt.NDArray[np.float32], field: BlurField, *, threads: int | None, progress: Progress
) -> tuple[FoundBlur | None, BlurVerdict]:
    """Follow what the estimator says of the picture as a whole; return that, refined, too."""
    seen, radius = field.whole, radius_in(grey)  # large disks look like motion to the estimator
    if radius is not None:
        seen = replace(seen, kind="defocus", strength_px=radius)
    elif seen.kind == "path":
        return _curved(grey, threads=threads, progress=progress), seen
    elif seen.kind == "line":
        seen = refined(np.ascontiguousarray(grey[textured_box(grey, TEXTURED_PIXELS).slices]), seen)
    progress(0.7, LOOKING)
    response = response_to(grey, seen)
    if response is not Response.NONE and radius is not None:
        seen = replace(seen, strength_px=radius_in(response.light(grey)) or radius)
    found = _checked(response.light(grey), seen, field, response)
    if found is None and seen.kind == "line" and seen.strength_px >= PERHAPS_CURVED_PX:
        found = _curved(grey, threads=threads, progress=progress)
    return found, seen


def _curved(grey: npt.NDArray[np.float32], *, threads: int | None, progress: Progress) -> FoundBlur | None:
    """Look for a curved path. That tells its own progress, from nothing on."""
    return path_in(grey, threads=threads, progress=_part_of(progress, 0.3, 1.0))


def _checked(
    grey: npt.NDArray[np.float32], seen: BlurVerdict, field: BlurField, response: Response
) -> FoundBlur | None:
    """Undo the kernel on a textured part, in the light it blurred; blurred again, does it explain what was seen?"""
    psf = seen.psf
    assert psf is not None
    noise_levels = field.noise
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    kernel = known_shake(crop, psf)
    evidence = weighed_as(crop, seen)
    if seen.kind == "line" and evidence.gain < SMALLEST_GAIN:
        return None
    if evidence.excess > LARGEST_EXCESS or evidence.misfit > LARGEST_MISFIT + MISFIT_PER_LEVEL * noise_levels:
        return None
    moved = seen.kind == "line" and field.share_moved_like(seen) < ALL_OVER
    is_sure = seen.kind == "defocus" and has_bands_all_over(grey, seen)
    return FoundBlur(kernel=kernel, moved=moved, is_sure=is_sure, response=response, seen=seen)


def _by_place(grey: npt.NDArray[np.float32], field: BlurField, *, threads: int | None) -> FoundMotion | None:
    """Look for straight motion by place; None where there is too little of it."""
    has_moved = field.whole.kind in {"line", "path"}
    banded, response = banded_places(grey, field, threads=threads) if has_moved else ({}, Response.NONE)
    motion = FoundMotion(words="", share=0.0, field=field, banded=banded, response=response)
    places = [(y, x) for y in range(0, grey.shape[0], PATCH_PX) for x in range(0, grey.shape[1], PATCH_PX)]
    moved = sum(motion.kernel_at(y, x) is not None for y, x in places) / len(places)
    if moved < SMALLEST_SHARE:
        return None
    words = f"straight motion that differs over the picture: taken out of {100 * moved:.0f} % of it"
    return replace(motion, words=words, share=moved)
