"""What is given to be sharpened from Python, where the type checker has not looked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from acutance.errors import ConfigError, InputError
from acutance.imaging.convert import PixelType

Layout = Literal["hwc", "chw", "nhwc", "nchw"]
"""In which order an array has its rows, columns and channels, and whether there are several pictures (n) in it."""


class GivesDLPack(Protocol):
    """What gives itself by DLPack, as torch's tensors do, and those of most libraries."""

    def __dlpack__(self, *, stream: Any = None) -> Any:  # noqa: ANN401 - as the protocol has it
        """Return a capsule of the array."""

    def __dlpack_device__(self) -> Any:  # noqa: ANN401
        """Return where it lies."""


BEYOND = 1e-3
"""Floats so little beyond 0 … 1 come from rounding, and are clipped."""


def array_of(image: object) -> npt.NDArray[Any]:
    """Return the array that an object is or gives of itself (`__array__` or DLPack, as tensors do).

    It is a plain array (of a subclass the values count), in the byte order of the machine; floats lie within 0 … 1.

    Raises:
        InputError: When it is none, or holds numbers that are none, masked places, or floats beyond 0 … 1.
    """
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise InputError("an array with masked places: say what they show, e.g. array.filled(0).")
    array = np.asarray(image) if isinstance(image, np.ndarray) else _given_by(image)
    if not array.dtype.isnative and array.dtype.kind in "uf":
        array = array.astype(array.dtype.newbyteorder("="))
    with np.errstate(over="ignore"):
        is_finite = array.dtype.kind != "f" or bool(np.isfinite(array.astype(np.float32, copy=False)).all())
    if not is_finite:
        raise InputError("an array with NaN or infinity in it: give numbers from 0 to 1, e.g. numpy.nan_to_num(array).")
    if array.dtype.kind == "f" and array.size:
        low, high = float(array.min()), float(array.max())
        if low < -BEYOND or high > 1 + BEYOND:
            raise InputError(
                f"an array of floats from {low:g} to {high:g}: they must lie within 0 … 1; scale them, e.g. "
                "array / 255, or cut them off, numpy.clip(array, 0, 1)."
            )
        if low < 0 or high > 1:
            array = np.clip(array, 0, 1)
    return array


def pictures_in(array: npt.NDArray[Any], layout: Layout) -> list[npt.NDArray[Any]]:
    """Return the pictures of an array, each `h w` or `h w c`.

    Raises:
        ConfigError: When there is no such layout.
        InputError: When the array has not as many axes as it says.
    """
    if layout not in get_args(Layout):
        raise ConfigError(f"layout {layout!r}: unknown; there are {', '.join(get_args(Layout))}.")
    if layout == "hwc":
        return [array]
    if array.ndim != len(layout):
        raise InputError(f"an array of shape {array.shape}: layout {layout} has {len(layout)} axes.")
    pictures = list(array) if layout.startswith("n") else [array]
    if not pictures:
        raise InputError(f"an array of shape {array.shape}: holds no pictures.")
    return [picture.transpose(1, 2, 0) for picture in pictures] if layout.endswith("chw") else pictures


def sharpened_array(
    image: object, layout: Layout, sharpen: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Sharpen each picture of an array; what comes back is like it, and for a tensor of torch's a tensor.

    Raises:
        InputError: See `array_of` and `pictures_in`; ConfigError, too.
    """
    pictures = [sharpen(picture) for picture in pictures_in(array_of(image), layout)]
    like: npt.NDArray[Any] = in_kind_of(image, with_layout(pictures, layout))
    return like


def with_layout(pictures: Sequence[npt.NDArray[Any]], layout: Layout) -> npt.NDArray[Any]:
    """Return pictures as the array that `pictures_in` would take them from."""
    if layout.endswith("chw"):
        pictures = [np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in pictures]
    return np.stack(pictures) if layout.startswith("n") else pictures[0]


def in_kind_of(image: object, array: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - a tensor of a library not imported here
    """Return an array as the picture was: as a tensor of torch's, in the CPU's memory, or in the array's byte order."""
    if isinstance(image, np.ndarray):
        return array.astype(image.dtype, copy=False)
    torch = sys.modules.get("torch")
    return torch.from_numpy(array) if torch is not None and isinstance(image, torch.Tensor) else array


def _given_by(image: object) -> npt.NDArray[Any]:
    kind = type(image).__name__
    try:
        if hasattr(image, "__array__"):
            return np.asarray(image)
        if hasattr(image, "__dlpack__"):
            return np.from_dlpack(image)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:  # a GPU's, one with gradients, bfloat16
        raise InputError(
            f"a picture of type {kind}: gives no array; bring it into the CPU's memory as float32, without gradients, "
            "e.g. tensor.detach().float().cpu()."
        ) from error
    raise InputError(f"a picture of type {kind}: give a path, bytes, a NumPy array or a PIL image.")


def as_picture(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array as it is worked on: `h w c`, c = 1, 3 or 4; uint8, uint16 or float32.

    Args:
        array: `h w` or `h w c`; other floats become float32.

    Raises:
        InputError: When it is of another shape or type, or holds no pixels.
    """
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    picture = array[..., None] if array.ndim == 2 else array
    is_known = picture.dtype in (np.uint8, np.uint16, np.float32)
    if not is_known or picture.ndim != 3 or picture.shape[2] not in (1, 3, 4):
        raise InputError(
            f"an array of shape {array.shape} and type {array.dtype}: must be h w, h w 1, h w 3 or h w 4 of uint8, "
            'uint16 or float; bring channels last, or say where they are, e.g. layout="chw".'
        )
    if 0 in array.shape:
        raise InputError(f"an array of shape {array.shape}: holds no pixels.")
    return picture


def opaque_picture(pixels: npt.NDArray[PixelType]) -> npt.NDArray[PixelType]:
    """Return an array that is a picture as it stands: `h w 1` or `h w 3`; uint8, uint16 or float32.

    Raises:
        InputError: When it is another one, or none; see `array_of`.
    """
    array = array_of(pixels)
    picture: npt.NDArray[PixelType] = as_picture(array)
    if picture.ndim != array.ndim or picture.shape[2] == 4 or picture.dtype != array.dtype:
        raise InputError(
            f"an array of shape {array.shape} and type {array.dtype}: must be h w 1 or h w 3 of uint8, uint16 or "
            "float32 here; call the sharpener itself, which takes others, too."
        )
    return picture
