"""A picture freed of a blur whose kernel is known: sparse gradients, and nothing assumed beyond the border.

The sharp picture with few gradients (total variation; Krishnan & Fergus 2009 for the family) that explains the blurred
one is found by ADMM with an unknown boundary (Almeida & Figueiredo 2013): it is estimated on a larger domain and only
compared with what was seen, so nothing is tapered at the border, and a tile of a large picture is solved like a picture
of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import (
    Plane,
    Planes,
    Psf,
    continued,
    continued_shape,
    difference_power,
    differences,
    differences_adjoint,
    plane_of,
    spectrum_of,
    transfer_of,
)

_BLOCK_PX = 16
_FLAT_SHARE = 0.1
_ROUNDING_SIGMA = 0.29 / 255


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKernelOptions:
    """How a known kernel is undone."""

    fidelity: float = 20000.0
    """Weight of half the squared residual against the sum of absolute gradients: crisper and noisier when higher."""
    iterations: int = 30
    """Of ADMM."""
    penalty: float = 100.0
    """Of ADMM on the gradients."""
    clipped: float = 254.5 / 255
    """Values from here on count as clipped: the scene may be brighter, so the result need only be as bright."""


def deconvolved(seen: Planes, psf: Psf, options: KnownKernelOptions | None = None) -> Planes:
    """Undo a known blur in one channel, or in several.

    A pixel depends on its surroundings out to a few widths of the kernel, so a large picture can be done in tiles that
    overlap by some three widths.

    Args:
        seen: `h w` or `c h w` in [0, 1], larger than a few px; channels do not influence each other.
        psf: Its blur.
        options: How.

    Returns:
        As `seen`, not clipped.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    options = options or KnownKernelOptions()
    shape = (seen.shape[-2], seen.shape[-1])
    problem = _Problem(shape, psf, options)
    # One after the other: what one channel needs fits into the cache, what three need does not.
    restored = [problem.solved(channel) for channel in seen.reshape(-1, *shape)]
    return np.stack(restored).reshape(seen.shape)


class _Problem:
    """What all channels of a picture have in common."""

    def __init__(self, shape: tuple[int, int], psf: Psf, options: KnownKernelOptions) -> None:
        self.options = options
        self.margin = psf.shape[0] // 2
        self.border = min(self.margin + 1, shape[0] - 1, shape[1] - 1)
        self.inner = np.s_[self.border : self.border + shape[0], self.border : self.border + shape[1]]
        self.wide = continued_shape((shape[0] + 2 * self.border, shape[1] + 2 * self.border), self.margin)
        self.transfer = transfer_of(psf, self.wide)
        data_penalty, penalty = np.float32(options.fidelity / 4), np.float32(options.penalty)
        bottom = data_penalty * (self.transfer.real**2 + self.transfer.imag**2) + penalty * difference_power(self.wide)
        self.inverse, self.smooth = np.conj(self.transfer) * (data_penalty / bottom), penalty / bottom
        self.share = np.float32(options.fidelity / (options.fidelity + float(data_penalty)))

    def solved(self, seen: Plane) -> Plane:
        """Return one channel `h w` without the blur."""
        clipped = seen >= self.options.clipped
        clipped_at = np.nonzero(clipped) if clipped.any() else None
        x = continued(np.pad(seen, self.border, mode="reflect"), self.margin)
        # Split variables and their scaled duals: z for what the blurred picture would be, h and v for the gradients.
        # Kept are the duals and, as only that is needed, each variable less its dual.
        target, dual_z = x, np.zeros(seen.shape, np.float32)
        h, v = (gradient - np.clip(gradient, -self._least, self._least) for gradient in differences(x))
        dual_h = dual_v = np.zeros(self.wide, np.float32)
        for _ in range(self.options.iterations):
            spectrum = spectrum_of(target)
            spectrum *= self.inverse
            edges = spectrum_of(differences_adjoint(h, v))
            edges *= self.smooth
            spectrum += edges
            x = plane_of(spectrum, self.wide)
            spectrum *= self.transfer
            target = plane_of(spectrum, self.wide)
            self._fit(target[self.inner], dual_z, seen, clipped_at)
            h, v = differences(x)
            h += dual_h
            v += dual_v
            dual_h, dual_v = (np.clip(gradient, -self._least, self._least) for gradient in (h, v))
            h -= 2 * dual_h
            v -= 2 * dual_v
        return x[self.inner]

    @property
    def _least(self) -> np.float32:
        """Gradients up to here become 0: argmin over s of |s| + penalty/2 · (s − g)² is g less g clipped to it."""
        return np.float32(1 / self.options.penalty)

    def _fit(
        self, blurred: Plane, dual: Plane, seen: Plane, clipped_at: tuple[npt.NDArray[np.intp], ...] | None
    ) -> None:
        """Draw the blurred picture towards what was seen: updates z less its dual, and the dual, in place."""
        blurred += dual
        np.subtract(blurred, seen, out=dual)
        dual *= self.share
        if clipped_at is not None:  # the scene may have been brighter
            dual[clipped_at] = np.minimum(dual[clipped_at], 0)
        blurred -= 2 * dual


def noise_sigma(plane: Plane) -> float:
    """Estimate the standard deviation of white noise: that of the second differences (Immerkær 1996) in flat blocks.

    It is at least that of rounding to 8 bits, 0.29 / 255.
    """
    response = np.diff(np.diff(plane, 2, axis=0), 2, axis=1) / np.float32(6)
    rows, columns = response.shape[0] // _BLOCK_PX, response.shape[1] // _BLOCK_PX
    if rows == 0 or columns == 0:
        return _ROUNDING_SIGMA
    blocks = response[: rows * _BLOCK_PX, : columns * _BLOCK_PX].reshape(rows, _BLOCK_PX, columns, _BLOCK_PX)
    sigma = np.sqrt((blocks**2).mean(axis=(1, 3)))
    noisy = sigma[sigma > 0.5 * _ROUNDING_SIGMA]  # what is clipped has no noise
    return max(float(np.quantile(noisy, _FLAT_SHARE)), _ROUNDING_SIGMA) if noisy.size else _ROUNDING_SIGMA
