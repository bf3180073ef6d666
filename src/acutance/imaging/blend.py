"""How strongly a result is applied."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def blend(
    degraded: npt.NDArray[np.float32], restored: npt.NDArray[np.float32], strength: float
) -> npt.NDArray[np.float32]:
    """Return `degraded + strength · (restored − degraded)`.

    Args:
        degraded: float32 of any shape, [0, 1].
        restored: float32 of the same shape, about [0, 1].
        strength: 0 gives `degraded` and 1 gives `restored`, bit for bit and not copied; above 1 exaggerates.

    Returns:
        float32 of the same shape; not clipped, since `to_uint8` does that.
    """
    if strength == 0:
        return degraded
    if strength == 1:
        return restored
    difference = restored - degraded
    difference *= np.float32(strength)
    difference += degraded
    return difference
