"""Fourier transforms as products with matrices of real numbers, which ONNX can hold.

Networks that multiply spectra of patches (FFTformer) call `torch.fft.rfft2` and `irfft2`, whose complex numbers torch's
exporter does not know. While such a network is traced, products with cosines and sines of the patch's size take their
place. A patch of 8×8 px is faster so than by a fast transform.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@contextmanager
def real_spectra() -> Iterator[None]:
    """Let `torch.fft.rfft2` and `irfft2` compute without complex numbers, for as long as the block runs.

    It holds for the whole process; other threads that transform meanwhile would get a `Spectrum`.
    """
    kept = torch.fft.rfft2, torch.fft.irfft2
    torch.fft.rfft2, torch.fft.irfft2 = _rfft2, _irfft2
    try:
        yield
    finally:
        torch.fft.rfft2, torch.fft.irfft2 = kept


@dataclass(frozen=True, slots=True)
class Spectrum:
    """What `rfft2` gives: `… m n//2+1`, in two parts."""

    real: Tensor
    imag: Tensor

    def __mul__(self, other: Spectrum | Tensor) -> Spectrum:
        if isinstance(other, Tensor):
            return Spectrum(self.real * other, self.imag * other)
        return Spectrum(
            self.real * other.real - self.imag * other.imag, self.real * other.imag + self.imag * other.real
        )

    def __add__(self, other: Spectrum) -> Spectrum:
        return Spectrum(self.real + other.real, self.imag + other.imag)


def _rfft2(picture: Tensor) -> Spectrum:
    """Transform `… m n`; of the last axis, the frequencies that are not negative."""
    height, width = int(picture.shape[-2]), int(picture.shape[-1])
    cosines, sines = _waves(width, picture)
    count = width // 2 + 1
    real, imag = picture @ cosines[:, :count], -(picture @ sines[:, :count])
    cosines, sines = _waves(height, picture)
    return Spectrum(cosines @ real + sines @ imag, cosines @ imag - sines @ real)


def _irfft2(spectrum: Spectrum, s: tuple[int, int]) -> Tensor:
    """Transform back to `… m n`, whose sizes are `s`."""
    height, width = s
    cosines, sines = _waves(height, spectrum.real)
    real = cosines @ spectrum.real - sines @ spectrum.imag
    imag = cosines @ spectrum.imag + sines @ spectrum.real
    cosines, sines = _waves(width, spectrum.real)
    # The frequencies that are left out are the mirror images of those that have one.
    times = torch.full((width // 2 + 1, 1), 2.0).to(real)
    times[0] = 1
    if width % 2 == 0:
        times[-1] = 1
    cosines, sines = (waves[: len(times)] * times for waves in (cosines, sines))
    return (real @ cosines - imag @ sines) / (height * width)


def _waves(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines of all products of two indices, of the type of `like`."""
    numbers = torch.arange(size, dtype=torch.float64)
    angles = 2 * math.pi / size * (torch.outer(numbers, numbers) % size)
    return angles.cos().to(like), angles.sin().to(like)
