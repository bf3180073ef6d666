"""The smallest kernel that explains a picture as a blurred copy of its result, by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.known_kernel import noise_sigma
from acutance.deconvolution.planes import Plane, Psf

SIDES: Final = (1, 3, 5, 9, 13, 19, 25)
"""Sides of the kernels that are tried, in px, from the smallest."""
ENOUGH: Final = 1.03
"""The smallest kernel is taken whose misfit, squared, is at most so many times the best one's."""
SMOOTHNESS: Final = 2e-5
"""What a kernel pays for its own steps, as a share of the picture's variance; so many times more in noise as that is
stronger than rounding to 8 bits. With 100 times as much, the kernel of straight motion came out as a blot."""
_ROUNDING: Final = 0.29 / 255
_SAMPLES_PER_NUMBER: Final = 5
_LEAST_SAMPLES: Final = 600
_PATIENCE: Final = 2
_HELD_OUT: Final = 3
"""One sample in so many is left out of the fit, and judges it."""


@dataclass(frozen=True, slots=True)
class FittedKernel:
    """A kernel, and how well it explains."""

    psf: Psf
    """`k k`, k odd, of unit sum; it may be negative, as that of a camera that sharpens is."""
    misfit: float
    """Root mean square of what it leaves unexplained at places that it was not fitted on, in [0, 1]."""


def fitted_kernel(seen: Plane, restored: Plane, *, seed: int = 0) -> FittedKernel:
    """Find the smallest kernel k for which `k * restored` is nearly `seen`.

    Minimises Σ (seen − k * restored)² + μ·|∇k|² with Σk = 1 for each of `SIDES`, on places drawn at random, and keeps
    the smallest kernel that explains other places about as well as the best does.

    Args:
        seen: `h w` in [0, 1], grey: the picture.
        restored: `h w`, its result.
        seed: Of the places.

    Returns:
        The kernel; the identity, where the planes are too small for any other.

    Determinism: the same for the same input and seed, on one build of NumPy.
    """
    best: list[FittedKernel] = []
    smoothness = SMOOTHNESS * noise_sigma(seen) / _ROUNDING
    for side in SIDES:
        if min(seen.shape) < 3 * side:
            break
        best.append(_fitted(seen, restored, side, seed, smoothness))
        if len(best) > _PATIENCE and min(one.misfit for one in best[-_PATIENCE:]) > 0.985 * best[-_PATIENCE - 1].misfit:
            break  # larger ones explain no more
    if not best:
        return FittedKernel(np.ones((1, 1)), float(np.sqrt(np.mean((seen - restored) ** 2, dtype=np.float64))))
    limit = min(one.misfit for one in best) * np.sqrt(ENOUGH) + 1e-6
    return next(one for one in best if one.misfit <= limit)


def _fitted(seen: Plane, restored: Plane, side: int, seed: int, smoothness: float) -> FittedKernel:
    """Fit a kernel of one size."""
    reach, count = side // 2, side * side
    patches = np.lib.stride_tricks.sliding_window_view(restored, (side, side))
    random = np.random.default_rng(seed)
    number = min(max(_SAMPLES_PER_NUMBER * count, _LEAST_SAMPLES), patches.shape[0] * patches.shape[1])
    places = random.choice(patches.shape[0] * patches.shape[1], number, replace=False)
    y, x = np.divmod(places, patches.shape[1])
    # Convolution turns the kernel round: so the patches are.
    rows = patches[y, x][:, ::-1, ::-1].reshape(number, count).astype(np.float64)
    goal = seen[y + reach, x + reach].astype(np.float64)
    is_judge = np.arange(number) % _HELD_OUT == 0
    kernel = np.ones(1) if side == 1 else _solved(rows[~is_judge], goal[~is_judge], side, smoothness)
    misfit = float(np.sqrt(np.mean((goal[is_judge] - rows[is_judge] @ kernel) ** 2)))
    return FittedKernel(kernel.reshape(side, side), misfit)


def _solved(
    rows: npt.NDArray[np.float64], goal: npt.NDArray[np.float64], side: int, smoothness: float
) -> npt.NDArray[np.float64]:
    """Solve the normal equations; the unit sum is kept by taking it out of the unknowns' reach (Lagrange)."""
    count = side * side
    mean = rows.mean()
    centred, wanted = rows - mean, goal - mean  # as Σk = 1, the mean goes through
    power = max(float((centred**2).mean()), 1e-8) * len(rows)
    matrix = np.zeros((count + 1, count + 1))
    matrix[:count, :count] = centred.T @ centred + power * smoothness * _roughness(side)
    matrix[:count, :count].flat[:: count + 1] += 1e-6 * power
    matrix[count, :count] = matrix[:count, count] = power
    right = np.append(centred.T @ wanted, power)
    return np.asarray(np.linalg.solve(matrix, right)[:count])


def _roughness(side: int) -> npt.NDArray[np.float64]:
    """Return the matrix R of |∇k|² = kᵀRk, with 0 around the kernel."""
    line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    return np.asarray(np.kron(line, np.eye(side)) + np.kron(np.eye(side), line))
