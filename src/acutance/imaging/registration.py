"""Where one picture lies in another, to a fraction of a px: a coarse shift, refined to an affine map or a homography.

The coarse shift is the peak of a cross-correlation whose spectrum is half whitened: wholly whitened (phase correlation)
noise counts as much as edges, not at all, one bright thing counts for all. The rest is Lucas and Kanade's, in the form
that takes the mean of both pictures' gradients (Benhimane & Malis 2004), with gain and offset of the light as two more
unknowns. More than a shift is believed only where it explains more than its further numbers would by chance (BIC).

A map is a float64 3×3 matrix that takes (x, y, 1) of the reference to a place in the other picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box, Size
from acutance.imaging.kernels import convolve_mirror, fast_length, gaussian_psf

Plane = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Model = Literal["translation", "affine", "homography"]

SMOOTHING_PX: Final = 1.5
"""σ of the Gaussian that both pictures are smoothed with: noise has most of its energy where edges have none."""
_ROUNDS: Final = 12
_ENOUGH_PX: Final = 0.003
_AFFINE_PX, _HOMOGRAPHY_PX = 32, 96
"""Shortest side of a region from which on it may be turned and sheared, and seen in perspective."""
_CORRELATED_PX: Final = 4 * math.pi * SMOOTHING_PX**2
"""So many px of a smoothed picture tell what one of white noise does."""
_NUMBERS: Final[dict[Model, int]] = {"translation": 2, "affine": 6, "homography": 8}
_LEAST_INSIDE: Final = 0.6
"""Share of the region that must lie in the other picture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registration:
    """Where the reference's region lies in another picture."""

    matrix: Matrix
    correlation: float
    """Of both regions, smoothed: 1 where they are alike but for the light, 0 where they have nothing in common."""
    model: Model

    def shift_at(self, box: Box) -> tuple[float, float]:
        """Return by how much `(x, y)` the middle of a region has moved, in px."""
        x, y = (box.left + box.right - 1) / 2, (box.top + box.bottom - 1) / 2
        across, down, scale = self.matrix @ np.array([x, y, 1.0])
        return float(across / scale - x), float(down / scale - y)


def smoothed(plane: npt.NDArray[np.floating]) -> Plane:
    """Return a plane `h w` as pictures are compared."""
    return convolve_mirror(plane[:, :, None], gaussian_psf(SMOOTHING_PX))[:, :, 0].astype(np.float32)


def shift_matrix(across: float, down: float) -> Matrix:
    """Return the map of a shift in px."""
    return np.array([[1.0, 0.0, across], [0.0, 1.0, down], [0.0, 0.0, 1.0]])


def coarse_shift(reference: Plane, other: Plane) -> tuple[int, int]:
    """Return by how much `(x, y)` a picture has moved, to a px, up to about a third of its size.

    Args:
        reference: `h w`.
        other: The same size.
    """
    height, width = reference.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    size = (fast_length(height + height // 2), fast_length(width + width // 2))
    a, b = (np.fft.rfft2((plane - plane.mean()) * window, size) for plane in (reference, other))
    cross = np.conj(a) * b
    strength = np.abs(cross)
    correlation = np.fft.irfft2(cross / np.sqrt(strength + 1e-3 * strength.max() + 1e-20), size)
    for axis, (length, side) in enumerate(zip(size, reference.shape, strict=True)):
        far = np.minimum(np.arange(length), length - np.arange(length)) > side // 3
        correlation[(slice(None),) * axis + (far,)] = -np.inf
    down, across = (int(place) for place in np.unravel_index(int(correlation.argmax()), size))
    return across - size[1] * (across > size[1] // 2), down - size[0] * (down > size[0] // 2)


def registered(
    reference: Plane, other: Plane, box: Box, start: Matrix, *, largest: Model = "homography"
) -> Registration | None:
    """Find a region of the reference in another picture.

    Args:
        reference: `h w`, smoothed.
        other: `h w`, smoothed, of any size.
        box: The region.
        start: About where it lies: to some px.
        largest: The richest map to try.

    Returns:
        Where it lies; None where it leaves the other picture or cannot be followed.
    """
    best: Registration | None = None
    error = math.inf
    side = min(box.size)
    told = max(box.size.pixels / _CORRELATED_PX, 4.0)
    for model, least_px in (("translation", 0), ("affine", _AFFINE_PX), ("homography", _HOMOGRAPHY_PX)):
        found = None if side < least_px else _descended(reference, other, box, start, model)  # type: ignore[arg-type]
        if found is None:
            break
        further = _NUMBERS[found[0].model] - (2 if best is None else _NUMBERS[best.model])
        if best is not None and told * math.log(error / max(found[1], 1e-12)) <= further * math.log(told):
            break
        best, error = found
        start = best.matrix
        if model == largest:
            break
    return best


def _descended(
    reference: Plane, other: Plane, box: Box, start: Matrix, model: Model
) -> tuple[Registration, float] | None:
    """Improve a map step by step; return it with the mean square of what it leaves, light adapted."""
    rows, columns = np.arange(box.top, box.bottom), np.arange(box.left, box.right)
    x, y = np.meshgrid(columns.astype(np.float64), rows.astype(np.float64))
    middle, scale = ((box.left + box.right - 1) / 2, (box.top + box.bottom - 1) / 2), max(box.size) / 2
    u, v = (x - middle[0]) / scale, (y - middle[1]) / scale
    unit = np.array([[1 / scale, 0, -middle[0] / scale], [0, 1 / scale, -middle[1] / scale], [0, 0, 1]])
    seen = reference[box.slices].astype(np.float64)
    down_own, across_own = np.gradient(seen)
    matrix = start.copy()
    for _ in range(_ROUNDS):
        moved, inside = sampled(other[:, :, None], matrix, x, y)
        if inside.mean() < _LEAST_INSIDE:
            return None
        plane = moved[..., 0].astype(np.float64)
        down, across = np.gradient(plane)
        across, down = (across + across_own) / 2, (down + down_own) / 2
        columns_ = [across, down]
        if model != "translation":
            columns_ += [across * u, across * v, down * u, down * v]
        if model == "homography":
            along = across * u + down * v
            columns_ += [along * u, along * v]
        weights = _tukey(plane - seen, inside)
        table = np.stack([*columns_, np.ones_like(seen), seen], axis=-1)[inside]
        heavy = weights[inside][:, None]
        normal = table.T @ (table * heavy) + 1e-9 * np.eye(table.shape[1])
        step = np.linalg.solve(normal, table.T @ ((seen - plane)[inside, None] * heavy))[:, 0]
        change: Matrix = np.linalg.inv(unit) @ _small(step / scale, model) @ unit
        matrix = matrix @ change
        matrix /= matrix[2, 2]
        if not np.isfinite(matrix).all() or np.abs(step[: _NUMBERS[model]]).max() > scale:
            return None
        if np.abs(step[: _NUMBERS[model]]).max() < _ENOUGH_PX:
            break
    moved, inside = sampled(other[:, :, None], matrix, x, y)
    if inside.mean() < _LEAST_INSIDE:
        return None
    a, b = seen[inside], moved[..., 0][inside].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    correlation = float((a * b).sum() / math.sqrt(float((a * a).sum() * (b * b).sum()) + 1e-20))
    error = float((a * a).mean()) * max(1 - correlation**2, 1e-9)
    return Registration(matrix=matrix, correlation=correlation, model=model), error


def _small(step: npt.NDArray[np.floating], model: Model) -> Matrix:
    """Return the map of a step, in the region's own units."""
    matrix = np.eye(3)
    matrix[0, 2], matrix[1, 2] = step[0], step[1]
    if model != "translation":
        matrix[0, 0] += step[2]
        matrix[0, 1], matrix[1, 0] = step[3], step[4]
        matrix[1, 1] += step[5]
    if model == "homography":
        matrix[2, 0], matrix[2, 1] = -step[6], -step[7]
    return matrix


def _tukey(residual: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return weights that leave out what does not fit: something passed in front, or is not of the region."""
    centred = residual - np.median(residual[inside])
    spread = 1.4826 * float(np.median(np.abs(centred[inside]))) + 1e-6
    return np.asarray(np.clip(1 - (centred / (6 * spread)) ** 2, 0, 1) ** 2)


def sampled(
    image: npt.NDArray[np.float32], matrix: Matrix, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return what lies at places of the reference, by Catmull and Rom's cubic.

    Args:
        image: `h w c`.
        matrix: The map.
        x: `…`: places in the reference.
        y: `…`.

    Returns:
        Float32 `… c`, and `…`: whether the place lies in the image. Beyond its border, its edge is continued.
    """
    height, width = image.shape[:2]
    scale = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    across = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / scale
    down = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / scale
    inside = (across >= 0) & (across <= width - 1) & (down >= 0) & (down <= height - 1)
    across, down = np.clip(across, -2, width + 1), np.clip(down, -2, height + 1)
    left, top = np.floor(across).astype(np.intp), np.floor(down).astype(np.intp)
    by_x, by_y = _cubic((across - left).astype(np.float32)), _cubic((down - top).astype(np.float32))
    result = np.zeros((*x.shape, image.shape[2]), np.float32)
    for j in range(4):
        rows = np.clip(top + (j - 1), 0, height - 1)
        row = np.zeros_like(result)
        for i in range(4):
            row += by_x[i][..., None] * image[rows, np.clip(left + (i - 1), 0, width - 1)]
        result += by_y[j][..., None] * row
    return result, inside


def _cubic(share: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
    """Return the weights of the four neighbours of a place between the middle two."""
    s2, s3 = share**2, share**3
    return (
        -0.5 * share + s2 - 0.5 * s3,
        1 - 2.5 * s2 + 1.5 * s3,
        0.5 * share + 2 * s2 - 1.5 * s3,
        -0.5 * s2 + 0.5 * s3,
    )


def grid_of(box: Box, *, scale: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Size]:
    """Return the places `(x, y)` of the px of a region, `scale` times as fine; its corners stay where they are."""
    size = Size(box.size.height * scale, box.size.width * scale)
    down, across = ((np.arange(side) + 0.5) / scale - 0.5 for side in size)
    x, y = np.meshgrid(box.left + across, box.top + down)
    return x, y, size
