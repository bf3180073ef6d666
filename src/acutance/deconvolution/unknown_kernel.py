"""The one kernel that a picture was blurred with, found in the picture itself.

From coarse to fine, two things take turns: a latent picture with few gradients that explains the blurred one (the L0
prior of Xu, Zheng & Jia 2013 and Pan et al. 2014), and the kernel, not negative, that blurs the latent picture's
strongest edges into those that were seen (least squares). At the end the kernel is fitted once more to the edges of a
careful deconvolution, which keeps its faint parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.known_kernel import KnownKernelOptions, deconvolved
from acutance.deconvolution.planes import (
    Plane,
    Psf,
    Spectrum,
    continued,
    difference_power,
    differences,
    differences_adjoint,
    inner_differences,
    plane_of,
    spectrum_of,
    transfer_of,
)
from acutance.deconvolution.psfs import at_centre_of_mass, centred, without_specks
from acutance.geometry import Size
from acutance.imaging.resize import resize_bicubic

_SMALLEST_KERNEL_PX = 5
_STEP = math.sqrt(0.5)
"""From one scale to the next coarser one."""
_FIT_STEPS = 60
_GROWTH_PX = 4
"""How far from its light a kernel may get new light in one turn."""
_POLISH_ITERATIONS = 20
_THRESHOLD_DECAY = 1.1
_FAINT = 0.02
"""Elements of an enlarged kernel below this share of the largest are dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownKernelOptions:
    """How a kernel is sought."""

    size_px: int = 31
    """Side of the largest kernel, odd."""
    iterations: int = 3
    """Turns at each scale."""
    sparsity: float = 4e-3
    """Weight of the L0 prior at the start."""
    sparsity_decay: float = 1.1
    """What it is divided by after each turn."""
    least_sparsity: float = 1e-4
    """What it does not fall below."""
    penalty_growth: float = 2.0
    """Of the half-quadratic penalty from step to step: larger is faster and rougher."""
    largest_penalty: float = 100.0
    """Where the steps end: what they would still change are gradients too weak to be chosen."""
    ridge: float = 2.0
    """Weight of the kernel's squared norm."""
    floor: float = 0.05
    """Elements below this share of the largest are dropped."""
    polish: int = 1
    """How often the kernel is fitted once more at the end."""
    polish_fidelity: float = 5000.0
    """Of the careful deconvolution then; see `KnownKernelOptions`."""
    polish_share: float = 0.1
    """Share of the pixels, those of the strongest edges, that it is fitted to."""
    polish_ridge: float = 0.5
    """Weight of the kernel's squared norm then."""
    polish_floor: float = 0.02
    """Elements below this share of the largest, and parts with less of the light, are dropped then."""


def estimated_kernel(grey: Plane, options: UnknownKernelOptions | None = None) -> Psf:
    """Estimate the kernel of a picture that was blurred the same everywhere.

    Args:
        grey: `h w` in [0, 1], some 64 px on each side at least.
        options: How.

    Returns:
        `k k`, k = `options.size_px`; see `psfs.centred` for where its origin lies.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    options = options or UnknownKernelOptions()
    levels = max(math.floor(math.log(_SMALLEST_KERNEL_PX / options.size_px) / math.log(_STEP)), 0) + 1
    sizes = [math.ceil(options.size_px * _STEP**level) // 2 * 2 + 1 for level in range(levels)]
    sizes[0] = options.size_px
    psf = np.zeros((sizes[-1], sizes[-1]))
    middle = sizes[-1] // 2
    psf[middle, middle - 1 : middle + 1] = 0.5
    search = _Search(sparsity=options.sparsity)
    for level in reversed(range(levels)):
        if level < levels - 1:
            psf = _enlarged(psf, sizes[level])
        scale = _STEP**level
        blurred = grey.astype(np.float32)
        if level:
            blurred = _resized(grey, round(grey.shape[0] * scale), round(grey.shape[1] * scale))
        psf = at_centre_of_mass(_improved(blurred, psf, search, options))
    for _ in range(options.polish):
        psf = _polished(grey, psf, options)
    return centred(psf)


class _Blurred:
    """A blurred picture at one scale, as one period, with what is always needed of it."""

    def __init__(self, plane: Plane, kernel_px: int) -> None:
        self.wide = continued(plane, kernel_px)
        self.shape: tuple[int, int] = (self.wide.shape[0], self.wide.shape[1])
        self.inner = np.s_[: plane.shape[0], : plane.shape[1]]
        self.spectrum = spectrum_of(self.wide)
        self.power = difference_power(self.shape)
        self.edges = [spectrum_of(part) for part in inner_differences(plane, self.shape)]


@dataclass(slots=True)
class _Search:
    """What goes from scale to scale."""

    sparsity: float
    threshold: float | None = None
    """Squared gradient from which on an edge counts; None until the first scale has chosen it."""


def _improved(blurred: Plane, psf: Psf, search: _Search, options: UnknownKernelOptions) -> Psf:
    """Improve a kernel at one scale."""
    size = psf.shape[0]
    seen = _Blurred(blurred, size)
    for _ in range(options.iterations):
        latent = _with_few_gradients(seen, psf, search.sparsity, options)[seen.inner]
        edges = inner_differences(np.clip(latent, 0, 1), seen.shape)
        strength = edges[0] ** 2 + edges[1] ** 2
        threshold = search.threshold
        threshold = _edge_threshold(edges, strength, size) if threshold is None else threshold / _THRESHOLD_DECAY
        while not (strength >= threshold).any() and threshold > 1e-12:
            threshold /= _THRESHOLD_DECAY**2
        chosen = strength >= threshold
        latent_edges = [spectrum_of(edge * chosen) for edge in edges]
        psf = _fitted(latent_edges, seen, psf, ridge=options.ridge, floor=options.floor)
        psf = without_specks(psf)
        search.threshold = threshold
        search.sparsity = max(search.sparsity / options.sparsity_decay, options.least_sparsity)
    return psf


def _with_few_gradients(seen: _Blurred, psf: Psf, sparsity: float, options: UnknownKernelOptions) -> Plane:
    """Return a picture that, blurred, is the blurred one and has few gradients (half-quadratic splitting)."""
    transfer = transfer_of(psf, seen.shape)
    energy = transfer.real**2 + transfer.imag**2
    data = np.conj(transfer) * seen.spectrum
    latent, penalty = seen.wide, 2 * sparsity
    while penalty < options.largest_penalty:
        h, v = differences(latent)
        many = h * h
        many += v * v
        kept = many >= sparsity / penalty
        h *= kept
        v *= kept
        prior = spectrum_of(differences_adjoint(h, v))
        prior *= np.float32(penalty)
        prior += data
        weight = np.float32(penalty) * seen.power
        weight += energy
        np.reciprocal(weight, out=weight)
        prior *= weight
        latent = plane_of(prior, seen.shape)
        penalty *= options.penalty_growth
    return latent


def _edge_threshold(edges: tuple[Plane, Plane], strength: Plane, size: int) -> float:
    """Return the squared gradient that 2·size px exceed in each of four ranges of direction."""
    angle = np.arctan2(edges[1], edges[0]) % np.pi
    sector = np.minimum((angle * (4 / np.pi)).astype(np.int64), 3)
    keep = 2 * size
    limits = []
    for number in range(4):
        values = strength[(sector == number) & (strength > 0)]
        limits.append(float(np.partition(values, -keep)[-keep]) if len(values) > keep else 0.0)
    return min(limits)


def _polished(grey: Plane, psf: Psf, options: UnknownKernelOptions) -> Psf:
    """Fit the kernel to the edges of a careful deconvolution, and keep its faint parts."""
    seen = _Blurred(grey, psf.shape[0])
    known = KnownKernelOptions(fidelity=options.polish_fidelity, iterations=_POLISH_ITERATIONS)
    edges = inner_differences(np.clip(deconvolved(grey, psf, known), 0, 1), seen.shape)
    strength = edges[0] ** 2 + edges[1] ** 2
    chosen = strength >= np.quantile(strength[seen.inner][:-1, :-1], 1 - options.polish_share)
    latent_edges = [spectrum_of(edge * chosen) for edge in edges]
    psf = _fitted(latent_edges, seen, psf, ridge=options.polish_ridge, floor=options.polish_floor)
    return without_specks(psf, least=options.polish_floor)


def _fitted(edges: list[Spectrum], seen: _Blurred, start: Psf, *, ridge: float, floor: float) -> Psf:
    """Return the kernel, not negative, that blurs the edges into those that were seen.

    Least squares on the elements on and near the kernel that there was (the normal equations are a matrix of n × n
    correlations), by projected gradients with momentum and restarts.
    """
    size, shape = start.shape[0], seen.shape
    products = [np.conj(edge) * part for edge, part in zip(edges, seen.edges, strict=True)]
    cross = products[0] + products[1]
    auto = (np.abs(edges[0]) ** 2 + np.abs(edges[1]) ** 2).astype(np.complex64)
    lags = np.arange(1 - size, size)
    y, x = np.nonzero(_near(start > 0, _GROWTH_PX))
    target = plane_of(cross, shape)[(y - size // 2) % shape[0], (x - size // 2) % shape[1]]
    correlation = plane_of(auto, shape)[np.ix_(lags % shape[0], lags % shape[1])]
    matrix = correlation[y[:, None] - y + size - 1, x[:, None] - x + size - 1]
    matrix[np.diag_indices(len(y))] += np.float32(ridge)
    step = np.float32(1 / (1.02 * _largest_eigenvalue(matrix)))
    light = start[y, x].astype(np.float32)
    ahead, momentum = light, 1.0
    for _ in range(_FIT_STEPS):
        new = np.maximum(ahead - step * (matrix @ ahead - target), 0)
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        if float(np.dot(ahead - new, new - light)) > 0:  # it goes uphill: begin anew
            following, ahead = 1.0, new
        else:
            ahead = new + np.float32((momentum - 1) / following) * (new - light)
        light, momentum = new, following
    psf = np.zeros((size, size))
    psf[y, x] = light
    if not psf.sum() > 0:
        return start
    psf[psf < floor * psf.max()] = 0
    return np.asarray(psf / psf.sum())


def _near(places: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """Return where a place is so many px away at most, on both axes."""
    wide = np.pad(places, reach)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(windows.any(axis=(2, 3)))


def _largest_eigenvalue(matrix: Plane) -> float:
    vector = np.random.default_rng(0).random(len(matrix)).astype(np.float32)
    largest = 1.0
    for _ in range(20):
        vector = matrix @ vector
        largest = float(np.linalg.norm(vector))
        vector /= np.float32(largest)
    return largest


def _enlarged(psf: Psf, size: int) -> Psf:
    """Enlarge a kernel by √2, and cut or pad it to `size`."""
    wide = round(psf.shape[0] * math.sqrt(2))
    wide += (wide - size) % 2
    large = np.maximum(_resized(psf.astype(np.float32), wide, wide), 0).astype(np.float64)
    cut = (wide - size) // 2
    large = large[cut : cut + size, cut : cut + size] if cut > 0 else np.pad(large, -cut)
    large[large < _FAINT * large.max()] = 0
    return np.asarray(large / large.sum())


def _resized(plane: Plane, height: int, width: int) -> Plane:
    return resize_bicubic(plane[:, :, None].astype(np.float64), Size(height, width))[:, :, 0].astype(np.float32)


def patient(options: UnknownKernelOptions) -> UnknownKernelOptions:
    """Return options that take more and smaller steps: another opinion, more often right on small pictures."""
    return replace(options, penalty_growth=1.5, iterations=5, polish=2)
