"""What can be said of a kernel that was found, and how it is put in order."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Psf
from acutance.imaging.kernels import disk_psf, gaussian_psf

_LEAST_LIGHT = 0.04
"""Fainter elements, as a share of the brightest, are not asked where the path went."""
_TOUCHING_PX = 1.5
_JUMP = 3.0
"""A gap counts so many times its length: along the path is nearer."""
_MIDDLE_SIGMA_PX = 0.7
_ONE_STRETCH_PX = 2.2
"""Root mean square distance from the middle, in px, up to which it is the middle of one stretch."""


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


def at_origin(psf: Psf, origin: tuple[float, float]) -> Psf:
    """Return a psf whose origin `(y, x)`, in px from its middle, is moved to the middle of its array: to half a px.

    No light is lost: the array grows.
    """
    dy, dx = (-round(shift) for shift in origin)
    room = max(abs(dy), abs(dx))
    return trimmed(_shifted(np.pad(psf, room), dy, dx)) if room else trimmed(psf)


def path_midpoint(psf: Psf) -> tuple[float, float]:
    """Return where a camera was when half of its light had come in: `(y, x)`, in px from the psf's middle.

    There the sharp picture lies: a blurred edge crosses half of its step on it. The light is put in the order of its
    distance along the path from one end of it, and the place is that of its middle. Where several stretches of a path
    lie equally far (it crosses itself, or comes round), the order of time cannot be seen, and it is the centre of mass.
    """
    half = psf.shape[0] // 2
    places = np.argwhere(psf >= _LEAST_LIGHT * psf.max())
    light = psf[places[:, 0], places[:, 1]]
    mass = (places * light[:, None]).sum(axis=0) / light.sum()
    # One end is what is farthest from anywhere, the other what is farthest from that.
    end = int(np.argmax(_along(places, int(np.argmax(((places - mass) ** 2).sum(axis=1))))))
    distance = _along(places, end)
    order = np.argsort(distance, kind="stable")
    middle = distance[order][int(np.searchsorted(np.cumsum(light[order]), light.sum() / 2))]
    near = np.exp(-0.5 * ((distance - middle) / _MIDDLE_SIGMA_PX) ** 2) * light
    point = (places * near[:, None]).sum(axis=0) / near.sum()
    spread = math.sqrt(float((((places - point) ** 2).sum(axis=1) * near).sum() / near.sum()))
    y, x = (point if spread <= _ONE_STRETCH_PX else mass) - half
    return float(y), float(x)


def _along(places: npt.NDArray[np.intp], start: int) -> npt.NDArray[np.float64]:
    """Return how far places `n 2` are from one of them, along those that touch where there are any."""
    gaps = np.sqrt(((places[:, None] - places[None, :]) ** 2).sum(axis=2))
    steps = np.where(gaps < _TOUCHING_PX, gaps, _JUMP * gaps)
    distance: npt.NDArray[np.float64] = steps[start].copy()
    done = np.zeros(len(places), bool)
    for _ in range(len(places)):  # Dijkstra
        near = int(np.argmin(np.where(done, np.inf, distance)))
        done[near] = True
        np.minimum(distance, distance[near] + steps[near], out=distance)
    return distance


def trimmed(psf: Psf) -> Psf:
    """Cut away the empty frame around a psf; its middle stays its middle."""
    half = psf.shape[0] // 2
    reach = int(np.abs(np.argwhere(psf > 0) - half).max())
    return psf[half - reach : half + reach + 1, half - reach : half + reach + 1].copy()


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
    return float(_correlation(a, b).max() / math.sqrt(float((a**2).sum() * (b**2).sum())))


def offset_between(a: Psf, b: Psf) -> tuple[float, float]:
    """Return where psf `b` has what `a` has in its middle: `(y, x)`, in px from its own, to a part of one.

    Both are of odd sides. It is the peak of their cross-correlation.
    """
    product = _correlation(b, a)
    (height, width), (y, x) = product.shape, divmod(int(product.argmax()), product.shape[1])
    down = _peak(y, [float(product[(y + step) % height, x]) for step in (-1, 0, 1)], height)
    across = _peak(x, [float(product[y, (x + step) % width]) for step in (-1, 0, 1)], width)
    half = b.shape[0] // 2 - a.shape[0] // 2
    return down - half, across - half


def _peak(at: int, around: list[float], length: int) -> float:
    """Return where a parabola through three values has its top, `at` being the middle one's place on a circle."""
    before, here, after = around
    bend = before - 2 * here + after
    return at - length * (at > length // 2) + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def _correlation(a: Psf, b: Psf) -> npt.NDArray[np.float64]:
    """Return the cross-correlation of two psfs over all shifts of `b` by whole pixels, round their sizes together."""
    size = (a.shape[0] + b.shape[0], a.shape[1] + b.shape[1])
    return np.asarray(np.fft.irfft2(np.fft.rfft2(a, size) * np.conj(np.fft.rfft2(b, size)), size))


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
