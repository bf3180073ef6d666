"""How an even blur acts on the frequencies of a block: Gaussians, disks and Gaussians of two widths, in bands.

An even blur is the same all over the block. What it does is told by how it passes each band: a ring of frequencies of
one length, in one of eight directions. Powers are means over a band, per pixel of the block, of pictures in [0, 1].
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

PerRing = npt.NDArray[np.float32]
"""`n r`: a value for each ring of each block, all directions as one."""

BLOCK_PX: Final = 128
RING_COUNT: Final = 32
"""From standing still to half a cycle a pixel; what lies beyond, in the corners, counts with the last."""

DIRECTION_COUNT: Final = 8
"""Of the innermost ring all are one."""

SIGMAS_PX: Final = np.geomspace(0.3, 4.6, 56)
RADII_PX: Final = np.geomspace(0.7, 6.0, 64)
"""5 and 3.5 % apart: photos are softer or crisper than others by as much, which nobody can tell from their blur."""

_TWO_WIDTHS: Final = np.stack(
    [
        part.ravel()
        for part in np.meshgrid(
            np.geomspace(0.3, 3.2, 20),
            (1.3, 1.6, 2.0, 2.6),
            np.pi / DIRECTION_COUNT * np.arange(DIRECTION_COUNT),
            indexing="ij",
        )
    ]
)
"""`3 k`, of blurs of two widths (short motion, astigmatism): the narrow σ in px, the ratio of the wide one to it, and
its direction in radians, from x towards y."""

SHOWN: Final = 0.65
"""A network believes blur to be alike in all directions: of the difference between two widths, as logarithms, its
answer shows about so much. Taken for all of it, edges get halos along the wider one."""

_Frequencies = npt.NDArray[np.float64]
_Number = float | npt.NDArray[np.float64]


def _frequencies(side: int) -> tuple[_Frequencies, _Frequencies]:
    """Return how many cycles a pixel each place of a square's spectrum has, down and across."""
    return tuple(np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))


def _exponents(
    down: _Frequencies, across: _Frequencies, sigma_px: _Number, ratio: _Number = 1.0, angle: _Number = 0.0
) -> _Frequencies:
    """Return the logarithm of a Gaussian's transfer, or of several, whose numbers are `k 1`; see `_TWO_WIDTHS`."""
    along, aside = across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
    return np.asarray(-2 * (np.pi * sigma_px) ** 2 * (np.square(ratio * along) + np.square(aside)))


def _disks(frequency: _Frequencies, radius_px: _Number) -> tuple[_Frequencies, _Frequencies]:
    """Return the transfer of a disk, or of several, and how it changes with the logarithm of the radius."""
    # 2 J₁(z) / z = 4/π · ∫ sin²φ · cos(z · cos φ) dφ over 0 … π/2; with these nodes the sum is exact to rounding.
    half = 24
    angles = np.pi * (np.arange(half) + 0.5) / (2 * half)
    shares = 2 * np.sin(angles) ** 2 / half
    phases = (2 * np.pi * radius_px * frequency)[..., np.newaxis] * np.cos(angles)
    return np.cos(phases) @ shares, -(phases * np.sin(phases)) @ shares


@dataclass(frozen=True, slots=True)
class Rings:
    """The bands of a block's spectrum, `h w//2+1` with h = w = `BLOCK_PX`."""

    order: npt.NDArray[np.int64]
    """The places of the flat spectrum, band by band."""
    begins: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    """In that order: 2 for a frequency that stands for its mirror image, too; over the sum of their band."""
    down: _Frequencies
    across: _Frequencies
    """Of each band: the middle, in cycles a pixel."""
    ring_of: npt.NDArray[np.int64]
    """Of each band."""
    shares: npt.NDArray[np.float32]
    """`b r`: how much of a ring each band is."""
    counts: npt.NDArray[np.float32]
    """How many frequencies a ring has."""
    centres: npt.NDArray[np.float64]
    """Of each ring, in cycles a pixel."""
    below: npt.NDArray[np.int64]
    share: npt.NDArray[np.float32]
    """Of each place: between which rings it lies, `below` and the next, and how near to the next."""

    def means(self, powers: npt.NDArray[np.float32]) -> Bands:
        """Return the mean of each band of spectra `n h w//2+1`."""
        flat = powers.reshape(len(powers), -1)[:, self.order]
        flat *= self.weights
        return np.add.reduceat(flat, self.begins, axis=1)

    def over_directions(self, values: Bands) -> PerRing:
        """Return the means of rings."""
        return np.asarray(np.einsum("nb,br->nr", values, self.shares))

    def spread(self, values: PerRing) -> npt.NDArray[np.float32]:
        """Return values of rings as ones of frequencies, `n h w//2+1`, without steps."""
        flat = values[:, self.below] * (1 - self.share) + values[:, self.below + 1] * self.share
        return flat.reshape(len(values), BLOCK_PX, BLOCK_PX // 2 + 1)


@cache
def rings() -> Rings:
    """Return the bands."""
    down, across = (part.ravel() for part in _frequencies(BLOCK_PX))
    frequency = np.hypot(down, across)
    ring = np.minimum((2 * RING_COUNT * frequency).astype(np.int64), RING_COUNT - 1)
    turn = np.arctan2(down, across) / np.pi
    direction = np.rint(turn * DIRECTION_COUNT).astype(np.int64) % DIRECTION_COUNT
    band = np.where(ring == 0, 0, 1 + (ring - 1) * DIRECTION_COUNT + direction)
    ring_of = np.concatenate([[0], np.repeat(np.arange(1, RING_COUNT), DIRECTION_COUNT)])
    angle = np.pi / DIRECTION_COUNT * np.concatenate([[0], np.tile(np.arange(DIRECTION_COUNT), RING_COUNT - 1)])
    twice = np.full((BLOCK_PX, BLOCK_PX // 2 + 1), 2.0)
    twice[:, [0, -1]] = 1.0
    sizes, counts = np.bincount(band, twice.ravel()), np.bincount(ring, twice.ravel())
    length = np.bincount(band, twice.ravel() * frequency) / sizes
    centres = np.bincount(ring, twice.ravel() * frequency) / counts
    order = np.argsort(band, kind="stable")
    place = np.interp(frequency, centres, np.arange(RING_COUNT))
    below = np.minimum(place.astype(np.int64), RING_COUNT - 2)
    return Rings(
        order=order,
        begins=np.searchsorted(band[order], np.arange(len(sizes))),
        weights=(twice.ravel() / sizes[band])[order].astype(np.float32),
        down=length * np.sin(angle),
        across=length * np.cos(angle),
        ring_of=ring_of,
        shares=((ring_of[:, np.newaxis] == np.arange(RING_COUNT)) * sizes[:, np.newaxis] / counts).astype(np.float32),
        counts=counts.astype(np.float32),
        centres=centres,
        below=below,
        share=(place - below).astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Blurs:
    """The even blurs that are looked for: Gaussians and disks, from weak to strong, and Gaussians of two widths."""

    transfers: Bands
    """What each band is multiplied by."""
    squares: Bands
    """Of the transfers."""
    shown: Bands
    """The transfers, as a network's answer shows them: see `SHOWN`."""
    slopes: Bands
    """How that changes with the logarithm of the strength: what a strength that is told wrongly does."""
    widths_px: npt.NDArray[np.float64]
    """σ, that of both widths together, or half the radius."""


GAUSSIANS: Final = slice(0, len(SIGMAS_PX))
DISKS: Final = slice(GAUSSIANS.stop, GAUSSIANS.stop + len(RADII_PX))
OF_TWO_WIDTHS: Final = slice(DISKS.stop, DISKS.stop + _TWO_WIDTHS.shape[1])
"""Which of the blurs are of one kind: their numbers."""


@cache
def blurs() -> Blurs:
    """Return the blurs that are looked for."""
    bands = rings().down, rings().across
    sigma, ratio, angle = _TWO_WIDTHS[..., np.newaxis]
    exponents = np.concatenate([_exponents(*bands, SIGMAS_PX[:, np.newaxis]), _exponents(*bands, sigma, ratio, angle)])
    disks, disk_slopes = _disks(np.hypot(*bands), RADII_PX[:, np.newaxis])
    gaussians = np.exp(exponents)

    def in_order(of_gaussians: npt.NDArray[np.float64], of_disks: npt.NDArray[np.float64]) -> Bands:
        parts = of_gaussians[GAUSSIANS], of_disks, of_gaussians[GAUSSIANS.stop :]
        return np.concatenate(parts).astype(np.float32)

    transfers = in_order(gaussians, disks)
    shown = transfers.copy()
    shown[OF_TWO_WIDTHS] = np.exp(_exponents(*bands, sigma * ratio ** ((1 - SHOWN) / 2), ratio**SHOWN, angle))
    widths = np.concatenate([SIGMAS_PX, RADII_PX / 2, (sigma * np.sqrt((1 + ratio**2) / 2)).ravel()])
    return Blurs(transfers, np.square(transfers), shown, in_order(2 * exponents * gaussians, disk_slopes), widths)


@cache
def transfer_on(side: int, blur: int) -> npt.NDArray[np.float32]:
    """Return what one of the blurs multiplies the frequencies of a square by: `side side//2+1`."""
    down, across = _frequencies(side)
    if DISKS.start <= blur < DISKS.stop:
        return _disks(np.hypot(down, across), RADII_PX[blur - DISKS.start])[0].astype(np.float32)
    if blur < GAUSSIANS.stop:
        exponents = _exponents(down, across, SIGMAS_PX[blur])
    else:
        exponents = _exponents(down, across, *_TWO_WIDTHS[:, blur - OF_TWO_WIDTHS.start])
    return np.exp(exponents).astype(np.float32)


def windowed(blocks: npt.NDArray[np.float32]) -> Spectrum:
    """Return the spectra of blocks `n h w` without their mean, faded out to their borders."""
    fade = np.hanning(BLOCK_PX + 2)[1:-1].astype(np.float32)
    fade /= np.sqrt(np.square(fade).sum())
    level = blocks.mean(axis=(1, 2), keepdims=True)
    return spectrum_of((blocks - level) * fade[:, np.newaxis] * fade)
