"""A picture and its result in memory, brought to one form so that they can be compared."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from PIL import Image

from acutance.errors import InputError
from acutance.imaging.convert import to_float, to_type
from acutance.inference.arrays import GivesDLPack, array_of, as_picture
from acutance.media import from_pil

Comparable = npt.NDArray[Any] | Image.Image | GivesDLPack
"""An array or a tensor as `Sharpener` takes it, or a PIL image."""


def compared(before: Comparable, after: Comparable, *, needed_by: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the colours of a picture and of its result.

    Transparency is left out. Where the picture is fully transparent it is given the result's colours: what it had there
    means nothing.

    Args:
        before: `h w`, `h w 1`, `h w 3` or `h w 4`; uint8, uint16 or float in [0, 1].
        after: Of the same shape.
        needed_by: What is asked of them, for the message.

    Returns:
        Each `h w 1` or `h w 3`; uint8, uint16 or float32.

    Raises:
        InputError: When one is no picture, or the two differ in shape.
    """
    (seen, alpha), (result, _) = (_colours(picture) for picture in (before, after))
    if seen.shape != result.shape:
        raise InputError(
            f"the picture has {_size(seen)} and the result {_size(result)}; {needed_by} needs the same size and "
            "colours."
        )
    if alpha is not None and (hidden := alpha == 0).any():
        seen = seen.copy()
        seen[hidden] = to_type(to_float(result[hidden]), seen.dtype.type)
    return seen, result


def _colours(picture: Comparable) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    if isinstance(picture, Image.Image):
        photo = from_pil(picture)
        return photo.pixels, photo.alpha
    array = as_picture(array_of(picture))
    return (array[..., :3], array[..., 3]) if array.shape[2] == 4 else (array, None)


def _size(pixels: npt.NDArray[Any]) -> str:
    height, width, channels = pixels.shape
    return f"{width}×{height} px in {'grey' if channels == 1 else 'colour'}"
