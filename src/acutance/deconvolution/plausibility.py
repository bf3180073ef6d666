"""Whether a deconvolved picture can be right, by place: where something else blurred the picture, it rings.

Deconvolution steepens edges: of an edge by itself the total variation stays, of texture it grows two- to fourfold. A
kernel that is not the place's own leaves ripples, out to its length from every edge, where the blurred picture was
smooth; there the total variation grows by more than a sharp picture has. Measured on photos of bsd100 with motion of 8
and 16 px, straight and curved, the truth grows by 1.8 times the usual at most in 97 % of the places.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Plane

WINDOW_PX: Final = 25
"""Side of the places."""
_BELIEVED, _REFUSED = 1.4, 2.0
"""Growth of the total variation, in the usual one, up to which a place is believed, and from which it is not. Of a
photo of people who walk before a shaken camera (GoPro), the result is 1 dB better so than believed everywhere."""
FLOOR: Final = 0.5 / 255
"""Added to the mean step of the blurred picture: rounding and noise are no sign of ringing."""


def mean_step(plane: Plane) -> float:
    """Return the mean of the absolute differences to the right and to the lower neighbour, added."""
    return float(_steps(plane).mean(dtype=np.float64))


def believed(seen: Plane, restored: Plane, usual: float) -> npt.NDArray[np.float32]:
    """Return how far each place of a deconvolved picture is to be believed: 1 wholly, 0 not at all.

    Args:
        seen: `h w` in [0, 1], the blurred picture, grey.
        restored: The same, deconvolved.
        usual: The growth that its kernel brings where it is right.
    """
    growth = mean_around(_steps(restored)) / (usual * (mean_around(_steps(seen)) + np.float32(FLOOR)))
    share = np.clip((_REFUSED - growth) / (_REFUSED - _BELIEVED), 0, 1)
    return np.asarray(mean_around(share, WINDOW_PX // 2), dtype=np.float32)


def _steps(plane: Plane) -> npt.NDArray[np.float32]:
    """Return the absolute differences to the right and to the lower neighbour, added."""
    steps = np.zeros(plane.shape, np.float32)
    steps[:, :-1] += np.abs(np.diff(plane, axis=1))
    steps[:-1] += np.abs(np.diff(plane, axis=0))
    return steps


def mean_around(plane: npt.NDArray[np.floating], side: int = WINDOW_PX) -> npt.NDArray[np.float64]:
    """Return the mean over a square around each pixel; at the border, over the part of it that lies inside."""
    sums = plane.astype(np.float64)
    for axis in (0, 1):
        length = plane.shape[axis]
        total = np.concatenate([np.zeros_like(sums.take([0], axis)), sums.cumsum(axis)], axis)
        place = np.arange(length)
        first, last = np.maximum(place - side // 2, 0), np.minimum(place + side // 2 + 1, length)
        counts = (last - first).reshape(-1, 1) if axis == 0 else last - first
        sums = (total.take(last, axis) - total.take(first, axis)) / counts
    return sums
