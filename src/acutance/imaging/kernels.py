"""The mathematics of blur: point spread functions (psf) and convolution with one, in NumPy.

This is the exact, slow half of the house's blur: float64 throughout, one picture at a time. The protocol
(`data.protocol`) and the baselines are made of it, and the batched torch half is tested against it. It knows
nothing of noise, rounding, JPEG or randomness.

A psf is a float64 array `kh kw` whose origin is the element `(kh // 2, kw // 2)`; those made here have odd
sides, no negative element and unit sum. Coordinates are `(y, x)`, y down, x right, in px.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from acutance.errors import ConfigError
from acutance.geometry import Size

TRAJECTORY_STEP_PX = 0.25
"""Longest step in px between two samples of a rendered camera path: well below the 1 px of the bilinear
splat, so that no gap shows."""

LINE_SAMPLES = 512
"""Samples of a rendered straight motion, whatever its length."""


def gaussian_psf(sigma_px: float) -> npt.NDArray[np.float64]:
    """Return the isotropic Gaussian, sampled at the pixel centres out to the radius ⌈4σ⌉.

    These are the weights of `scipy.ndimage.gaussian_filter(…, radius=⌈4σ⌉)`. SciPy's own `truncate=4` rounds
    4σ to the nearest integer instead of up, which differs only where 4σ is not whole (σ = 1.6: radius 6,
    here 7).

    Args:
        sigma_px: Standard deviation in px; 0 gives the identity, a 1×1 psf.

    Returns:
        Float64 `k k` with k = 2⌈4σ⌉ + 1, unit sum.

    Raises:
        ConfigError: When σ is negative or not finite.
    """
    _require_not_negative("sigma", sigma_px)
    if sigma_px == 0:
        return np.ones((1, 1))
    offsets = np.arange(-math.ceil(4 * sigma_px), math.ceil(4 * sigma_px) + 1, dtype=np.float64)
    with np.errstate(over="ignore"):  # of a σ of 1e-160, the neighbours are infinitely many away: their weight is 0
        weights = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    weights /= weights.sum()
    return np.outer(weights, weights)


def anisotropic_gaussian_psf(sigma_x_px: float, sigma_y_px: float, angle: float) -> npt.NDArray[np.float64]:
    """Return a Gaussian with two standard deviations, turned by an angle.

    Sampled at the pixel centres, so a σ well below half a pixel is only as accurate as such samples can be.

    Args:
        sigma_x_px: Standard deviation in px along the first axis, which points right when `angle` is 0.
        sigma_y_px: Standard deviation in px across it.
        angle: Of the first axis, in radians from x (right) towards y (down).

    Returns:
        Float64 `k k` with k = 2⌈4 max(σx, σy)⌉ + 1, unit sum.

    Raises:
        ConfigError: When a σ is not positive and finite, or the angle is not finite.
    """
    for name, sigma in (("sigma_x", sigma_x_px), ("sigma_y", sigma_y_px)):
        if not (sigma > 0 and math.isfinite(sigma)):
            raise ConfigError(f"{name} {sigma} px: must be a positive number.")
    if not math.isfinite(angle):
        raise ConfigError(f"angle {angle}: must be a finite number of radians.")
    radius = math.ceil(4 * max(sigma_x_px, sigma_y_px))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    with np.errstate(over="ignore"):  # as above
        weights = np.exp(-0.5 * ((along / sigma_x_px) ** 2 + (across / sigma_y_px) ** 2))
    return np.asarray(weights / weights.sum())


def disk_psf(radius_px: float) -> npt.NDArray[np.float64]:
    """Return the antialiased disk of a lens out of focus: each element is its pixel's area inside the circle.

    The areas are exact, not supersampled: with Q(x, y) the area of the disk inside the rectangle from the
    centre to the corner (x, y), signed by its quadrant, a pixel's area is the mixed difference of Q at its
    four corners.

    Args:
        radius_px: Radius in px; 0 gives the identity, a 1×1 psf.

    Returns:
        Float64 `k k` with k = 2⌈radius − ½⌉ + 1 (at least 1), unit sum.

    Raises:
        ConfigError: When the radius is negative or not finite.
    """
    _require_not_negative("radius", radius_px)
    reach = max(math.ceil(radius_px - 0.5), 0)
    if reach == 0:
        return np.ones((1, 1))  # the whole disk lies inside one pixel
    corners: npt.NDArray[np.float64] = np.arange(-reach, reach + 2, dtype=np.float64) - 0.5
    areas = np.diff(np.diff(_quadrant_area(corners[None, :], corners[:, None], radius_px), axis=0), axis=1)
    areas = np.maximum(areas, 0)  # a pixel outside may come out as −1e-17
    return np.asarray(areas / areas.sum())


def trajectory_psf(points: npt.ArrayLike, *, origin: tuple[float, float] | None = None) -> npt.NDArray[np.float64]:
    """Render the path of a shaken camera: how long the light of one point stayed on each pixel.

    The vertices are taken to be equally spaced in time and the speed between two of them to be constant. The
    path is sampled at least every `TRAJECTORY_STEP_PX`, and each sample is shared among the four pixels
    around it (bilinear splat), which keeps its position exact.

    Args:
        points: `n 2`, n ≥ 1: the vertices `(y, x)` in px, in the order of time.
        origin: The point `(y, x)` that lands on the origin; None is the middle of the path's bounding box: there
            measured kernels, which are cut out around their path, have it, too.

    Returns:
        Float64 `k k`, k odd, unit sum, the origin at the central element.

    Raises:
        ConfigError: When the points are not finite or not of shape `n 2`.
    """
    path = np.asarray(points, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] != 2 or not path.size or not np.isfinite(path).all():
        raise ConfigError(f"camera path of shape {path.shape}: must be finite points (y, x), at least one.")
    middle = (path.min(axis=0) + path.max(axis=0)) / 2 if origin is None else np.asarray(origin, dtype=np.float64)
    return _splatted(_samples_in_time(path) - middle)


def line_psf(length_px: float, angle: float) -> npt.NDArray[np.float64]:
    """Render straight motion of constant speed: a segment around the origin.

    It is `LINE_SAMPLES` samples of equal weight, at the middles of equal parts of the segment, each shared among the
    four pixels around it (bilinear splat).

    Args:
        length_px: Of the segment, from −length/2 to +length/2.
        angle: Of the motion, in radians from x (right) towards y (down).

    Returns:
        Float64 `k k`, k odd, unit sum, the middle of the segment at the central element.

    Raises:
        ConfigError: When the length is negative or not finite, or the angle is not finite.
    """
    _require_not_negative("length", length_px)
    if not math.isfinite(angle):
        raise ConfigError(f"angle {angle}: must be a finite number of radians.")
    along = length_px * ((np.arange(LINE_SAMPLES) + 0.5) / LINE_SAMPLES - 0.5)
    return _splatted(along[:, None] * np.array([math.sin(angle), math.cos(angle)]))


def temporal_midpoint(points: npt.ArrayLike) -> tuple[float, float]:
    """Return where a path `n 2`, its vertices `(y, x)` equally spaced in time, is at half of the time."""
    path = np.asarray(points, dtype=np.float64)
    y, x = (path[(len(path) - 1) // 2] + path[len(path) // 2]) / 2
    return float(y), float(x)


def softened_psf(psf: npt.NDArray[np.float64], softness: float) -> npt.NDArray[np.float64]:
    """Spread a share of every point over its 3×3 neighbourhood, as a lens does with the line that a hand draws.

    Args:
        psf: `kh kw`.
        softness: The share, 0 … 1; what is spread is weighed by 1 2 1 on both axes.

    Returns:
        Float64 `kh+2 kw+2`, of the same sum and the same origin.
    """
    sharp = np.pad(psf, 1)
    spread = sharp
    for axis in (0, 1):  # the pad holds what a point at the edge gives: nothing comes round to the other side
        spread = 0.25 * np.roll(spread, 1, axis) + 0.5 * spread + 0.25 * np.roll(spread, -1, axis)
    return np.asarray((1.0 - softness) * sharp + softness * spread)


def psf_sigma_px(psf: npt.NDArray[np.float64]) -> float:
    """Return a psf's standard deviation per axis in px: the σ of the Gaussian that spreads light as far.

    It is √(½ · trace of the covariance), measured from the centre of mass; a disk of radius r has r/2.

    Args:
        psf: `kh kw`, non-negative, of any positive sum.
    """
    y, x = np.indices(psf.shape, dtype=np.float64)
    weights = psf / psf.sum()
    variance = sum(float((weights * axis**2).sum() - (weights * axis).sum() ** 2) for axis in (y, x))
    return math.sqrt(max(variance, 0.0) / 2)


def optical_transfer(psf: npt.NDArray[np.float64], size: Size) -> npt.NDArray[np.complex128]:
    """Return the psf's transfer function on a periodic picture: `rfft2` of the psf with its origin at (0, 0).

    A psf larger than the period is folded onto it, which is exact for a periodic picture.

    Args:
        psf: `kh kw`.
        size: The period: height and width in px.

    Returns:
        Complex128 `height width//2+1`.
    """
    rows, columns = psf.shape
    y = (np.arange(rows) - rows // 2) % size.height
    x = (np.arange(columns) - columns // 2) % size.width
    folded = np.zeros(size)
    np.add.at(folded, (y[:, None], x[None, :]), psf)
    return np.fft.rfft2(folded)


def convolve_mirror(
    image: npt.NDArray[np.floating | np.uint8], psf: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Convolve a picture with a psf; beyond its border it continues as its mirror image, `dcb|abcd|cba`.

    A true convolution (the psf is flipped): a point of light at the picture's (y, x) becomes the psf as it is
    stored, with its origin at (y, x). The same as `scipy.ndimage.convolve(…, mode="mirror")`, also for a psf
    of even sides and for a picture smaller than the psf, to about 1e-15 of the largest value.

    Always by FFT: against a separable loop it was measured 2 × slower at radius 2 and 2 × faster at 16
    (768×512), which does not pay for a second path.

    Args:
        image: `h w c`, h and w at least 1, in any range and colour space; the result is in the same.
        psf: `kh kw`.

    Returns:
        Float64 `h w c`.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    height, width, channels = image.shape
    after = (psf.shape[0] // 2, psf.shape[1] // 2)
    before = (psf.shape[0] - 1 - after[0], psf.shape[1] - 1 - after[1])
    padding = tuple(zip(before, after, strict=True))
    size = Size(fast_length(height + sum(padding[0])), fast_length(width + sum(padding[1])))
    transfer = optical_transfer(psf, size)
    convolved = np.empty((height, width, channels))
    for channel in range(channels):  # one at a time: memory, and the cache
        plane = np.pad(image[:, :, channel].astype(np.float64), padding, mode="reflect")
        # What the period wraps around, and the zeros up to the fast length, reach only the padding.
        wide = np.fft.irfft2(np.fft.rfft2(plane, s=size) * transfer, s=size)
        convolved[:, :, channel] = wide[before[0] : before[0] + height, before[1] : before[1] + width]
    return convolved


def with_unsharp_mask(values: npt.NDArray[np.float64], *, sigma_px: float, amount: float) -> npt.NDArray[np.float64]:
    """Add what a Gaussian blur takes away: y + amount · (y − g_σ ∗ y), mirror boundary.

    Args:
        values: `h w c`, in any range.
        sigma_px: Standard deviation of the Gaussian in px.
        amount: How much is added.

    Returns:
        Float64 `h w c`, not clipped.
    """
    return values + amount * (values - convolve_mirror(values, gaussian_psf(sigma_px)))


def _require_not_negative(name: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ConfigError(f"{name} {value} px: must be 0 or a positive number.")


def _quadrant_area(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    """Return the signed area of the disk inside the rectangle from its centre to the corner (x, y)."""
    right = np.minimum(np.abs(x), radius)
    top = np.minimum(np.abs(y), radius)
    # Up to x = flat the rectangle's upper side lies inside the circle, beyond it the circle is the limit.
    # (The difference of two equal squares may come out as a tiny negative number.)
    flat = np.minimum(np.sqrt(np.maximum(radius**2 - top**2, 0.0)), right)
    area = flat * top + _area_under_arc(right, radius) - _area_under_arc(flat, radius)
    return np.asarray(np.sign(x) * np.sign(y) * area)


def _area_under_arc(x: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    """Return ∫₀ˣ √(r² − t²) dt for 0 ≤ x ≤ r."""
    inside = np.sqrt(np.maximum(radius**2 - x**2, 0.0))
    return np.asarray(0.5 * (x * inside + radius**2 * np.arcsin(np.minimum(x / radius, 1.0))))


def _samples_in_time(path: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return points on the path, equally many and equally spaced on each of its segments."""
    if len(path) == 1:
        return path
    steps = np.diff(path, axis=0)
    longest = float(np.hypot(steps[:, 0], steps[:, 1]).max())
    count = max(math.ceil(longest / TRAJECTORY_STEP_PX), 1)
    moments = (np.arange(count) + 0.5) / count  # the middles of equal spans of time
    return np.asarray((path[:-1, None] + steps[:, None] * moments[None, :, None]).reshape(-1, 2))


def _splatted(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share points `n 2` of equal weight among their four pixels each; the origin is the central element."""
    low = np.floor(samples).astype(np.int64)
    share = samples - low  # of the pixel after `low`, per axis
    radius = int(max(-low.min(), low.max() + 1))
    psf = np.zeros((2 * radius + 1, 2 * radius + 1))
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - share[:, 0]) * np.abs(1 - dx - share[:, 1])
            np.add.at(psf, (low[:, 0] + radius + dy, low[:, 1] + radius + dx), weight)
    return np.asarray(psf / psf.sum())


def fast_length(length: int) -> int:
    """Return the least number from `length` on without prime factors above 5, where the FFT is fast."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
