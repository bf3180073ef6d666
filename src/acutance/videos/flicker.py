"""Flicker: how much it is, and a way to calm it.

A network looks at one frame at a time, so noise may make it invent other details in every frame. What was changed in
the previous frame, carried over where nothing moves, calms that; what the camera recorded is never averaged over time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.videos.colour import Residual, Rgb

_STEP = 2
"""Every second row and column stand for all in the measure: a quarter of the work for the same mean."""

_STILL_LEVELS = 2.0
"""Of 255: where the surroundings change by less than this between two frames, nothing moves."""

_LEAST_STILL = 0.01
"""Two frames of which less than this share is still say nothing."""

_MOTION_LEVELS = 8.0
"""Of 255: where the surroundings change by more than this between two frames, something moves."""


def _grey(pixels: Rgb, step: int = 1) -> npt.NDArray[np.float32]:
    """Return the middle channel (green, or grey) in levels of 255, as a new array."""
    levels = pixels[::step, ::step, pixels.shape[2] // 2].astype(np.float32)
    if pixels.dtype != np.uint8:
        levels *= np.float32(255 / 65535)
    return levels


class FlickerMeter:
    """Measures by how much more the restored frames change from one to the next than the input's, where all is still.

    Where something moves, sharper edges change more from frame to frame, and should.
    """

    def __init__(self) -> None:
        self._last: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None
        self._sum = 0.0
        self._count = 0

    def add(self, before: Rgb, residual: Residual) -> None:
        """Take the next frame: the input, and what is added to it."""
        grey = _grey(before, _STEP)
        restored = grey.copy()
        if residual:
            scale = np.float32(1.0 if before.dtype == np.uint8 else 255 / 65535)
            restored += residual[len(residual) // 2][::_STEP, ::_STEP] * scale
        if self._last is not None and self._last[0].shape == grey.shape:
            change, restored_change = (now - last for now, last in zip((grey, restored), self._last, strict=True))
            is_still = np.abs(_mean_of_neighbours(change)) < _STILL_LEVELS
            if np.count_nonzero(is_still) >= _LEAST_STILL * is_still.size:
                more = np.abs(restored_change) - np.abs(change)
                self._sum += float(more[is_still].mean())
                self._count += 1
        self._last = grey, restored

    @property
    def sums(self) -> tuple[float, int]:
        """Sum of the differences so far, and how many they are."""
        return self._sum, self._count

    @property
    def flicker(self) -> float | None:
        """Mean absolute change between successive restored frames, less that of the input, in levels of 255.

        Over what is still in both. About 0 is as steady as the input. None when there were no two frames with anything
        still in them.
        """
        return mean_of(self._sum, self._count)


def mean_of(total: float, count: int) -> float | None:
    """Return the mean of measures that were summed; None of none."""
    return total / count if count else None


class ResidualSmoother:
    """Carries over what was changed in the previous frame, where nothing moves."""

    def __init__(self, amount: float) -> None:
        """Begin a video.

        Args:
            amount: 0 … 0.95: the weight of the past where all is still; 0 changes nothing.
        """
        self._amount = np.float32(amount)
        self._last: tuple[npt.NDArray[np.float32], Residual] | None = None

    def smooth(self, before: Rgb, residual: Residual) -> Residual:
        """Return the change of the next frame, calmed; the frames must come in their order.

        Args:
            before: The input frame.
            residual: What the network changed in it.
        """
        if not self._amount or not residual:
            return residual
        grey = _grey(before)
        if self._last is not None and self._last[0].shape == grey.shape:
            last_grey, last_residual = self._last
            motion = np.abs(_mean_of_neighbours(grey - last_grey))
            weight = self._amount * np.clip(1.0 - motion / np.float32(_MOTION_LEVELS), 0.0, 1.0)
            residual = [now + weight * (last - now) for now, last in zip(residual, last_residual, strict=True)]
        self._last = grey, residual
        return residual


def _mean_of_neighbours(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean of 3 × 3 values around each: noise is not motion."""
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    mean: npt.NDArray[np.float32] = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) * np.float32(1 / 9)
    return mean
