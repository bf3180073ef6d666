"""Camera shake in a photo: whether there is any, along which path, and the photo without it.

A kernel is found by `unknown_kernel`, which always finds one; whether to believe it is decided here. A sharp photo
gives a point, a lens out of focus a round spot, and an estimate that failed gives another kernel each time it is tried,
or ringing; none of them is undone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.known_kernel import KnownKernelOptions, deconvolved, noise_sigma
from acutance.deconvolution.planes import Plane, Psf
from acutance.deconvolution.psfs import lens_likeness, similarity, spread_px
from acutance.deconvolution.unknown_kernel import UnknownKernelOptions, estimated_kernel, quicker
from acutance.geometry import Box, Size
from acutance.imaging.kernels import convolve_mirror, gaussian_psf

CROP_PIXELS = 200_000
"""A kernel is estimated from at most so many pixels."""

SMALLEST_PX = 64
"""In pictures with a shorter side no shake is looked for."""

GRADIENT_SCALE = 0.025
"""Mean absolute gradient that the prior expects: the fidelity is this over the variance of the noise."""

LARGEST_FIDELITY = 6000.0
"""The kernel is never so exact that more would do anything but raise grain."""

_ALIKE, _UNLIKE = 2.0, 4.0
"""Residuals, in medians, up to which a place is the kernel's, and from which it is not."""
_LOOKED_AT_SIGMA_PX = 8.0
_SOFT_SIGMA_PX = 4.0
_SMOOTH = KnownKernelOptions(iterations=20, fidelity=300.0)
_WEIGHING = KnownKernelOptions(iterations=15, fidelity=5000.0)
_BORDER_PX = 16
"""Left out where a restored crop is looked at."""
_WHITE = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for and against a kernel."""

    agreement: float
    """Median similarity, 0 … 1, to the kernels that were found otherwise: in other steps, in either half."""
    spread_px: float
    """Standard deviation along its longer axis, in px; of a sharp photo's kernel, below 1."""
    lens_likeness: float
    """Similarity, 0 … 1, to a Gaussian or a disk."""
    gain: float
    """How much sparser the gradients became: L2 over L1 of the restored ones, over that of the blurred ones."""
    excess: float
    """Root mean square of what is below 0 and above 1 in the restored crop: ringing."""

    @property
    def is_convincing(self) -> bool:
        """Whether the kernel is that of a shaken camera, and right. The limits are explained in `docs/models.md`."""
        return (
            self.agreement >= 0.6
            and self.spread_px >= 1.3
            and self.lens_likeness <= 0.86
            and self.gain >= 1.12
            and self.excess <= 0.012
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shake:
    """A kernel, and what is known of it."""

    psf: Psf
    evidence: Evidence
    fidelity: float
    """For `KnownKernelOptions`: from the picture's noise."""
    usual_residual: float
    """Of a smooth picture, blurred with the kernel, against what was seen; the median over the picture."""

    @property
    def length_px(self) -> float:
        """About how long the path is: of a straight, even one, the length that has this spread."""
        return self.evidence.spread_px * math.sqrt(12)

    def undone(self, seen: Plane) -> Plane:
        """Return a channel `h w` in [0, 1], or a tile of one, without the shake; not clipped."""
        return deconvolved(seen, self.psf, KnownKernelOptions(fidelity=self.fidelity))

    def trust(self, grey: Plane) -> Plane:
        """Return, for each pixel, how far the kernel explains what is there: 1 wholly, 0 not at all.

        What moved by itself, or lies at another depth, was blurred by another kernel.
        """
        ratio = _residual(grey, self.psf) / self.usual_residual
        share = np.clip((_UNLIKE - ratio) / (_UNLIKE - _ALIKE), 0, 1)
        return np.clip(_blurred(share, _SOFT_SIGMA_PX), 0, 1).astype(np.float32)


def find_shake(
    grey: Plane, *, threads: int = 1, progress: Callable[[float], None] = lambda share: None
) -> Shake | None:
    """Look for camera shake that is the same all over a picture, up to about 30 px long.

    Args:
        grey: `h w` in [0, 1], gamma space.
        threads: How many kernels are sought at once; each takes some 100 MB.
        progress: Called with the share done, in the calling thread; may raise to break off.

    Returns:
        The shake; None where there is none to be sure of.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    if min(grey.shape) < SMALLEST_PX or float(np.ptp(grey)) == 0:
        return None
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    options = UnknownKernelOptions()
    # The problem is not convex, and which settings fail differs from photo to photo: the sparsest result wins.
    tries = [
        partial(estimated_kernel, crop, options),
        partial(estimated_kernel, crop, quicker(options)),
        *(partial(estimated_kernel, half, options) for half in _halves(crop)),
    ]
    psfs: list[Psf] = []
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        futures = [pool.submit(one) for one in tries]
        try:
            for future in futures:
                psfs.append(future.result())
                progress(len(psfs) / (len(tries) + 1))
        finally:
            for future in futures:
                future.cancel()
        found = list(pool.map(partial(_weighed, crop, psfs), range(len(psfs))))
    progress(1.0)
    best = max(range(len(psfs)), key=lambda number: found[number].gain)
    if not found[best].is_convincing:
        return None
    return Shake(
        psf=psfs[best],
        evidence=found[best],
        fidelity=min(GRADIENT_SCALE / noise_sigma(grey) ** 2, LARGEST_FIDELITY),
        usual_residual=max(float(np.median(_residual(crop, psfs[best]))), 1 / 255),
    )


def textured_box(grey: Plane, pixels: int = CROP_PIXELS) -> Box:
    """Return the window of at most that many pixels, of the picture's own shape, that holds most gradients."""
    height, width = grey.shape
    scale = math.sqrt(pixels / (height * width))
    if scale >= 1:
        return Box(0, 0, height, width)
    size = Size(int(height * scale), int(width * scale))
    energy = np.zeros(grey.shape)
    steps = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    energy[:-1, :-1] = np.minimum(steps, 0.2)
    energy[grey > _WHITE] = 0  # what is clipped was not blurred by the kernel alone
    total = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    corners = [
        (int(top), int(left))
        for top in np.linspace(0, height - size.height, 5)
        for left in np.linspace(0, width - size.width, 5)
    ]

    def held(corner: tuple[int, int]) -> float:
        top, left = corner
        bottom, right = top + size.height, left + size.width
        return float(total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left])

    top, left = max(corners, key=held)
    return Box(top, left, top + size.height, left + size.width)


def _halves(crop: Plane) -> tuple[Plane, Plane]:
    """Cut a crop in two across its longer side."""
    height, width = crop.shape
    if width >= height:
        return np.ascontiguousarray(crop[:, : width // 2]), np.ascontiguousarray(crop[:, width // 2 :])
    return crop[: height // 2], crop[height // 2 :]


def _weighed(crop: Plane, psfs: Sequence[Psf], number: int) -> Evidence:
    """Return what speaks for one of several kernels that were found in a crop."""
    psf = psfs[number]
    latent = deconvolved(crop, psf, _WEIGHING)
    inner = np.s_[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX]
    outside = latent - np.clip(latent, 0, 1)
    others = [other for index, other in enumerate(psfs) if index != number]
    return Evidence(
        agreement=float(np.median([similarity(psf, other) for other in others])),
        spread_px=spread_px(psf)[0],
        lens_likeness=lens_likeness(psf),
        gain=_sparseness(latent[inner]) / _sparseness(crop[inner]),
        excess=math.sqrt(float((outside[inner] ** 2).mean())),
    )


def _residual(grey: Plane, psf: Psf) -> npt.NDArray[np.float64]:
    """Return how far a smooth picture, blurred with a kernel, is from what was seen, around each pixel."""
    again = convolve_mirror(deconvolved(grey, psf, _SMOOTH)[:, :, None], psf)[:, :, 0]
    square = (again - grey) ** 2
    border = psf.shape[0] // 2  # what lay beyond the border is not known
    square[:border], square[-border:], square[:, :border], square[:, -border:] = 0, 0, 0, 0
    return np.sqrt(np.maximum(_blurred(square, _LOOKED_AT_SIGMA_PX), 0))


def _blurred(plane: npt.NDArray[np.floating], sigma_px: float) -> npt.NDArray[np.float64]:
    return convolve_mirror(plane[:, :, None], gaussian_psf(sigma_px))[:, :, 0]


def _sparseness(plane: Plane) -> float:
    """Return L2 over L1 of a plane's gradients."""
    steps = np.concatenate([np.diff(plane, axis=1).ravel(), np.diff(plane, axis=0).ravel()]).astype(np.float64)
    return math.sqrt(float((steps**2).mean())) / max(float(np.abs(steps).mean()), 1e-9)
