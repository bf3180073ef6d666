"""What is wrong with a region of a picture, by itself and by what is around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from acutance.estimation.spectrum import LEAST_SIDE_PX
from acutance.geometry import Box, with_halo
from acutance.imaging.picture import Picture
from acutance.inference.inspecting import LEAST_REDUCED_PX, look_at
from acutance.inference.look import Look

if TYPE_CHECKING:
    from acutance.inference.told import Region

_AROUND_PX: Final = 4 * LEAST_REDUCED_PX
"""Sides of what is looked at for wide blur, with the region in its middle: at half the size, the largest that the
estimator looks at as a whole."""
_FINE_PX: Final = 2.0
"""A region that is softer may be blurred by more than can be told in it. Motion of 36 to 48 px was told for a disk of
5 px, 92 % sure, in regions of 60×160 and 120×200 px, and for motion of 15 px."""
_SURELY_FINE: Final = 0.6
"""Of the same regions one was told to be sharp, with 39 %, and two for curved motion of 7 px, with 45 and 32 %."""


def look_at_place(
    picture: Picture,
    region: Region | None,
    *,
    threads: int | None = None,
    lights: bool = True,
    reduces: bool = True,
) -> Look:
    """Look at a picture, or at a region of it.

    A region is most often too small to tell wide blur, or to be looked at at a fraction of its size. So what is around
    it is asked, and counts where all of that is blurred more than can be told; but not where the region itself shows
    something finer. The camera followed it then, or it stood still.

    Args:
        picture: Any.
        region: None is all of it.
        threads: See `look_at`.
        lights: See `look_at`; of whole pictures.
        reduces: See `look_at`.

    Raises:
        ConfigError: When the region lies outside the picture, or `threads` is less than one.
    """
    if region is None:
        return look_at(picture.pixels, alpha=picture.alpha, threads=threads, lights=lights, reduces=reduces)
    whole = Box(0, 0, *picture.pixels.shape[:2])
    box = region.box_in(whole.size)
    own = _look_at_part(picture, box, threads=threads, reduces=False)
    around = with_halo(box, within=whole, halo_px=max(_AROUND_PX - min(box.size), 0) // 2).source
    if not reduces or min(around.size) < 2 * LEAST_REDUCED_PX or _is_fine(own):
        return own
    wide = _look_at_part(picture, around, threads=threads, reduces=True)
    is_wide = wide.reduced is not None or wide.is_told_by_spectrum
    return wide if is_wide and min(box.size) >= LEAST_SIDE_PX * wide.reduced_by else own


def _is_fine(look: Look) -> bool:
    """Whether a region shows what wide blur would have taken."""
    seen = look.softness
    return seen is not None and seen.confidence >= _SURELY_FINE and seen.softness_px < _FINE_PX


def _look_at_part(picture: Picture, box: Box, *, threads: int | None, reduces: bool) -> Look:
    part = picture.part(*box.slices)
    return look_at(part.pixels, alpha=part.alpha, threads=threads, lights=False, reduces=reduces)
