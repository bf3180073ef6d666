"""Consistency: a result is blurred again and held against the picture that it was made of.

Two things can be told so. What is *contradicted*: blurred again with the kernel, the result is not the picture, noise
aside. What is *not supported*: detail of a fineness that the kernel takes below the noise, of which the picture says
nothing, whether it is right or wrong. The rest of what was changed the evidence carries.

Where the kernel is known (deconvolution) this is exact, but for the noise's level. Else the smallest kernel is fitted
that explains the picture from the result, region by region; since the result had a say in it, that is an estimate, and
a lenient one.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.known_kernel import noise_sigma
from acutance.deconvolution.planes import (
    Plane,
    Psf,
    continued,
    difference_power,
    differences,
    plane_of,
    spectrum_of,
    transfer_of,
)
from acutance.engines.processor import pool_size
from acutance.errors import ConfigError
from acutance.geometry import Box, Size, Tile, plan_tiles
from acutance.imaging.convert import to_float
from acutance.inference.belief import grey_of
from acutance.ranges import as_number
from acutance.trust.comparing import Comparable, compared
from acutance.trust.features import mean_of_three
from acutance.trust.reblurring import SIDES, fitted_kernel

REGION_PX: Final = 128
"""Side of a region with a kernel of its own, at least."""
_REGIONS: Final = 5
"""Of large pictures, at most so many regions lie side by side: each costs the fit of a kernel."""
_CROP_PX: Final = 256
_HALO_PX: Final = 32
_NOISE_ASIDE: Final = 1.2
"""Residuals count from so many times the noise's variance on: its mean over a place varies."""
_UNCHANGED: Final = 0.1 / 255
"""A region that was changed by less in the mean gets no kernel of its own."""
_LARGEST_WEIGHT: Final = 1000.0
"""Of a kernel; one of unit sum has none as large."""
_FARTHEST_PX: Final = 1000
_LEAST_STEP: Final = 1 / 255
"""Mean step of a sharp picture that is expected at least, or noise in a flat region would count as carried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """How far a result agrees with the picture that it was made of."""

    is_exact: bool
    """Whether the kernel was known; else it was fitted, and all of this is an estimate."""
    contradicted: float
    """Share of the change's energy, 0 … 1: blurred again, it is not what was seen."""
    unsupported: float
    """Share of the change's energy, 0 … 1, that is finer than what the blur and the noise left."""
    misfit_levels: float
    """Root mean square between the picture and the result blurred again, in levels of 255."""
    noise_levels: float
    """Standard deviation of the picture's noise, in levels of 255, as far as it was taken for white."""
    kernel: Psf = field(repr=False)
    """The kernel: the known one, or the one that explains the picture as a whole best."""
    picture: npt.NDArray[np.float32] = field(repr=False)
    """`h w`: what the evidence does not carry at each pixel, in levels of 255."""

    @property
    def uncarried(self) -> float:
        """Share of the change that the evidence does not carry, 0 … 1."""
        return min(1.0, self.contradicted + self.unsupported)

    def __str__(self) -> str:
        """Say it in a sentence."""
        how = "exact: the kernel is known" if self.is_exact else "an estimate: the kernel was fitted"
        return f"the evidence does not carry {100 * self.uncarried:.0f} % of the change ({how})"


def consistency(
    before: Comparable,
    after: Comparable,
    *,
    psf: Psf | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    threads: int | None = None,
) -> Consistency:
    """Blur a result again and compare it with the picture.

    Args:
        before: The picture, gamma space: `h w`, `h w 1`, `h w 3` or `h w 4`; uint8, uint16 or float in [0, 1]; or a PIL
            image. Transparency is left out, and with it what is fully transparent.
        after: Its result, of the same shape.
        psf: What blurred it, where that is known: `k k`, k odd, of unit sum; None fits the smallest kernel that
            explains it, region by region.
        origin: `(y, x)` of the psf's origin, in px from its middle.
        threads: At most one per CPU for this process; None is one per core.

    Raises:
        InputError: When one is no picture, or the two differ in shape.
        ConfigError: When the psf or its origin is none, or `threads` is less than one.

    Determinism: the same for the same input on one build of NumPy.
    """
    psf, origin = _known_psf(psf), _known_origin(origin)
    seen, restored = (grey_of(to_float(one)) for one in compared(before, after, needed_by="consistency"))
    sigma = noise_sigma(seen)
    size = Size(*seen.shape)
    halo = _HALO_PX if psf is None else max(_HALO_PX, len(psf))  # a kernel that is told may reach far
    side = max(REGION_PX, -(-max(size) // _REGIONS))
    whole = psf if psf is not None else _whole_kernel(seen, restored)
    picture = np.empty(seen.shape, np.float32)

    def told(tile: Tile) -> tuple[float, float, float]:
        """Fill in a region; return the energies of its misfit, of what is contradicted and of what is unsupported."""
        inner = tile.target.shifted(tile.source.top, tile.source.left).slices
        own_seen, own_restored = seen[tile.source.slices], restored[tile.source.slices]
        kernel = psf if psf is not None else _region_kernel(own_seen, own_restored, whole)
        residual, unknown = (plane[inner] for plane in _told(own_seen, own_restored, kernel, origin, sigma))
        around = mean_of_three(mean_of_three(residual**2, 1), 3)
        beyond = np.sqrt(np.maximum(around - np.float32(_NOISE_ASIDE * sigma**2), 0))
        picture[tile.target.slices] = 255 * (beyond + np.abs(unknown))
        return _energy(residual), _energy(beyond), _energy(unknown)

    with ThreadPoolExecutor(pool_size(threads)) as pool:
        tiles = plan_tiles(size, tile_px=side + 2 * _HALO_PX, halo_px=halo)
        misfit, wrong, lost = (math.fsum(parts) for parts in zip(*pool.map(told, tiles), strict=True))
    change = _energy(restored - seen)
    return Consistency(
        is_exact=psf is not None,
        contradicted=min(wrong / change, 1.0) if change else 0.0,
        unsupported=min(lost / change, 1.0) if change else 0.0,
        misfit_levels=255 * math.sqrt(misfit / size.pixels),
        noise_levels=255 * sigma,
        kernel=whole,
        picture=picture,
    )


def _known_psf(psf: Psf | None) -> Psf | None:
    """Return a kernel that is known, as float64.

    Raises:
        ConfigError: When it is not square, of odd sides, of finite numbers and of unit sum.
    """
    if psf is None:
        return None
    try:
        array = np.asarray(psf)
    except ValueError:  # rows of different lengths
        array = np.empty(0)
    is_square = array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] % 2 == 1
    # A camera that sharpens has a kernel with negative parts, so that the largest may be above 1.
    is_sound = is_square and array.dtype.kind in "fiu" and bool((np.abs(array) <= _LARGEST_WEIGHT).all())
    if not is_sound or not math.isclose(array.sum(dtype=np.float64), 1, rel_tol=1e-3):
        raise ConfigError(
            f"a psf of shape {array.shape}: must be as high as wide, an odd number of px, and of unit sum; "
            "ToldBlur.measured(array).psf makes one of any kernel."
        )
    return array.astype(np.float64)


def _known_origin(origin: tuple[float, float]) -> tuple[float, float]:
    """Return the origin of a kernel as two floats.

    Raises:
        ConfigError: When it is not two numbers, or lies farther away than any kernel reaches.
    """
    y, x = (as_number(one) for one in origin) if np.shape(origin) == (2,) else (math.nan, math.nan)
    if not max(abs(y), abs(x)) <= _FARTHEST_PX or math.isnan(x):
        raise ConfigError(
            f"origin = {origin}: must be the (y, x) of the psf's origin, at most {_FARTHEST_PX} px from its middle."
        )
    return y, x


def _energy(plane: Plane) -> float:
    return float((plane**2).sum(dtype=np.float64))


def _whole_kernel(seen: Plane, restored: Plane) -> Psf:
    """Fit one kernel to the picture: to that part of it that was changed most, of a limited size."""
    height, width = (min(side, _CROP_PX) for side in seen.shape)
    change = np.abs(restored - seen)
    boxes = [
        Box(top, left, top + height, left + width)
        for top in range(0, seen.shape[0] - height + 1, height)
        for left in range(0, seen.shape[1] - width + 1, width)
    ]
    box = max(boxes, key=lambda one: float(change[one.slices].sum(dtype=np.float64)))
    return fitted_kernel(seen[box.slices], restored[box.slices]).psf


def _region_kernel(seen: Plane, restored: Plane, whole: Psf) -> Psf:
    """Fit a region's kernel; the picture's one, where the region is small or hardly changed."""
    if min(seen.shape) < 3 * SIDES[-1] or float(np.abs(restored - seen).mean(dtype=np.float64)) < _UNCHANGED:
        return whole
    return fitted_kernel(seen, restored).psf


def _told(seen: Plane, restored: Plane, psf: Psf, origin: tuple[float, float], sigma: float) -> tuple[Plane, Plane]:
    """Return what is left when a region's result is blurred again, and what of its change the picture cannot tell.

    Where the picture was left as it is, it explains itself.
    """
    height, width = seen.shape
    wide = continued(restored, psf.shape[0] - 1)
    transfer = transfer_of(psf, wide.shape, origin)
    again = plane_of(transfer * spectrum_of(wide), wide.shape)[:height, :width]
    residual, change = seen - again, restored - seen
    is_left = mean_of_three(change**2, 1) < mean_of_three(residual**2, 1)
    residual = np.where(is_left, change, residual)
    right, down = differences(wide)
    step = max(float(np.mean(right**2 + down**2, dtype=np.float64)) / 2, _LEAST_STEP**2)
    energy = transfer.real**2 + transfer.imag**2
    share = energy / (energy + np.float32(sigma**2 / step) * difference_power(wide.shape) + np.float32(1e-12))
    moved = continued(change, psf.shape[0] - 1)
    carried = plane_of(share * spectrum_of(moved), moved.shape)[:height, :width]
    return residual.astype(np.float32, copy=False), np.asarray(change - carried, dtype=np.float32)
