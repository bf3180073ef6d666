"""Planes of a picture as one period of the plane, in float32: what the FFT needs, made so that no seam rings."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from acutance.geometry import Size
from acutance.imaging.kernels import fast_length, optical_transfer

Plane = npt.NDArray[np.float32]
"""`h w`: grey or one channel, in [0, 1], in the file's own gamma space."""

Planes = npt.NDArray[np.float32]
"""`h w` or `c h w`: one plane or several."""

Spectrum = npt.NDArray[np.complex64]
"""`h w//2+1`: a plane's FFT."""

Psf = npt.NDArray[np.float64]
"""`k k`, k odd, not negative, of unit sum; its origin is the middle, as in `acutance.imaging.kernels`."""


def spectrum_of(plane: Plane) -> Spectrum:
    """Return the FFT of a real plane `h w`."""
    # NumPy 2 computes in float32 only where it has to scale (the factor's type decides): so it is made to, and undone.
    spectrum = np.fft.rfft2(plane, norm="forward").astype(np.complex64, copy=False)
    spectrum *= np.float32(plane.shape[-2] * plane.shape[-1])
    return spectrum


def plane_of(spectrum: Spectrum, shape: tuple[int, int]) -> Plane:
    """Return the real plane `h w` of an FFT."""
    return np.fft.irfft2(spectrum, s=shape).astype(np.float32, copy=False)


def transfer_of(psf: Psf, shape: tuple[int, int], origin: tuple[float, float] = (0.0, 0.0)) -> Spectrum:
    """Return a psf's transfer function on a period `h w`; its origin is `(y, x)` px from its middle."""
    transfer = optical_transfer(psf, Size(*shape))
    if any(origin):
        y = np.exp(2j * np.pi * origin[0] * np.fft.fftfreq(shape[0]))
        x = np.exp(2j * np.pi * origin[1] * np.fft.rfftfreq(shape[1]))
        for phase, length in ((y, shape[0]), (x, shape[1])):
            if length % 2 == 0:
                phase[length // 2] = phase[length // 2].real  # half of it to either side: the plane stays real
        transfer *= y[:, None] * x[None, :]
    return transfer.astype(np.complex64)


def differences(plane: Plane) -> tuple[Plane, Plane]:
    """Return the differences to the right and to the lower neighbour, on a period."""
    right, down = np.empty_like(plane), np.empty_like(plane)
    np.subtract(plane[:, 1:], plane[:, :-1], out=right[:, :-1])
    np.subtract(plane[:, 0], plane[:, -1], out=right[:, -1])
    np.subtract(plane[1:], plane[:-1], out=down[:-1])
    np.subtract(plane[0], plane[-1], out=down[-1])
    return right, down


def differences_adjoint(right: Plane, down: Plane) -> Plane:
    """Return the adjoint of `differences`, applied to two planes."""
    both = np.empty_like(right)
    np.subtract(right[:, :-1], right[:, 1:], out=both[:, 1:])
    np.subtract(right[:, -1], right[:, 0], out=both[:, 0])
    both -= down
    both[1:] += down[:-1]
    both[0] += down[-1]
    return both


def difference_power(shape: tuple[int, int]) -> Plane:
    """Return |D|² of `differences`, both together, on a period `h w`: `h w//2+1`."""
    y = 2 - 2 * np.cos(2 * np.pi * np.arange(shape[0]) / shape[0])
    x = 2 - 2 * np.cos(2 * np.pi * np.arange(shape[1] // 2 + 1) / shape[1])
    return np.asarray(y[:, None] + x[None, :], dtype=np.float32)


def inner_differences(plane: Plane, shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Return a plane's differences inside itself, in the upper left corner of a larger period `h w`, else 0."""
    height, width = plane.shape
    both = []
    for axis in (1, 0):
        wide = np.zeros(shape, np.float32)
        wide[: height - 1, : width - 1] = np.diff(plane, axis=axis)[: height - 1, : width - 1]
        both.append(wide)
    return both[0], both[1]


def continued_shape(shape: tuple[int, int], margin: int) -> tuple[int, int]:
    """Return the shape `H W` of what `continued` makes of a plane `h w`."""
    height, width = (min(fast_length(length + margin), 2 * length - 1) for length in shape)
    return height, width


def continued(plane: Plane, margin: int) -> Plane:
    """Continue a plane below and to the right so that it is smooth as a period: its two mirror images, cross-faded.

    Args:
        plane: `h w`.
        margin: What is added at least, in px, unless the plane is too small to be mirrored that far.

    Returns:
        `H W`, of lengths that the FFT likes; the plane is its upper left corner.
    """
    shape = continued_shape((plane.shape[0], plane.shape[1]), margin)
    for axis in (0, 1):
        extra = shape[axis] - plane.shape[axis]
        if not extra:
            continue
        moved = np.moveaxis(plane, axis, 0)
        after = moved[-2 : -2 - extra : -1]
        before = moved[1 : 1 + extra][::-1]
        share = ((np.arange(extra, dtype=np.float32) + 1) / (extra + 1))[:, None]
        share = share * share * (3 - 2 * share)
        moved = np.concatenate([moved, (1 - share) * after + share * before])
        plane = np.ascontiguousarray(np.moveaxis(moved, 0, axis), dtype=np.float32)
    return plane


def sparseness(plane: Plane) -> float:
    """Return L2 over L1 of a plane's gradients: 1 where all are alike, so for a plane of one colour, too."""
    steps = np.concatenate([np.diff(plane, axis=1).ravel(), np.diff(plane, axis=0).ravel()]).astype(np.float64)
    size = float(np.abs(steps).mean())
    return math.sqrt(float((steps**2).mean())) / size if size else 1.0
