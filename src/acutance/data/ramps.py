"""Pictures of smooth ramps and radial skies, in the 8 bits of a screen: steps of one level, and nothing else.

A sharpener must leave them alone: the step from one level to the next is no edge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.geometry import Size

SPAN_LEVELS = (4.0, 200.0)
"""From the darkest to the lightest value of a channel, drawn evenly in its logarithm."""


def ramp_picture(size: Size, index: int) -> npt.NDArray[np.uint8]:
    """Draw a straight ramp for an even index, a radial sky for an odd one.

    Args:
        size: Of the picture.
        index: The seed: of direction or centre, and of each channel's span, place and sense.

    Returns:
        `h w 3` uint8, rounded without dither.
    """
    random = np.random.default_rng(index)
    y, x = (np.arange(length) / max(length - 1, 1) - 0.5 for length in size)
    first, second = random.random(2)
    if index % 2:
        distance = np.hypot(y[:, None] - (first - 0.5), x[None, :] - (second - 0.5))
    else:
        distance = y[:, None] * np.sin(2 * np.pi * first) + x[None, :] * np.cos(2 * np.pi * first)
    share = (distance - distance.min()) / max(float(np.ptp(distance)), 1e-9)
    least, most = SPAN_LEVELS
    span = least * (most / least) ** random.random(3)
    low = random.random(3) * (255 - span)
    falls = random.random(3) < 0.5
    levels: npt.NDArray[np.float64] = low + span * np.where(falls, 1 - share[:, :, None], share[:, :, None])
    return np.rint(levels).astype(np.uint8)
