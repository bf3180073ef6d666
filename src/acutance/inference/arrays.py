"""What is given to be sharpened from Python, where the type checker has not looked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from acutance.errors import InputError


def array_of(image: object) -> npt.NDArray[Any]:
    """Return the array that an object is or gives of itself (`__array__`, as tensors do).

    Raises:
        InputError: When it is none, or holds numbers that are none.
    """
    if not isinstance(image, np.ndarray) and not hasattr(image, "__array__"):
        kind = type(image).__name__
        raise InputError(f"a picture of type {kind}: give a path, bytes, a NumPy array or a PIL image.")
    array = np.asarray(image)
    with np.errstate(over="ignore"):
        is_finite = array.dtype.kind != "f" or bool(np.isfinite(array.astype(np.float32, copy=False)).all())
    if not is_finite:
        raise InputError("an array with NaN or infinity in it: give numbers from 0 to 1, e.g. numpy.nan_to_num(array).")
    return array
