"""Several registered pictures of one thing made into one: the good ones weighed, what does not fit left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.imaging.kernels import convolve_mirror, gaussian_psf

_NEAR_PX: Final = 2.0
"""σ of the surroundings in which a picture must fit: one px of noise says nothing."""
_LIMIT: Final = 2.0
"""A place of a picture that is so many times farther from the others than usual counts nothing."""
_FLOOR: Final = (1.5 / 255) ** 2
"""Square of what rounding and interpolation alone may be off by."""
_ROUNDS: Final = 3


def merged(
    pictures: Sequence[npt.NDArray[np.float32]],
    inside: Sequence[npt.NDArray[np.bool_]],
    weights: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Merge pictures by a weighted mean that leaves out, place by place, what does not fit.

    Args:
        pictures: Each `h w c`, in [0, 1], light adapted.
        inside: For each, `h w`: where it holds something.
        weights: `n`, of each as a whole.

    Returns:
        Float32 `h w c`, and for each picture the share of it that was used.
    """
    stack = np.stack(pictures)
    held = np.stack(inside)
    shares = held * weights[:, None, None]
    shares[0] = np.where(held.any(axis=0), shares[0], 1.0)  # where none lies, the first one's edge is continued
    mean = _mean(stack, shares)
    for _ in range(_ROUNDS if len(stack) > 2 else 0):
        off = np.stack([_near((one - mean) ** 2) for one in stack])
        usual = np.median(np.where(held, off, np.nan), axis=0) if held.all() else _median_held(off, held)
        fit = np.clip(1 - np.maximum(off / (usual + _FLOOR) - 1, 0) / (_LIMIT**2 - 1), 0, 1)
        trusted = held * weights[:, None, None] * fit
        mean = _mean(stack, np.where(trusted.sum(axis=0) > 0, trusted, shares))
        used = trusted
    if len(stack) <= 2:
        used = shares
    whole = np.maximum(held.sum(axis=(1, 2)), 1) * np.maximum(weights, 1e-12)
    return mean, np.asarray(used.sum(axis=(1, 2)) / whole)


def _mean(stack: npt.NDArray[np.float32], shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    total = np.maximum(shares.sum(axis=0), 1e-12)
    return np.asarray((np.einsum("nhwc,nhw->hwc", stack, shares) / total[..., None]).astype(np.float32))


def _near(square: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the mean around each place of what differs."""
    around = convolve_mirror(square.mean(axis=2, keepdims=True), gaussian_psf(_NEAR_PX))[..., 0]
    return np.asarray(np.maximum(around, 0))


def _median_held(off: npt.NDArray[np.float64], held: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the median over the pictures that hold a place; 0 where none does."""
    ordered = np.sort(np.where(held, off, np.inf), axis=0)
    middle = np.maximum((held.sum(axis=0) - 1) // 2, 0)
    median = np.take_along_axis(ordered, middle[None], axis=0)[0]
    return np.where(np.isfinite(median), median, 0.0)
