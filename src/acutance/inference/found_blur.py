"""What was found in a picture, to be undone: one kernel, straight motion by place, or a curved path by place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acutance.deconvolution.planes import Psf
from acutance.deconvolution.shake import Shake
from acutance.estimation.verdict import BlurField, BlurVerdict
from acutance.geometry import Box, Size
from acutance.imaging.response import Response

SURE, SHORTEST_PX = 0.8, 3.5
"""By place only straight motion is undone that the estimator gives so much of the probability, and at least so long:
curved motion, taken for straight, came out below the blurred picture."""
PATCH_PX = 64
"""Distance of the places, each of which is a patch of twice the side."""


def size_words(reduced_by: int) -> str:
    """Say at which size something was done, to go on with behind what was done; empty where it was in its own."""
    return f" at 1/{reduced_by} of its size" if reduced_by > 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlur:
    """One kernel that blurred the whole picture, and was checked."""

    kernel: Shake
    moved: bool
    """Whether something may have moved otherwise: there the result rings, since the kernel is not its own."""
    is_sure: bool = False
    """Whether all of the picture has the bands of this motion in its spectrum: then no place is held against its
    residual, which is large where lettering is, too."""
    response: Response = Response.NONE
    """In what light it was blurred."""
    seen: BlurVerdict | None = None
    """What the kernel is of; None for a curved path."""

    @property
    def is_path(self) -> bool:
        """Whether it is a curved path, which was looked for as such and had to convince by itself."""
        return self.seen is None

    @property
    def words(self) -> str:
        """What it is, in a few words."""
        return self.words_on()

    def words_on(self, *, orientation: int = 1, reduced_by: int = 1) -> str:
        """Say it of a picture that is turned as an EXIF orientation says, and so many times as large."""
        if self.seen is not None:
            return str(self.seen.turned(orientation).enlarged(reduced_by))
        return f"curved motion of about {self.kernel.length_px * reduced_by:.0f} px"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMotion:
    """Straight motion that differs over the picture: the camera turned, or things moved by themselves."""

    words: str
    share: float
    """Of the picture, of which it is taken out, 0 … 1."""
    field: BlurField
    banded: Mapping[tuple[int, int], BlurVerdict]
    """By place, `PATCH_PX` apart: motion that the spectrum there has the bands of."""
    response: Response = Response.NONE
    """In what light it was blurred."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPaths:
    """Curved motion that differs over the picture: a path for each part of it that convinces by itself."""

    words: str
    share: float
    """Of the picture, of which it is taken out, 0 … 1."""
    parts: tuple[tuple[Box, Shake], ...]
    """Parts that do not overlap, and what blurred each; where there is none, nothing is undone."""
    size: Size
    """Of what was looked at."""
    response: Response = Response.NONE
    """In what light it was blurred."""
    top: int = 0
    """Where what was looked at begins in what is undone, in px."""
    left: int = 0


Found = FoundBlur | FoundMotion | FoundPaths
"""What can be undone."""
