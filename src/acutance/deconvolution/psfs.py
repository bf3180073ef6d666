"""What can be said of a kernel that was found, and how it is put in order."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from acutance.deconvolution.planes import Psf
from acutance.imaging.kernels import disk_psf, gaussian_psf


def centred(psf: Psf, *, share: float = 0.05) -> Psf:
    """Move a psf by whole pixels so that the box around its light is in the middle.

    Measured kernels lie so, and a network trained on camera shake expects it: where the sharp picture lies in a shaken
    one is a convention. Faint ends do not count: the box leaves out `share` of the light at either side.
    """
    shifts = []
    for axis in (1, 0):
        below = np.cumsum(psf.sum(axis=axis)) / psf.sum()
        low, high = int(np.searchsorted(below, share)), int(np.searchsorted(below, 1 - share))
        shifts.append(psf.shape[0] // 2 - (low + high) / 2)
    return _shifted(psf, math.floor(shifts[0] + 0.5), math.floor(shifts[1] + 0.5))


def at_centre_of_mass(psf: Psf) -> Psf:
    """Move a psf by whole pixels so that its centre of mass is in the middle."""
    y, x = np.indices(psf.shape)
    half = psf.shape[0] // 2
    return _shifted(psf, half - round(float((psf * y).sum())), half - round(float((psf * x).sum())))


def without_specks(psf: Psf, *, least: float = 0.1) -> Psf:
    """Drop the connected parts (of eight neighbours) that hold less than a share of the light."""
    todo = {(int(y), int(x)) for y, x in np.argwhere(psf > 0)}
    kept = np.zeros_like(psf)
    while todo:
        part, stack = [], [todo.pop()]
        while stack:
            y, x = stack.pop()
            part.append((y, x))
            for near in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                if near in todo:
                    todo.remove(near)
                    stack.append(near)
        rows, columns = (list(axis) for axis in zip(*part, strict=True))
        if psf[rows, columns].sum() >= least * psf.sum():
            kept[rows, columns] = psf[rows, columns]
    return np.asarray(kept / kept.sum()) if kept.sum() > 0 else psf


def similarity(a: Psf, b: Psf) -> float:
    """Return the largest normalised cross-correlation of two psfs over all shifts by whole pixels, 0 … 1."""
    size = (a.shape[0] + b.shape[0], a.shape[1] + b.shape[1])
    product = np.fft.irfft2(np.fft.rfft2(a, size) * np.conj(np.fft.rfft2(b, size)), size)
    return float(product.max() / math.sqrt(float((a**2).sum() * (b**2).sum())))


def spread_px(psf: Psf) -> tuple[float, float]:
    """Return the standard deviations along the longer and the shorter axis, in px."""
    y, x = np.indices(psf.shape, dtype=np.float64)
    y, x = y - (psf * y).sum(), x - (psf * x).sum()
    covariance = np.array([[(psf * y * y).sum(), (psf * y * x).sum()], [(psf * y * x).sum(), (psf * x * x).sum()]])
    short, long = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance), 0))
    return float(long), float(short)


def lens_likeness(psf: Psf) -> float:
    """Return the similarity, 0 … 1, to the blur of a lens that is most like it: a Gaussian or a disk of any width."""
    return max(similarity(psf, blur) for blur in _lens_blurs())


@cache
def _lens_blurs() -> tuple[Psf, ...]:
    gaussians = [gaussian_psf(float(sigma)) for sigma in np.geomspace(0.5, 6, 12)]
    return (*gaussians, *(disk_psf(float(radius)) for radius in np.geomspace(1, 8, 10)))


def _shifted(psf: Psf, dy: int, dx: int) -> Psf:
    """Move a psf by whole pixels inside its array; light that would leave it is dropped."""
    moved = np.zeros_like(psf)
    height, width = psf.shape
    moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = psf[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    total = moved.sum()
    return np.asarray(moved / total) if total > 0 else psf
