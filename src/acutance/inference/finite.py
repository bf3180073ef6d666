"""Whether what a network gave is all numbers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from acutance.errors import NonFiniteOutput
from acutance.geometry import Box
from acutance.spec import ModelSpec


def check_finite(restored: npt.NDArray[np.float32], spec: ModelSpec, place: Box) -> None:
    """Refuse what a network gave for a tile when not all of it is a number.

    Raises:
        NonFiniteOutput: Naming the model and the place.
    """
    # One NaN or infinity makes the sum so, too; a finite sum in float32 cannot overflow for values near [0, 1].
    if not math.isfinite(float(restored.sum())):
        raise NonFiniteOutput(
            f"model {spec.name}: gave NaN or infinity at rows {place.top}–{place.bottom}, columns "
            f"{place.left}–{place.right}; nothing was written. Try another engine and report it."
        )
