"""What is seen in a picture: its softness, as a whole and place by place, its noise, and what JPEG and others did."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from acutance.estimation.enlarged import Enlargement
from acutance.estimation.kinds import SeenSoftness, Softness
from acutance.estimation.verdict import BlurVerdict
from acutance.geometry import Box, Size, upright

_ALIKE: Final = 1.5
"""Two places whose softness differs by less than this factor, or half a pixel, are softened alike."""
_ALIKE_PX: Final = 0.5
DARK: Final = 0.4
"""Pictures with no more than this brightness are dark."""
_TOLD_BY_SPECTRUM: Final = 0.97
"""Of 96 wide blurs (motion of 17 to 60 px, disks of 5.5 to 14, on urban10 and kodak24; noise of up to 8 levels, JPEG
from quality 65) 69 were told so, all of them right and to 5 %."""
SHARPEST: Final = SeenSoftness(
    kind="sharp", confidence=0.98, verdict=BlurVerdict(kind="gaussian", share=1.0, strength_px=0.35)
)
"""What is made of steps within one pixel is; the strength is the estimator's least. Of 600 codes, dithered photos,
checkers and drawings of whole pixels, three of four blurred and half of them JPEGs, 69 were told so: all were sharp."""
_DOUBLED, _ENLARGED, _CORRELATED = 0.5, 0.5, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place that was looked at."""

    box: Box
    seen: SeenSoftness


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise of a picture."""

    levels: float
    """Standard deviation in levels of 255."""
    correlation_chance: float | None
    """Probability that neighbours have it in common, as grain; None where there is too little to tell."""

    @property
    def is_correlated(self) -> bool:
        """Whether that is likelier than not."""
        return (self.correlation_chance or 0.0) > _CORRELATED


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegHistory:
    """What JPEG did."""

    quality: int
    """1 … 100, read from the file's own tables."""
    doubled_chance: float | None
    """Probability that the picture had been saved before with a lower quality; None where it holds too little."""

    @property
    def is_doubled(self) -> bool:
        """Whether that is likelier than not."""
        return (self.doubled_chance or 0.0) > _DOUBLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is seen in a picture."""

    size: Size
    softness: SeenSoftness | None
    """Of the picture as a whole; None where nothing tells: it is too small, or has no edges."""
    places: tuple[Place, ...]
    """What was looked at, place by place; one kind of softness each."""
    noise: Noise | None
    jpeg: JpegHistory | None
    """None for pictures that do not come from a JPEG file."""
    enlargement: Enlargement | None
    """The likeliest; None where the picture is too small."""
    clipped_black: float
    """Share of the pixels, 0 … 1, that are black in all channels; bars and frames around the photo do not count."""
    clipped_white: float
    """The same of white in any channel."""
    brightness: float
    """What one pixel in two hundred is brighter than, 0 … 1."""
    lit_by: float = 1.0
    """By what its values were multiplied before all but clipping and brightness was looked at; see `lighting`."""
    reduced: Look | None = None
    """What is seen in the picture at 1/`reduced_by` of its size, in px of that: the blur is too wide to be told in the
    picture itself, and is undone there. Softness and places above are told by this."""
    reduced_by: int = 1
    """2, 4, 8 …"""
    is_told_by_spectrum: bool = False
    """Whether the softness is told by the spectrum of all of the picture, and is alike all over."""

    @property
    def is_enlarged(self) -> bool:
        """Whether it is likelier than not that the picture was enlarged."""
        return self.enlargement is not None and self.enlargement.chance > _ENLARGED

    @property
    def is_dark(self) -> bool:
        """Whether it is so dark that a network with biases does not take it for what it is, lit up or not."""
        return self.brightness * self.lit_by <= DARK

    @property
    def agreement(self) -> float:
        """Share of the places that are as soft as the whole, 0 … 1."""
        if self.softness is None or not self.places:
            return 0.0
        whole = self.softness.softness_px
        return sum(_are_alike(place.seen.softness_px, whole) for place in self.places) / len(self.places)

    @property
    def is_mixed(self) -> bool:
        """Whether the picture is not softened alike all over."""
        return self.agreement < 0.5

    @property
    def worst(self) -> Place | None:
        """The softest place."""
        return max(self.places, key=lambda place: place.seen.softness_px, default=None)

    def turned(self, orientation: int) -> Look:
        """Return what is seen in the picture turned as an EXIF orientation, 1 to 8, says."""
        if orientation == 1:
            return self

        def of(seen: SeenSoftness) -> SeenSoftness:
            return replace(seen, verdict=seen.verdict.turned(orientation))

        places = (Place(box=upright(one.box, self.size, orientation), seen=of(one.seen)) for one in self.places)
        return replace(
            self,
            size=Size(self.size.width, self.size.height) if orientation >= 5 else self.size,
            softness=None if self.softness is None else of(self.softness),
            places=tuple(places),
            reduced=None if self.reduced is None else self.reduced.turned(orientation),
        )

    def in_picture(self, size: Size, photo: Box) -> Look:
        """Return what is seen in a picture of that size of which it is the look at a part, its photo."""
        places = (replace(one, box=one.box.shifted(-photo.top, -photo.left)) for one in self.places)
        return replace(self, size=size, places=tuple(places))

    def told_by_spectrum(self, told: BlurVerdict) -> Look:
        """Return it with the softness that the picture's spectrum tells, alike all over."""
        kind: Softness = "line" if told.kind == "line" else "defocus"
        seen = SeenSoftness(kind=kind, confidence=_TOLD_BY_SPECTRUM, verdict=told)
        places = tuple(replace(place, seen=seen) for place in self.places)
        return replace(self, softness=seen, places=places, is_told_by_spectrum=True)

    def told_by(self, reduced: Look, factor: int) -> Look:
        """Return it with the softness that is seen in the picture at 1/`factor` of its size."""

        def of(seen: SeenSoftness) -> SeenSoftness:
            return replace(seen, verdict=seen.verdict.enlarged(factor))

        whole = Box(0, 0, *self.size)
        places = (Place(box=one.box.scaled(factor).within(whole), seen=of(one.seen)) for one in reduced.places)
        return replace(
            self,
            softness=None if reduced.softness is None else of(reduced.softness),
            places=tuple(places),
            reduced=reduced if reduced.reduced is None else reduced.reduced,
            reduced_by=factor * reduced.reduced_by,
        )


def _are_alike(one: float, other: float) -> bool:
    small, large = sorted((one, other))
    return large - small <= _ALIKE_PX or large <= _ALIKE * small
