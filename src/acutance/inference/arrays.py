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


def as_picture(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array as it is worked on: `h w c`, c = 1, 3 or 4; uint8, uint16 or float32.

    Args:
        array: `h w` or `h w c`; other floats become float32.

    Raises:
        InputError: When it is of another shape or type, or holds no pixels.
    """
    if array.dtype in (np.float64, np.float16):
        array = array.astype(np.float32)
    picture = array[..., None] if array.ndim == 2 else array
    is_known = picture.dtype in (np.uint8, np.uint16, np.float32)
    if not is_known or picture.ndim != 3 or picture.shape[2] not in (1, 3, 4):
        raise InputError(
            f"an array of shape {array.shape} and type {array.dtype}: must be h w, h w 1, h w 3 or h w 4 of uint8, "
            "uint16 or float; bring channels last, e.g. array.transpose(1, 2, 0)."
        )
    if 0 in array.shape:
        raise InputError(f"an array of shape {array.shape}: holds no pixels.")
    return picture
