"""How an even blur acts on the frequencies of a block: Gaussians and disks, by their transfer in bands of frequency.

An even blur has one strength in all directions, so what it does is told by how it passes each band, a ring of
frequencies of one length. Powers are means over a band, per pixel of the block, of pictures in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Spectrum, spectrum_of

Bands = npt.NDArray[np.float32]
"""`n b`: a value for each band of each block."""

BLOCK_PX: Final = 128
BAND_COUNT: Final = 32
"""From standing still to half a cycle a pixel; what lies beyond, in the corners, counts with the last."""

SIGMAS_PX: Final = np.geomspace(0.3, 4.6, 56)
RADII_PX: Final = np.geomspace(0.7, 6.0, 64)
"""5 and 3.5 % apart: photos are softer or crisper than others by as much, which nobody can tell from their blur."""


def _frequencies(side: int) -> npt.NDArray[np.float64]:
    return np.asarray(np.hypot(np.fft.fftfreq(side)[:, np.newaxis], np.fft.rfftfreq(side)[np.newaxis]))


def _gaussian(frequency: npt.NDArray[np.float64], sigma_px: float) -> npt.NDArray[np.float64]:
    return np.asarray(np.exp(-2 * (np.pi * sigma_px * frequency) ** 2))


def _disk(frequency: npt.NDArray[np.float64], radius_px: float) -> npt.NDArray[np.float64]:
    # 2 J₁(z) / z = 2/π · ∫ sin²φ · cos(z · cos φ) dφ over 0 … π; with these nodes the sum is exact to rounding.
    count = 48
    angles = np.pi * np.arange(1, count + 1) / (count + 1)
    shares = 2 * np.sin(angles) ** 2 / (count + 1)
    phases = 2 * np.pi * radius_px * frequency[..., np.newaxis] * np.cos(angles)
    return np.asarray((np.cos(phases) * shares).sum(-1))


@dataclass(frozen=True, slots=True)
class Rings:
    """The bands of a block's spectrum, `h w//2+1` with h = w = `BLOCK_PX`."""

    order: npt.NDArray[np.int64]
    """The places of the flat spectrum, band by band."""
    begins: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    """In that order: 2 for a frequency that stands for its mirror image, too; over the sum of their band."""
    counts: npt.NDArray[np.float32]
    """How many frequencies a band has."""
    centres: npt.NDArray[np.float64]
    """Cycles a pixel."""
    below: npt.NDArray[np.int64]
    share: npt.NDArray[np.float32]
    """Of each place: between which bands it lies, `below` and the next, and how near to the next."""

    def means(self, powers: npt.NDArray[np.float32]) -> Bands:
        """Return the mean of each band of spectra `n h w//2+1`."""
        flat = powers.reshape(len(powers), -1)[:, self.order]
        flat *= self.weights
        return np.add.reduceat(flat, self.begins, axis=1)

    def spread(self, values: Bands) -> npt.NDArray[np.float32]:
        """Return values of bands as ones of frequencies, `n h w//2+1`, without steps."""
        flat = values[:, self.below] * (1 - self.share) + values[:, self.below + 1] * self.share
        return flat.reshape(len(values), BLOCK_PX, BLOCK_PX // 2 + 1)


@cache
def rings() -> Rings:
    """Return the bands."""
    frequency = _frequencies(BLOCK_PX).ravel()
    band = np.minimum((2 * BAND_COUNT * frequency).astype(np.int64), BAND_COUNT - 1)
    twice = np.full((BLOCK_PX, BLOCK_PX // 2 + 1), 2.0)
    twice[:, [0, -1]] = 1.0
    counts = np.bincount(band, twice.ravel())
    centres = np.bincount(band, twice.ravel() * frequency) / counts
    order = np.argsort(band, kind="stable")
    place = np.interp(frequency, centres, np.arange(BAND_COUNT))
    below = np.minimum(place.astype(np.int64), BAND_COUNT - 2)
    return Rings(
        order=order,
        begins=np.searchsorted(band[order], np.arange(BAND_COUNT)),
        weights=(twice.ravel() / counts[band])[order].astype(np.float32),
        counts=counts.astype(np.float32),
        centres=centres,
        below=below,
        share=(place - below).astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Blurs:
    """The even blurs that are looked for: first Gaussians, then disks, from weak to strong."""

    gaussians: int
    """How many of them are Gaussians."""
    transfers: Bands
    """What each band is multiplied by."""
    slopes: Bands
    """How that changes with the logarithm of the strength: what a strength that is told wrongly does."""


@cache
def blurs() -> Blurs:
    """Return the blurs that are looked for."""
    step = 0.01

    def all_of(factor: float) -> npt.NDArray[np.float64]:
        centres = rings().centres
        gaussians = [_gaussian(centres, factor * sigma) for sigma in SIGMAS_PX]
        return np.stack(gaussians + [_disk(centres, factor * radius) for radius in RADII_PX])

    slopes = (all_of(1 + step) - all_of(1 - step)) / (2 * step)
    return Blurs(len(SIGMAS_PX), all_of(1.0).astype(np.float32), slopes.astype(np.float32))


@cache
def transfer_on(side: int, blur: int) -> npt.NDArray[np.float32]:
    """Return what one of the blurs multiplies the frequencies of a square by: `side side//2+1`."""
    radius = blur - len(SIGMAS_PX)
    frequency = _frequencies(side)
    found = _gaussian(frequency, SIGMAS_PX[blur]) if radius < 0 else _disk(frequency, RADII_PX[radius])
    return found.astype(np.float32)


def windowed(blocks: npt.NDArray[np.float32]) -> Spectrum:
    """Return the spectra of blocks `n h w` without their mean, faded out to their borders."""
    fade = np.hanning(BLOCK_PX + 2)[1:-1].astype(np.float32)
    fade /= np.sqrt(np.square(fade).sum())
    level = blocks.mean(axis=(1, 2), keepdims=True)
    return spectrum_of((blocks - level) * fade[:, np.newaxis] * fade)
