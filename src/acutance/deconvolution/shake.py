"""Camera shake in a photo: whether there is any, along which path, and the photo without it.

A kernel is found by `unknown_kernel`, which always finds one; whether to believe it is decided here. A sharp photo
gives a point, a lens out of focus a round spot, and an estimate that failed gives another kernel each time it is tried,
or ringing; none of them is undone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.known_kernel import KnownKernelOptions, deconvolved, noise_sigma
from acutance.deconvolution.planes import Plane, Psf, sparseness
from acutance.deconvolution.psfs import lens_likeness, path_midpoint, similarity, spread_px, trimmed
from acutance.deconvolution.texture import SMALLEST_PX, textured_box
from acutance.deconvolution.unknown_kernel import UnknownKernelOptions, estimated_kernel, patient
from acutance.imaging.kernels import convolve_mirror, gaussian_psf

Progress = Callable[[float, str], None]
"""Takes the share done, 0 … 1, and in a few words what comes next."""

_LOOK_PIXELS = 60_000
"""A first look at so many pixels tells most photos that are not shaken."""

_ALIKE, _UNLIKE = 2.0, 4.0
"""Residuals, in medians, up to which a place is the kernel's, and from which it is not."""
_LOOKED_AT_SIGMA_PX = 8.0
_SOFT_SIGMA_PX = 4.0
_SMOOTH = KnownKernelOptions(iterations=20, fidelity=300.0)
_WEIGHING = KnownKernelOptions(iterations=15, fidelity=5000.0)
_BORDER_PX = 16
"""Left out where a restored crop is looked at."""
_BLOCK_PX = 32
"""Side of the places in which a result, blurred again, is compared."""
_UNTOLD = 1.0
"""So many levels a result may be beside what was seen anywhere, noise not counted."""
_TEXTURE_SHARE = 0.1
"""And so large a share of the gradients there: a kernel is not exact."""
_WORST_SHARE = 0.9
"""Of the places, the misfit of the one that so many are better than counts."""
_LARGEST_PX = UnknownKernelOptions().size_px
_POINT_PX = 1.0
_SPOT_PX = 1.3
_HARDLY_LENS, _SURELY_LENS = 0.75, 0.93
_ORDER = ("in most of the texture", "in half of it", "in smaller steps")
_AGREE, _FIT = 0.9, 0.5
"""Similarity of two kernels from which, and misfit up to which, no further opinion is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for and against a kernel."""

    agreement: float
    """Median similarity, 0 … 1, to the kernels that were found otherwise: in other steps, in either half."""
    spread_px: float
    """Standard deviation along its longer axis, in px; of a sharp photo's kernel, below 1."""
    roundness: float
    """That along its shorter axis over it, 0 … 1."""
    lens_likeness: float
    """Similarity, 0 … 1, to a Gaussian or a disk."""
    cut: float
    """Share of the light on the frame of the largest kernel: a longer path, or stripes that say nothing of a path along
    them."""
    gain: float
    """How much sparser the gradients became: L2 over L1 of the restored ones, over that of the blurred ones."""
    excess: float
    """Root mean square of what is below 0 and above 1 in the restored crop: ringing."""
    misfit: float
    """How far the restored crop, brought into range and blurred again, is from what was seen, in the worst tenth of its
    places: 1 is a level and a tenth of the gradients there. Bands of black and white that a wrong kernel makes come out
    even only as long as they may be blacker than black."""

    @property
    def is_convincing(self) -> bool:
        """Whether the kernel is that of a shaken camera, and right. See `docs/explanation/shake.md` for the limits."""
        return self.agreement >= 0.6 and self.is_possible

    @property
    def is_possible(self) -> bool:
        """Whether the kernel by itself could be that of a shaken camera, and right."""
        return (
            self.spread_px >= 1.3
            and not self.is_of_a_lens
            and self.cut <= 0.03
            and self.gain >= 1.12
            and self.excess <= 0.012
            and self.misfit <= 0.8
        )

    @property
    def is_beyond_doubt(self) -> bool:
        """Whether no further opinion is needed to believe the kernel."""
        return self.is_possible and self.agreement >= _AGREE and self.misfit <= _FIT

    @property
    def is_of_a_lens(self) -> bool:
        """Whether a lens out of focus makes such a kernel: a round one."""
        return self.lens_likeness > (0.9 if self.roundness < 0.5 else 0.86)

    @property
    def merit(self) -> float:
        """The larger, the sooner it is believed of several that are convincing.

        Estimates err towards a point with a faint tail: of two kernels that explain as much, the one less like a spot
        is nearer to the truth.
        """
        return self.gain * self.agreement / ((1 + 0.5 * self.misfit) * max(self.lens_likeness, _HARDLY_LENS))

    @property
    def is_hopeless(self) -> bool:
        """Whether no other opinion would make it a path: a point or a lens, or nothing gained."""
        return self.spread_px < _POINT_PX or self.lens_likeness > _SURELY_LENS or self.gain < 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shake:
    """A kernel, and what is known of it."""

    psf: Psf
    evidence: Evidence
    usual_residual: float
    """Of a smooth picture, blurred with the kernel, against what was seen; the median over the picture."""
    origin: tuple[float, float]
    """Where the camera was at the midpoint of the exposure: `(y, x)`, in px from the psf's middle."""

    @property
    def length_px(self) -> float:
        """About how long the path is: of a straight, even one, the length that has this spread."""
        return self.evidence.spread_px * math.sqrt(12)

    def trust(self, grey: Plane) -> Plane:
        """Return, for each pixel, how far the kernel explains what is there: 1 wholly, 0 not at all.

        What moved by itself, or lies at another depth, was blurred by another kernel.
        """
        ratio = _residual(grey, self.psf) / self.usual_residual
        share = np.clip((_UNLIKE - ratio) / (_UNLIKE - _ALIKE), 0, 1)
        return np.clip(_blurred(share, _SOFT_SIGMA_PX), 0, 1).astype(np.float32)


def find_shake(grey: Plane, *, threads: int = 1, progress: Progress = lambda share, doing: None) -> Shake | None:
    """Look for camera shake that is the same all over a picture, up to about 30 px long.

    Args:
        grey: `h w` in [0, 1], gamma space.
        threads: How many kernels are sought at once; each takes some 100 MB.
        progress: Called with the share done and what comes next, in the calling thread; may raise to break off.

    Returns:
        The shake; None where there is none to be sure of.

    Determinism: the same bits for the same input on one build of NumPy, with any number of threads.
    """
    if min(grey.shape) < SMALLEST_PX or float(np.ptp(grey)) == 0:
        return None
    progress(0.0, "a first look for camera shake")
    options = UnknownKernelOptions()
    look = np.ascontiguousarray(grey[textured_box(grey, _LOOK_PIXELS).slices])
    if _is_sharp(trimmed(estimated_kernel(look, options))):
        return None
    crop = np.ascontiguousarray(grey[textured_box(grey).slices])
    halves = _halves(crop)
    # The problem is not convex, and which settings and which part fail differs from photo to photo: while the opinions
    # differ more are asked, and of those that could be right the sparsest result wins.
    rounds = [
        [partial(estimated_kernel, crop, options)],
        [partial(estimated_kernel, halves[0], options)],
        [partial(estimated_kernel, halves[1], options), partial(estimated_kernel, crop, patient(options))],
    ]
    psfs: list[Psf] = []
    found: list[Evidence] = []
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        for number, tries in enumerate(rounds):
            progress(0.1 + 0.2 * number, f"looking for the path of the camera, {_ORDER[number]}")
            more = list(pool.map(lambda one: trimmed(one()), tries))
            progress(0.25 + 0.2 * number, "blurring the result again, to see whether it is right")
            found += pool.map(partial(weighed, crop), more)
            psfs += more
            found = [replace(one, agreement=_agreement(psfs, index)) for index, one in enumerate(found)]
            if number == 0 and found[0].is_hopeless:
                return None
            if number == 1 and all(one.is_beyond_doubt for one in found):
                break
    convincing = [index for index, one in enumerate(found) if one.is_convincing]
    if len(convincing) < 2:  # one of several is an accident
        return None
    best = max(convincing, key=lambda index: found[index].merit)
    return Shake(
        psf=psfs[best],
        evidence=found[best],
        usual_residual=max(float(np.median(_residual(crop, psfs[best]))), 1 / 255),
        origin=path_midpoint(psfs[best]),
    )


def known_shake(crop: Plane, psf: Psf) -> Shake:
    """Return a kernel that was told, with what speaks for it in a crop.

    Args:
        crop: `h w` in [0, 1], of some 100 px on each side at least.
        psf: The kernel; its origin is where the sharp picture lies.
    """
    return Shake(
        psf=psf,
        evidence=weighed(crop, psf),
        usual_residual=max(float(np.median(_residual(crop, psf))), 1 / 255),
        origin=(0.0, 0.0),
    )


def _is_sharp(psf: Psf) -> bool:
    """Whether a kernel is that of a sharp photo: a point, or a small spot."""
    long = spread_px(psf)[0]
    return long < _POINT_PX or (long < _SPOT_PX and lens_likeness(psf) > _SURELY_LENS)


def _agreement(psfs: Sequence[Psf], number: int) -> float:
    """Return the median similarity of one of several psfs to the others; 1 where there are none."""
    others = [similarity(psfs[number], other) for index, other in enumerate(psfs) if index != number]
    return float(np.median(others)) if others else 1.0


def _halves(crop: Plane) -> tuple[Plane, Plane]:
    """Cut a crop in two across its longer side."""
    height, width = crop.shape
    if width >= height:
        return np.ascontiguousarray(crop[:, : width // 2]), np.ascontiguousarray(crop[:, width // 2 :])
    return crop[: height // 2], crop[height // 2 :]


def weighed(crop: Plane, psf: Psf) -> Evidence:
    """Return what speaks for a kernel that was found in a crop, but for agreement: none is known yet."""
    latent = deconvolved(crop, psf, _WEIGHING)
    high, wide = (min(_BORDER_PX, length // 4) for length in crop.shape)  # of a narrow crop its middle half counts
    inner = np.s_[high : crop.shape[0] - high, wide : crop.shape[1] - wide]
    possible = np.clip(latent, 0, 1)
    long, short = spread_px(psf)
    again = convolve_mirror(possible[:, :, None], psf)[:, :, 0]
    return Evidence(
        agreement=1.0,
        spread_px=long,
        roundness=short / long if long else 1.0,
        lens_likeness=lens_likeness(psf),
        cut=float(psf.sum() - psf[1:-1, 1:-1].sum()) if psf.shape[0] == _LARGEST_PX else 0.0,
        gain=sparseness(latent[inner]) / sparseness(crop[inner]),
        excess=math.sqrt(float(((latent - possible)[inner] ** 2).mean())),
        misfit=_misfit(again[inner], crop[inner]),
    )


def _misfit(again: npt.NDArray[np.floating], seen: Plane) -> float:
    """Return how far a picture is from what was seen in the worst tenth of its places; see `Evidence.misfit`."""
    noise = 0.5 * noise_sigma(seen) ** 2  # what was blurred again has none but what a kernel can give: about half
    levels = 255 * np.sqrt(np.maximum(_block_means((again - seen) ** 2) - noise, 0))
    steps = np.diff(seen, axis=1)[:-1] ** 2 + np.diff(seen, axis=0)[:, :-1] ** 2
    texture = 255 * np.sqrt(_block_means(np.pad(steps, ((0, 1), (0, 1)))))
    return float(np.quantile(levels / (_UNTOLD + _TEXTURE_SHARE * texture), _WORST_SHARE))


def _block_means(plane: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the means of a plane's whole blocks; of all of it where it has none."""
    high, wide = (min(_BLOCK_PX, length) for length in plane.shape)
    rows, columns = plane.shape[0] // high, plane.shape[1] // wide
    whole = plane[: rows * high, : columns * wide].reshape(rows, high, columns, wide)
    return np.asarray(whole.mean(axis=(1, 3)))


def _residual(grey: Plane, psf: Psf) -> npt.NDArray[np.float64]:
    """Return how far a smooth picture, blurred with a kernel, is from what was seen, around each pixel."""
    again = convolve_mirror(deconvolved(grey, psf, _SMOOTH)[:, :, None], psf)[:, :, 0]
    square = (again - grey) ** 2
    border = psf.shape[0] // 2  # what lay beyond the border is not known
    square[:border], square[-border:], square[:, :border], square[:, -border:] = 0, 0, 0, 0
    return np.sqrt(np.maximum(_blurred(square, _LOOKED_AT_SIGMA_PX), 0))


def _blurred(plane: npt.NDArray[np.floating], sigma_px: float) -> npt.NDArray[np.float64]:
    return convolve_mirror(plane[:, :, None], gaussian_psf(sigma_px))[:, :, 0]
