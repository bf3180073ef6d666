"""Whether anything in a picture can tell how blurred it is: one colour cannot, nor can a smooth ramp."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

SMALLEST_STEP: Final = 2.5 / 255
"""Of the steps between neighbours a thousandth is larger, or there is nothing to tell blur by: ramps in 8 bits have
steps of one level, which the estimator takes for anything."""
_SMALLEST_UNEVENNESS: Final = 0.45
"""Of the steps less those of a ramp a thousandth is larger than this share of the steps, or there is nothing to tell
blur by either: 0 … 0.4 for ramps of more than 26 px, at whose ends a pixel may have half a step; 0.7 and more for
photos, blurred by up to σ = 6 px or 26 px of motion or not."""
_BEYOND_BLUR_PX: Final = (13, 11)
"""Half the longest motion that is told, and a little less."""
_SMALLEST_STEP_16: Final = 0.02
"""The same in more bits, as a share of the picture's range."""


def has_no_edges(greys: list[npt.NDArray[np.float32]], *, is_fine: bool) -> bool:
    """Whether parts of a picture are one colour or smooth ramps, which look alike, blurred and sharp.

    Args:
        greys: `h w` each, in [0, 1].
        is_fine: Whether they have more than 8 bits: then small steps tell, too.
    """
    steps = [(np.diff(grey, axis=axis), axis) for grey in greys for axis in (0, 1)]
    step = max((_largest(along) for along, _ in steps), default=0.0)
    span = max((float(grey.max()) for grey in greys), default=0) - min((float(grey.min()) for grey in greys), default=0)
    least = min(_SMALLEST_STEP_16 * span, SMALLEST_STEP) if is_fine else SMALLEST_STEP
    if step < least or step == 0:
        return True
    return max(_largest(_unevenness(along, axis)) for along, axis in steps) < _SMALLEST_UNEVENNESS * step


def _largest(values: npt.NDArray[np.float32]) -> float:
    """Return what a thousandth of some values is beyond, up or down."""
    return float(np.quantile(np.abs(values), 0.999)) if values.size else 0.0


def _unevenness(steps: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """Return by how much steps along an axis differ from those some px before and behind: from the more alike of both.

    Blur that can be undone is over after so many px, so every edge has steps unlike those on either side of it. Those
    of a ramp that is longer go on as they are on one side at least. Two distances, since a pattern may repeat itself.
    """
    steps = np.moveaxis(steps, axis, 0)
    if len(steps) <= 2 * max(_BEYOND_BLUR_PX):
        return steps
    middle = slice(max(_BEYOND_BLUR_PX), len(steps) - max(_BEYOND_BLUR_PX))

    def unlike(far: int) -> npt.NDArray[np.float32]:
        apart: npt.NDArray[np.float32] = np.abs(steps[middle] - steps[middle.start + far : middle.stop + far])
        return apart

    one, other = _BEYOND_BLUR_PX
    uneven: npt.NDArray[np.float32] = np.maximum(
        np.minimum(unlike(-one), unlike(one)), np.minimum(unlike(-other), unlike(other))
    )
    return uneven
