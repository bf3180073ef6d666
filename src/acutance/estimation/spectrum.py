"""Straight motion by its spectrum: of all lengths and directions, the one whose dark bands the picture's spectrum has.

Motion of a length L along u multiplies a picture's spectrum by sinc(L f·u), which has zeros at equal distances; no
picture has such bands by itself, a line of letters neither: those are periodic along one axis. So the logarithm of the
power spectrum, whitened (zeros that are smoothed on a slope move outwards, and lengths come out short), is compared
with the logarithm of |sinc|² for each motion, once what a picture's spectrum has anyway (a fall by frequency, another
one across than down) is taken out of both. What is left of the correlation is the motion's score. Ends of plates that
moved by 8 to 16 px are told to some tenths of a px, where an estimator that learnt from photos is 5 px off.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.known_kernel import noise_sigma
from acutance.deconvolution.planes import Plane
from acutance.imaging.kernels import fast_length

LEAST_SIDE_PX: Final = 24
"""Of what is looked at: shorter sides have no room for two bands."""
_TAPER: Final = 0.5
_SMOOTHING: Final = 0.6
"""σ of the Gaussian that the power is smoothed with, in the window's own resolution."""
_HIGHEST: Final = 0.42
_ABOVE_NOISE: Final = 3.0
_FILLED: Final = 0.005
"""How deep the bands are at most, in power: noise, JPEG and the smoothing fill them. With 0.02 lengths came out 0.1 px
too short, with 0.05 0.2 px."""
_LEAST_CONTRAST: Final = 1e-3
_SPREADS: Final = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
"""Widths of the Gaussians that are tried in a motion's place, as shares of its length."""
_DISK_SPREADS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_SQUARES_PX: Final = tuple(float(side) for side in np.arange(1.25, 5.1, 0.25))
"""Sides of the pixels that an enlargement spreads."""
_FLOORS: Final = (0.02, 0.005, 0.001)
_GAUSSIAN_LEAD: Final = 0.03
"""A Gaussian's score must be so much higher. Of Gaussians of 1.5 × 0.6 to 4 × 1 px it was by 0.04 to 0.14; of motion of
3.5 to 14 px it was lower by 0.01 to 0.35, and with noise and JPEG at most 0.02 higher, but at 3.5 px."""
_LIKE_GAUSSIAN_PX: Final = 7.0
"""Of longer motion more bands are seen. In a plate of 320×160 px that moved by 13 px, noisy and a JPEG, a Gaussian led
by 0.04."""
_MOST_ACROSS: Final = 0.2
"""Score of the same length at right angles: of means of 3×3 and 5×5 px, and of pictures that were enlarged three or
four times, it was 0.25 to 0.6, of motion at most 0.08."""
_TWO_BANDS, _CLEAR_ONE_BAND = 2.0, 0.6
"""Where the noise begins before the second band the score must be so high. Of Gaussians from 2 px on it was up to 0.53,
all before the second band. Motion without noise had three bands and more."""
_LEAST_BEYOND: Final = 0.18
"""Score of the bands alone, once a fall without bands is taken out of them. What has many edges in one direction falls
so: it had scores of up to 0.64 for motion of 60 px, of the bands alone 0.14. Of motion of 6 to 60 px they had 0.36 to
0.7, in a street that a hand-held camera took 0.23."""
_CELLS: Final = 128
"""So many cells along a side at least, in a crop of twice that or more: two for a band of motion of 64 px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralMotion:
    """A motion, and how well the spectrum has its bands."""

    length_px: float
    angle: float
    """In radians from x (right) towards y (down), 0 … π."""
    score: float
    """Partial correlation, −1 … 1."""


class BandedSpectrum:
    """The spectrum of a crop, ready to be asked for motions."""

    def __init__(self, crop: Plane, *, beyond_gaps: bool = False) -> None:
        """Look at a crop.

        Of a large one, the logarithm of the power is averaged over cells of frequencies. What a picture has by itself,
        as the windows of a façade, lies at single frequencies there and becomes weak; the bands stay.

        Args:
            crop: `h w` in [0, 1], gamma space, no side below `LEAST_SIDE_PX`.
            beyond_gaps: Whether frequencies count that lie beyond a ring in which the picture vanishes in its noise.
        """
        height, width = crop.shape
        window = np.outer(_tapered(height), _tapered(width))
        values = (crop - float((crop * window).sum() / window.sum())) * window
        cell = (max(height // _CELLS, 1), max(width // _CELLS, 1))
        size = tuple(n * fast_length(max(-(-side // n), 64)) for n, side in zip(cell, crop.shape, strict=True))
        y, x = np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None, :]
        white = 4 - 2 * np.cos(2 * np.pi * y) - 2 * np.cos(2 * np.pi * x)
        power = np.abs(np.fft.fft2(values, size)) ** 2 * white
        # Smoothed by multiplying its own transform: over what the window's resolution makes one anyway.
        spread = [_SMOOTHING * full / own for full, own in zip(size, crop.shape, strict=True)]
        lags = np.exp(-2 * (np.pi * spread[0] * y) ** 2) * np.exp(-2 * (np.pi * spread[1] * x) ** 2)
        power = np.maximum(np.fft.ifft2(np.fft.fft2(power) * lags).real, 1e-12)
        noise = noise_sigma(crop) ** 2 * float((window**2).sum()) * white
        seen = _cells(np.log(power + 0.5 * noise), cell)
        power, noise, y, x = (_cells(np.broadcast_to(values, size), cell) for values in (power, noise, y, x))
        radius = np.hypot(y, x)
        kept = ((y > 0) | ((y == 0) & (x > 0))) & (radius > 1.0 / min(crop.shape)) & (radius < _HIGHEST)
        kept &= _above_noise(power, noise, radius, kept, beyond_gaps=beyond_gaps)
        self.kept = kept
        self._y, self._x, self._power = y[kept], x[kept], seen[kept]
        self._highest = float(radius[kept].max(initial=0.0))
        self._is_told = float(np.ptp(crop)) > _LEAST_CONTRAST
        self._take_out_the_usual()

    def _take_out_the_usual(self) -> None:
        """Prepare to take out of spectra what those of pictures have anyway."""
        radius, turn = np.hypot(self._y, self._x), np.arctan2(self._y, self._x)
        far = np.log(radius)
        usual = [np.ones_like(far), far, far**2]
        usual += [wave(times * turn) for times in (2, 4) for wave in (np.cos, np.sin)]
        # A Gaussian that is wider one way than the other, a lens's or an enlargement's, falls so and has no bands.
        usual += [radius**2 * wave for wave in (1.0, np.cos(2 * turn), np.sin(2 * turn))]
        is_enough = self._is_told and len(far) > 2 * len(usual)
        self._usual = np.linalg.qr(np.stack(usual, axis=1))[0] if is_enough else None
        self._seen = self._rest(self._power) if self._usual is not None else far

    def below(self, frequency: float) -> BandedSpectrum:
        """Return the part of the spectrum below a frequency, in cycles per px."""
        return self._part(np.hypot(self._y, self._x) < frequency)

    def within(self, kept: npt.NDArray[np.bool_]) -> BandedSpectrum:
        """Return the part of the spectrum at some frequencies, of those of `kept`: another's of a crop of this size."""
        return self._part(kept[self.kept])

    def _part(self, some: npt.NDArray[np.bool_]) -> BandedSpectrum:
        part = copy(self)
        part._y, part._x, part._power = self._y[some], self._x[some], self._power[some]
        part._take_out_the_usual()
        return part

    def score(self, length_px: float, angle: float) -> float:
        """Return the partial correlation, −1 … 1, with the bands of a motion; 0 where there is too little to see."""
        if self._usual is None:
            return 0.0
        along = self._x * math.cos(angle) + self._y * math.sin(angle)
        return self._correlation(np.log(np.sinc(length_px * along) ** 2 + _FILLED))

    def score_of(self, psf: npt.NDArray[np.float64]) -> float:
        """Return the same for the bands of a kernel, `k k`, k odd: its own spectrum in place of an ideal line's."""
        if self._usual is None:
            return 0.0
        places = np.arange(len(psf)) - len(psf) // 2
        down, across = (np.exp(-2j * np.pi * np.outer(axis, places)) for axis in (self._y, self._x))
        power = np.abs(((down @ psf) * across).sum(1)) ** 2
        return self._correlation(np.log(power + _FILLED))

    def score_of_bands(self, length_px: float, angle: float) -> float:
        """Return the score of a motion's bands without the fall that they ride on: that of sinc² without its zeros."""
        if self._usual is None:
            return 0.0
        along = length_px * (self._x * math.cos(angle) + self._y * math.sin(angle))
        fall = self._rest(np.log(1 / (1 + (math.pi * along) ** 2) + _FILLED))
        fall /= max(float(np.linalg.norm(fall)), 1e-12)
        bands, seen = self._rest(np.log(np.sinc(along) ** 2 + _FILLED)), self._seen
        bands, seen = bands - fall * (fall @ bands), seen - fall * (fall @ seen)
        return _cosine(bands, seen)

    def is_told_otherwise(self, motion: SpectralMotion) -> bool:
        """Whether something else explains the bands of a motion as well or better.

        A Gaussian that is wide one way (astigmatism) falls into the noise where the bands of short motion would be.
        What was enlarged, or averaged over squares, has the bands of two motions at right angles. What has many edges
        in one direction falls as fast along it, without bands.
        """
        length, angle = motion.length_px, motion.angle
        if self._usual is None:
            return False
        if self.score(length, angle + math.pi / 2) > _MOST_ACROSS:
            return True
        along = length * (self._x * math.cos(angle) + self._y * math.sin(angle))
        if length > _LIKE_GAUSSIAN_PX:
            is_one_band = length * self._highest < _TWO_BANDS and motion.score < _CLEAR_ONE_BAND
            return is_one_band or self.score_of_bands(length, angle) < _LEAST_BEYOND
        return self._gaussian_score(along, _SPREADS) > motion.score + _GAUSSIAN_LEAD

    def score_without_disk(self, radius_px: float) -> float:
        """Return the best score of what may be taken for a disk: a Gaussian about as wide, or an enlargement."""
        gaussian = self._gaussian_score(radius_px * np.hypot(self._x, self._y), _DISK_SPREADS)
        squares = [np.abs(np.sinc(side * self._x) * np.sinc(side * self._y)) for side in _SQUARES_PX]
        # Nearest neighbours, linear and cubic interpolation are some powers of it.
        falls = (square**power + floor for square in squares for power in (2, 4, 6) for floor in _FLOORS[1:])
        return max(gaussian, *(self._correlation(np.log(fall)) for fall in falls))

    def _gaussian_score(self, along: npt.NDArray[np.float64], spreads: tuple[float, ...]) -> float:
        falls = (np.exp(-((2 * math.pi * share * along) ** 2)) + floor for share in spreads for floor in _FLOORS)
        return max(self._correlation(np.log(fall)) for fall in falls)

    def _correlation(self, expected: npt.NDArray[np.float64]) -> float:
        return _cosine(self._rest(expected), self._seen)

    def _rest(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        assert self._usual is not None
        return values - self._usual @ (self._usual.T @ values)


def _cosine(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size > 0 else 0.0


def _cells(values: npt.NDArray[np.float64], cell: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the means over cells of neighbouring frequencies."""
    if cell == (1, 1):
        return values
    down, across = cell
    ordered = np.fft.fftshift(values)
    return np.asarray(ordered.reshape(len(ordered) // down, down, -1, across).mean((1, 3)))


def _tapered(length: int) -> npt.NDArray[np.float64]:
    """Return a window that rises and falls over a part of its length."""
    rise = max(int(length * _TAPER / 2), 1)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rise) + 0.5) / rise)
    window = np.ones(length)
    window[:rise], window[-rise:] = ramp, ramp[::-1]
    return window


def _above_noise(
    power: npt.NDArray[np.float64],
    noise: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
    kept: npt.NDArray[np.bool_],
    *,
    beyond_gaps: bool,
) -> npt.NDArray[np.bool_]:
    """Return the frequencies up to the ring at which the picture, bands or not, vanishes in its noise."""
    rings = (radius * 64).astype(int)
    highest = 64
    for ring in range(5, 64):
        here = kept & (rings == ring)
        if here.any() and float(np.quantile(power[here] / noise[here], 0.75)) < _ABOVE_NOISE:
            highest = min(ring, highest)
            if not beyond_gaps:
                break
        elif here.any() and beyond_gaps:
            highest = 64
    return rings < highest
