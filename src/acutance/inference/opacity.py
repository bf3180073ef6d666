"""Whether a picture's transparency was blurred with it: a photo that was cut out has edges that blur never left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Psf
from acutance.geometry import Box
from acutance.inference.found_blur import PATCH_PX, Found, FoundBlur, FoundMotion
from acutance.inference.told import ToldBlur

_STEP: Final = 4 / 255
"""Smaller steps tell nothing: rounding and lossy files make them."""
_SLACK: Final = 1.25
"""So many times what a kernel leaves of a step it may be: a kernel is not exact."""
_STRAY: Final = 0.01


def is_blurred_by(opacity: npt.NDArray[np.float32], blur: Found | ToldBlur) -> bool:
    """Whether transparency has no steps that are steeper than the blur of its picture leaves any.

    A kernel k leaves of all that lies within 0 … 1 steps of at most ½ Σ |k(x + 1) − k(x)|: of motion of 12 px along
    them, a twelfth.

    Args:
        opacity: `h w` in [0, 1].
        blur: What is to be undone.
    """
    steep = steps = 0
    for box, psf in _kernels(opacity, blur):
        part = opacity[box.slices]
        for axis in (0, 1):
            step = np.abs(np.diff(part, axis=axis))
            steps += int((step > _STEP).sum())
            steep += int((step > _STEP + _SLACK * _steepest(psf, axis)).sum())
    return steep <= _STRAY * steps


def _steepest(psf: Psf, axis: int) -> float:
    """Return the largest step that a kernel leaves along an axis."""
    return 0.5 * float(np.abs(np.diff(np.pad(psf, 1), axis=axis)).sum())


def _kernels(opacity: npt.NDArray[np.float32], blur: Found | ToldBlur) -> Iterator[tuple[Box, Psf]]:
    """Give parts of a picture that do not overlap, and what blurred each."""
    whole = Box(0, 0, *opacity.shape)
    if isinstance(blur, ToldBlur):
        yield whole, blur.psf
    elif isinstance(blur, FoundBlur):
        yield whole, blur.kernel.psf
    elif isinstance(blur, FoundMotion):
        for y in range(0, whole.bottom, PATCH_PX):
            for x in range(0, whole.right, PATCH_PX):
                psf = blur.kernel_at(y + PATCH_PX / 2, x + PATCH_PX / 2)
                if psf is not None:
                    yield Box(y, x, y + PATCH_PX, x + PATCH_PX).within(whole), psf
    else:
        for box, path in blur.parts:
            yield box.shifted(-blur.top, -blur.left).within(whole), path.psf
