"""What a network's answer says of a picture's blur: blocks of it beside what was seen, in bands of frequency.

The equations stand in `back_projection`, which corrects by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.even_blurs import (
    DISKS,
    GAUSSIANS,
    OF_TWO_WIDTHS,
    RING_COUNT,
    SIGMAS_PX,
    Bands,
    PerRing,
    blurs,
    rings,
    windowed,
)

_ROUNDING: Final = np.float32(1 / 12 / 255**2)
"""The variance of rounding to 8 bits; nothing is taken for less noisy."""

_ERRORS: Final = np.geomspace(4e-6, 8e-3, 8).astype(np.float32)
_NOISES: Final = (_ROUNDING * 1.8 ** np.arange(8)).astype(np.float32)
_TILTS: Final = np.array([0.0, 1.0, 6.0], np.float32)
_STRENGTH_ERRORS: Final = np.array([0.01, 0.05, 0.25], np.float32)
"""e, n, how much more noise there is at low frequencies, and d, of which the likeliest are taken."""

_BELIEF: Final = np.float32(0.1)
"""Share of a network's errors that are of one kind in a whole picture: it believes photos to be as crisp as most are.
Where its errors are large they say more of its belief than of the blur, which low frequencies tell."""

_KERNEL_TOLERANCE: Final = np.float32(2e-4)
"""Squared error of a transfer, as a share of it, that says nothing against a blur: real ones are no exact Gaussians."""

_TWO_WIDTHS: Final = np.float32(30)
"""So much likelier, as a logarithm, a blur of two widths has to be: it has two numbers more to fit with."""

_LOG_SIGMAS: Final = np.log(SIGMAS_PX).astype(np.float32)

JPEG_BLOCK_PX: Final = 8


@dataclass(frozen=True, slots=True)
class Powers:
    """Of blocks: the powers of what was restored and seen, and what they have in common."""

    restored: Bands
    common: Bands
    seen: Bands
    steps: npt.NDArray[np.float32]
    """`n 2 8`: how large differences of what was seen are, down and across, by their place in blocks of 8 px."""

    def residual(self, blur: npt.NDArray[np.int64]) -> PerRing:
        """Return the power of what was seen less what was restored, blurred by each block's blur."""
        transfer = blurs().transfers[blur]
        power = self.seen - 2 * transfer * self.common + blurs().squares[blur] * self.restored
        return np.maximum(rings().over_directions(power), _ROUNDING / 2)

    def of(self, chosen: npt.NDArray[np.int64]) -> Powers:
        """Return those of some blocks."""
        return Powers(self.restored[chosen], self.common[chosen], self.seen[chosen], self.steps[chosen])

    def nearer(self, others: Powers, share: float) -> Powers:
        """Return a share of the others', and the rest of their own."""
        both = ((getattr(self, field.name), getattr(others, field.name)) for field in fields(self))
        return Powers(*(np.asarray((1 - share) * own + share * other, np.float32) for own, other in both))

    @classmethod
    def joined(cls, parts: Sequence[Powers]) -> Powers:
        """Return those of blocks that were measured apart."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True, slots=True)
class Likeliest:
    """What explains the residuals of blocks best."""

    cost: npt.NDArray[np.float32]
    error: npt.NDArray[np.float32]
    noise: npt.NDArray[np.float32]
    """At the highest frequencies."""
    noises: PerRing
    unfit: PerRing
    """The power of the residual that the network's errors do not explain: noise, and the error of the strength."""


def powers_of(seen: npt.NDArray[np.float32], restored: npt.NDArray[np.float32]) -> Powers:
    """Measure blocks `n h w` of what was seen and of what was restored."""
    theirs, ours = windowed(seen), windowed(restored)
    means = rings().means
    return Powers(
        restored=np.maximum(means(np.square(ours.real) + np.square(ours.imag)), np.float32(1e-9)),
        common=means(theirs.real * ours.real + theirs.imag * ours.imag),
        seen=np.maximum(means(np.square(theirs.real) + np.square(theirs.imag)), np.float32(1e-9)),
        steps=np.stack([_steps(seen), _steps(seen.swapaxes(1, 2))], axis=1),
    )


def _steps(blocks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean third difference down a block, by its place: `n 8`. Of an edge that is no step it is small."""
    steps = np.abs(blocks[:, 3:] - 3 * blocks[:, 2:-1] + 3 * blocks[:, 1:-2] - blocks[:, :-3]).mean(axis=2)
    whole = steps[:, : steps.shape[1] // JPEG_BLOCK_PX * JPEG_BLOCK_PX]
    return np.asarray(whole.reshape(len(blocks), -1, JPEG_BLOCK_PX).mean(axis=1))


def width_of(powers: Powers) -> npt.NDArray[np.float32]:
    """Return the logarithm of σ, in px, of the Gaussian that is nearest to the blur of each block."""
    return np.asarray(_LOG_SIGMAS[_misfit(powers, GAUSSIANS).argmin(1)])


def blur_of(powers: Powers) -> npt.NDArray[np.int64]:
    """Return the number of the blur that explains each block best."""
    kinds = (GAUSSIANS, DISKS, OF_TWO_WIDTHS)
    gaussian, disk, two = (kind.start + _misfit(powers, kind).argmin(1) for kind in kinds)
    # Beyond its first zero a disk turns the sign, with a weight that hardly counts: the residual decides.
    costs = np.stack([likeliest(powers, blur).cost for blur in (gaussian, disk, two)])
    costs[2] += _TWO_WIDTHS
    best = costs.argmin(0)
    return np.asarray(np.choose(best, [gaussian, disk, two]))


def _misfit(powers: Powers, some: slice) -> npt.NDArray[np.float32]:
    """Return how far some `k` of the blurs are from that of each block, but for what they have in common: `n k`."""
    # What of the noise the network lets pass is common to both, and no sign of a weak blur.
    highest = rings().over_directions(powers.seen)[:, 3 * RING_COUNT // 4 :]
    floor = np.maximum(_ROUNDING, highest.min(1, keepdims=True))
    common = powers.common * np.maximum(0, 1 - floor / powers.seen)
    measured = common / powers.restored
    left = np.maximum(powers.seen - np.square(powers.common) / powers.restored, _ROUNDING / 2)
    variance = _BELIEF * left / powers.restored
    weight = 1 / (variance + _KERNEL_TOLERANCE * np.square(np.maximum(measured, np.float32(0.02))) + np.float32(1e-6))
    weight *= rings().ring_of % (RING_COUNT - 1) > 0  # hardly changed; and of corners, which are no ring
    shown = blurs().shown[some]
    misfit = np.einsum("nb,kb->nk", weight, np.square(shown))
    misfit -= 2 * np.einsum("nb,kb->nk", weight * measured, shown)
    return np.asarray(misfit)


def likeliest(powers: Powers, blur: npt.NDArray[np.int64]) -> Likeliest:
    """Return the errors, noise and error of the strength that explain the residuals best."""
    known = blurs()
    residual = powers.residual(blur)
    passed = rings().over_directions(known.squares[blur])
    by_strength = rings().over_directions(np.square(known.slopes[blur]) * powers.restored)
    errors, noises, tilts, strengths = (
        grid.ravel() for grid in np.meshgrid(_ERRORS, _NOISES, _TILTS, np.square(_STRENGTH_ERRORS), indexing="ij")
    )
    # Of compressed pictures, and of those that a camera made smooth, the noise falls with frequency.
    falling = np.square(0.25 / np.maximum(rings().centres, 0.1)).astype(np.float32)
    spectra = noises[:, np.newaxis] * (1 + tilts[:, np.newaxis] * falling)
    total = errors[:, np.newaxis] * passed[:, np.newaxis]
    total += spectra
    total += strengths[:, np.newaxis] * by_strength[:, np.newaxis]
    cost = np.log(total)
    cost += residual[:, np.newaxis] / total
    cost = (cost[..., 1:] * rings().counts[1:]).sum(-1)
    best = cost.argmin(1)
    each = np.arange(len(best))
    unfit = total[each, best] - errors[best, np.newaxis] * passed
    return Likeliest(cost[each, best], errors[best], noises[best], spectra[best], unfit)
