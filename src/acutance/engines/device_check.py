"""Whether a device gives the pixels that the CPU gives, within what rounding explains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acutance.geometry import ceil_to_multiple
from acutance.spec import ModelSpec

if TYPE_CHECKING:
    from acutance.engines.engine import Engine

ALLOWED_DIFFERENCE = 0.5 / 255
"""In units of [0, 1]: half a level of an 8-bit picture. float32 is off by 1e-6, TF32 and float16 by up to a third of a
level; a device that computes something else is off by far more."""

SIDES_PX = (48, 80)
"""Height and width of the picture that devices are checked with; not alike, so that neither can stand for the other."""

CORNER_PX = 32
"""Side of the part that a tile of a new size is checked by."""


def picture_of_noise(spec: ModelSpec, sides_px: tuple[int, int] = SIDES_PX) -> npt.NDArray[np.float32]:
    """Return a batch of one picture of noise for a model, `1 c h w` in [0, 1], the same every time."""
    height, width = (ceil_to_multiple(side, spec.size_multiple) for side in sides_px)
    if spec.fixed_height_px:
        height, width = spec.fixed_height_px, spec.fixed_width_px
    return np.random.default_rng(0).random((1, 3 * (1 + spec.guides), height, width), dtype=np.float32)


def worst_difference(engine: Engine, reference: Engine, batch: npt.NDArray[np.float32]) -> float:
    """Return how far an engine's output is from another's at its worst value; infinity where it is not a number.

    Raises:
        EngineError: When one of them fails.
    """
    return difference(engine.run(batch), reference.run(batch))


def corner_difference(restored: npt.NDArray[np.float32], reference: Engine, batch: npt.NDArray[np.float32]) -> float:
    """Return how far what came of a batch is from what the reference gives for the last corner of its last picture.

    A device may fail at large tiles alone, and silently: a buffer too large, an index that overflows. The far corner
    is where that shows. The reference runs on the corner and its context only, a few per cent of the batch's work; on
    the whole picture where the network looks at all of it (`ModelSpec.feather_px`).

    Raises:
        EngineError: When the reference fails.
    """
    spec = reference.spec
    side = ceil_to_multiple(CORNER_PX, spec.size_multiple)
    taken = side + ceil_to_multiple(spec.halo_px, spec.size_multiple)
    start = 0 if spec.feather_px else -taken
    expected = reference.run(np.ascontiguousarray(batch[-1:, :, start:, start:]))
    corner = side * spec.scale
    return difference(restored[-1:, :, -corner:, -corner:], expected[:, :, -corner:, -corner:])


def is_finite(restored: npt.NDArray[np.float32]) -> bool:
    """Say whether all of a batch is numbers."""
    return math.isfinite(float(restored.sum()))  # see `check_finite`


def difference(restored: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Return the largest difference of two batches; infinity where one has not all numbers, or another shape."""
    if restored.shape != expected.shape or not is_finite(restored):
        return math.inf
    return float(np.abs(restored - expected).max(initial=0.0))


def complaint(worst: float) -> str:
    """Say what is wrong with a device that is so far off."""
    if math.isinf(worst):
        return "gave values that are no numbers"
    return f"gave wrong pixels, {255 * worst:.3g} levels of 255 off"
