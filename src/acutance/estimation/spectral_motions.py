"""The straight motions whose bands a picture's spectrum has: tried one by one, and the best improved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from acutance.deconvolution.planes import Plane
from acutance.estimation.spectrum import LEAST_SIDE_PX, BandedSpectrum, SpectralMotion
from acutance.imaging.kernels import line_psf

SHORTEST_PX: Final = 3.0
LONGEST_PX: Final = 66.0
_STEP_PX: Final = 0.75
"""Of the ends of the motions that are tried first."""
_LONG_PX: Final = 26.0
"""Longer motion is looked for among the lower frequencies first, where larger steps do: all of them take a second."""
_LONG_STEP_PX: Final = 2.0
_LOW: Final = 0.15
_SAME_DIRECTION: Final = math.sin(math.radians(4))
_LEAST_SIDES: Final = 4.0
"""Motion is looked for up to the crop's shorter side over this, if that is more: else it has no room for the bands."""
_NEAR_PX: Final = 2.0
"""Motions whose ends lie so near are one candidate."""
_ROUNDS: Final = 4
_EXACT_STEP_PX: Final = 0.3
_EXACT_ROUNDS: Final = 5


def spectral_motions(crop: Plane, *, most: int = 3) -> tuple[SpectralMotion, ...]:
    """Return the motions whose bands a crop's spectrum has, the likeliest first.

    Args:
        crop: `h w` in [0, 1], gamma space; from some 10 000 px to all of a picture.
        most: How many.

    Returns:
        At most so many, their ends at least some px apart, without those that something else explains better; none
        where the crop is too small.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    if min(crop.shape) < LEAST_SIDE_PX:
        return ()
    spectrum = BandedSpectrum(crop)
    starts = _best(spectrum.score, SHORTEST_PX, _LONG_PX, _STEP_PX, most)
    longest = min(LONGEST_PX, min(crop.shape) / _LEAST_SIDES)
    if longest > _LONG_PX:
        starts += _best(spectrum.below(_LOW).score_of_bands, _LONG_PX, longest, _LONG_STEP_PX, most)
    found = [_climbed(spectrum.score, start) for start in starts]
    found = [one for one in _without_endless(found, longest) if not spectrum.is_told_otherwise(one)]
    return tuple(_apart(sorted(found, key=lambda one: -one.score), most))


def _best(
    score: Callable[[float, float], float], shortest_px: float, longest_px: float, step_px: float, most: int
) -> list[SpectralMotion]:
    """Return the best of many motions, the ends of neighbours `step_px` apart."""
    tried = (
        SpectralMotion(length_px=length, angle=angle, score=score(length, angle))
        for length in np.arange(shortest_px, longest_px + 0.1, 2 * step_px).tolist()
        for angle in np.linspace(0, math.pi, math.ceil(math.pi * length / 2 / step_px), endpoint=False).tolist()
    )
    return _apart(sorted(tried, key=lambda one: -one.score), most)


def _without_endless(motions: list[SpectralMotion], longest_px: float) -> list[SpectralMotion]:
    """Return those that do not end at the longest, nor are long along the direction of one that does.

    The straight slats of a fence go on and on: the longer the motion along them, the better it explains the picture.
    """
    endless = [one.angle for one in motions if longest_px - one.length_px < 2 * _STEP_PX and longest_px > _LONG_PX]
    return [
        one
        for one in motions
        if one.length_px <= _LONG_PX or all(abs(math.sin(one.angle - angle)) > _SAME_DIRECTION for angle in endless)
    ]


def _apart(motions: list[SpectralMotion], most: int) -> list[SpectralMotion]:
    """Return the first of some motions, without those that are near another one."""
    found: list[SpectralMotion] = []
    for motion in motions:
        if len(found) == most:
            break
        if all(apart_px(motion, one) > _NEAR_PX for one in found):
            found.append(motion)
    return found


def told_exactly(crop: Plane, motion: SpectralMotion) -> SpectralMotion:
    """Tell a motion's length and direction more exactly, by the spectra of the kernels that would undo it.

    Of straight motion of 3 to 12 px (12 photos, 8 bit) the ends lie 0.01 to 0.04 px off then (median). By the bands of
    an ideal line it is 0.05 to 0.1 px: at 4 px that costs more than a dB.

    Args:
        crop: `h w` in [0, 1], gamma space.
        motion: What its spectrum told.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    spectrum = BandedSpectrum(crop)

    def kernel_score(length_px: float, angle: float) -> float:
        return spectrum.score_of(line_psf(length_px, angle))

    return _climbed(kernel_score, motion, step_px=_EXACT_STEP_PX, rounds=_EXACT_ROUNDS)


def apart_px(one: SpectralMotion, other: SpectralMotion) -> float:
    """Return how far the ends of two motions lie apart, in px; a motion and its opposite are one."""
    a, b = (
        motion.length_px / 2 * np.array([math.cos(motion.angle), math.sin(motion.angle)]) for motion in (one, other)
    )
    return float(min(np.hypot(*(a - b)), np.hypot(*(a + b))))


def _climbed(
    score: Callable[[float, float], float], start: SpectralMotion, *, step_px: float = _STEP_PX, rounds: int = _ROUNDS
) -> SpectralMotion:
    """Improve a motion in smaller and smaller steps."""

    def scored(length_px: float, angle: float) -> SpectralMotion:
        return SpectralMotion(length_px=length_px, angle=angle, score=score(length_px, angle))

    best, step = scored(start.length_px, start.angle), step_px
    for _ in range(rounds):
        length, angle, turn = best.length_px, best.angle, step / (best.length_px / 2)
        around = [
            scored(min(max(length + 2 * step * along, SHORTEST_PX), LONGEST_PX), (angle + turn * aside) % math.pi)
            for along in (-1, 0, 1)
            for aside in (-1, 0, 1)
            if along or aside
        ]
        best = max([best, *around], key=lambda one: one.score)
        step /= 2
    return best
