"""Straight motion that a picture's spectrum has the bands of: all over, or by place; and the rings of a lens.

`estimation.spectrum` and `rings` look at a crop. Here it is decided which, and whether that is believed.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.plausibility import mean_step
from acutance.deconvolution.shake import Evidence, known_shake, weighed
from acutance.deconvolution.texture import SMALLEST_PX, textured_box
from acutance.engines.processor import pool_size
from acutance.estimation.responses import response_in
from acutance.estimation.rings import disk_radius
from acutance.estimation.spectral_motions import spectral_motions, told_exactly
from acutance.estimation.spectrum import LEAST_SIDE_PX, BandedSpectrum, SpectralMotion
from acutance.estimation.verdict import BlurField, BlurVerdict
from acutance.geometry import Box
from acutance.imaging.picture import Picture
from acutance.imaging.reduction import reduced
from acutance.imaging.response import Response
from acutance.inference.edges import has_no_edges
from acutance.inference.found_blur import PATCH_PX, FoundBlur
from acutance.inference.surroundings import MISFIT_PER_LEVEL
from acutance.inference.told import ToldBlur

TEXTURED_PIXELS = 40_000
"""The most textured part has so many, for what is told of it alone."""
CLEAR_BANDS = 0.4
"""Score from which on straight motion is told by the bands of the most textured part's spectrum. Of plates that moved
by 8 to 16 px it was .45 to .6, of photos .74 to .88; of photos that a Gaussian, a disk or nothing blurred up to .38."""
WHOLE_PIXELS = 640_000
CLEAR_BANDS_OF_WHOLE = 0.45
"""The same of the spectrum of a picture as a whole, of so many pixels at most. There it was .72 to .92 of what moved
along a straight line (.45 to .8 as JPEG of quality 50 to 60), also of a façade whose most textured part had .15: its
windows have bands of their own. Of else it was up to .44, or the excess spoke against it."""
LEAST_OF_PATH = 0.55
"""Straight motion that is told where the estimator sees a path must have so much of its length: a path that it told as
9 px was taken for straight motion of 4."""
CLEAR_BEFORE_PATH = 0.65
"""Score that it must have there, in more than so many pixels. Nearly straight paths had 0.57 to 0.63; undone as
straight motion three photos came out 0.5 to 3 dB worse than they were, as paths 2 to 3 dB better."""
CLEAR_BEFORE_PATH_PIXELS = 100_000
WIDEST_PSF_PX = 31
"""Wider kernels are weighed at half the size. In its own the misfit of the right one was 9 to 11 on a region and on a
photo with strong edges at the border, and at most 1.1 at half; of wrong directions it was 1 to 10 there."""
LARGEST_EXCESS, LEAST_MISFIT = 0.06, 1.5
"""Limits for such motion, which two things speak for already: lettering on a small crop, right, had .016 and .8."""
SAME_BANDS = 0.2
"""Score from which on a quarter of the picture has the bands of the whole."""
ONE_THING_PIXELS = 40_000
"""A picture, or a region, of no more is one thing that moved in one way."""
PLACE_PX = 80
"""Half of the side of what the spectrum of a place is taken of."""
MOST_PLACES = 40
"""The spectra of so many places are looked at: a tenth of a second each."""


def alike_in(grey: npt.NDArray[np.float32], field: BlurField) -> BlurVerdict | None:
    """Return what a picture's spectrum tells that blurred all of it alike: a disk or straight motion."""
    radius = radius_in(grey)
    if radius is None:
        motion = banded(grey, field)
        return motion.seen if motion is not None and motion.is_sure else None
    disk = BlurVerdict(kind="defocus", share=1.0, strength_px=radius)
    return disk if has_bands_all_over(grey, disk) else None


def radius_in(grey: npt.NDArray[np.float32]) -> float | None:
    """Return the radius, in px, of the disk that blurred a picture as a whole; None where its spectrum tells none."""
    return disk_radius(np.ascontiguousarray(grey[textured_box(grey, WHOLE_PIXELS).slices]))


def banded(grey: npt.NDArray[np.float32], field: BlurField) -> FoundBlur | None:
    """Look for straight motion in the spectrum of a picture as a whole, or of its most textured part."""
    seen = field.whole
    # Of a plate the estimator says little.
    clear = CLEAR_BEFORE_PATH if seen.kind == "path" and grey.size > CLEAR_BEFORE_PATH_PIXELS else 0.0
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    parts = ((WHOLE_PIXELS, CLEAR_BANDS_OF_WHOLE), (TEXTURED_PIXELS, CLEAR_BANDS))
    for pixels, least_score in parts if grey.size > TEXTURED_PIXELS else parts[1:]:
        looked_at = np.ascontiguousarray(grey[textured_box(grey, pixels).slices])
        banded_motion = _banded_motion(looked_at, crop, field.noise, least_score=max(least_score, clear))
        if banded_motion is not None:
            break
    if banded_motion is None:
        return None
    motion, response = banded_motion
    if seen.kind == "path" and motion.length_px < LEAST_OF_PATH * seen.strength_px:
        return None
    seen = _line(told_exactly(response.light(looked_at), motion))
    assert seen.psf is not None
    is_alike = has_bands_all_over(response.light(grey), seen)
    kernel = known_shake(response.light(crop), seen.psf)
    return FoundBlur(kernel=kernel, moved=not is_alike, is_sure=is_alike, response=response, seen=seen)


def _banded_motion(
    looked_at: npt.NDArray[np.float32],
    crop: npt.NDArray[np.float32],
    noise_levels: float,
    *,
    least_score: float = CLEAR_BANDS,
) -> tuple[SpectralMotion, Response] | None:
    """Look for straight motion in the spectrum of a part; undone on a crop, it must explain what was seen.

    Returns:
        The motion, and in what light it happened.
    """
    for motion in spectral_motions(looked_at):
        if motion.score < least_score:
            break
        seen = _line(motion)
        response = response_to(looked_at, seen)
        evidence = weighed_as(response.light(crop), seen)
        if evidence.excess <= LARGEST_EXCESS and evidence.misfit <= LEAST_MISFIT + MISFIT_PER_LEVEL * noise_levels:
            return motion, response
    return None


def weighed_as(crop: npt.NDArray[np.float32], seen: BlurVerdict) -> Evidence:
    """Return what speaks for a kernel that was told; of a wide one at half the size, where the border counts less."""
    assert seen.psf is not None
    if len(seen.psf) <= WIDEST_PSF_PX:
        return weighed(crop, seen.psf)
    half = seen.enlarged(0.5).psf
    assert half is not None
    return weighed(reduced(Picture(crop[..., np.newaxis]), 2).pixels[..., 0], half)


def response_to(grey: npt.NDArray[np.float32], blur: BlurVerdict | ToldBlur) -> Response:
    """Return in what light a blur happened, as far as the spectrum of a picture as a whole tells."""
    if blur.kind == "gaussian":  # has no bands
        return Response.NONE
    assert blur.psf is not None
    crop = np.ascontiguousarray(grey[textured_box(grey, WHOLE_PIXELS).slices])
    return response_in(crop, blur.psf, beyond_gaps=blur.kind == "defocus")


def _line(motion: SpectralMotion) -> BlurVerdict:
    return BlurVerdict(kind="line", share=1.0, strength_px=motion.length_px, angle=motion.angle)


def has_bands_all_over(grey: npt.NDArray[np.float32], seen: BlurVerdict) -> bool:
    """Whether each quarter of a picture, but of a small one, has the bands of one motion, or the rings of one disk."""
    if grey.size <= ONE_THING_PIXELS:
        return True
    assert seen.psf is not None
    quarters = [half for side in np.array_split(grey, 2) for half in np.array_split(side, 2, axis=1)]
    for quarter in quarters:
        part = np.ascontiguousarray(quarter[textured_box(quarter, WHOLE_PIXELS // 4).slices])
        if min(part.shape) < LEAST_SIDE_PX or has_no_edges([part], is_fine=False):
            continue
        if BandedSpectrum(part, beyond_gaps=seen.kind == "defocus").score_of(seen.psf) < SAME_BANDS:
            return False
    return True


def banded_places(
    grey: npt.NDArray[np.float32], field: BlurField, *, threads: int | None
) -> tuple[dict[tuple[int, int], BlurVerdict], Response]:
    """Look at the spectrum of each place, or of those with most texture; each is accepted by itself.

    Returns:
        By place what moved there; and in what light most of it did.
    """
    picture = Box(0, 0, *grey.shape)
    boxes = {
        (y, x): Box(y - PLACE_PX, x - PLACE_PX, y + PLACE_PX, x + PLACE_PX).within(picture)
        for y in range(0, grey.shape[0] + PATCH_PX, PATCH_PX)
        for x in range(0, grey.shape[1] + PATCH_PX, PATCH_PX)
    }
    boxes = {place: box for place, box in boxes.items() if min(box.size) >= SMALLEST_PX}
    texture = {place: mean_step(grey[box.slices]) for place, box in boxes.items()}
    places = sorted(boxes, key=lambda place: -texture[place])[:MOST_PLACES]

    def look(place: tuple[int, int]) -> tuple[SpectralMotion, Response] | None:
        part = np.ascontiguousarray(grey[boxes[place].slices])
        return None if has_no_edges([part], is_fine=False) else _banded_motion(part, part, field.noise)

    with ThreadPoolExecutor(pool_size(threads)) as pool:
        found = {place: one for place, one in zip(places, pool.map(look, places), strict=True) if one is not None}
    lights = Counter(response for _, response in found.values())
    response = max(Response, key=lambda one: lights[one])  # of equals the first
    return {place: _line(motion) for place, (motion, _) in found.items()}, response
