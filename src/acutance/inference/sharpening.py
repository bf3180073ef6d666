"""`sharpen`: one picture in, a sharper one of the same kind out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

import numpy.typing as npt
from PIL import Image

from acutance.inference.sharpener import Kind, Sharpener
from acutance.zoo.catalogue import AUTO


@overload
def sharpen(
    image: str | Path,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Path: ...


@overload
def sharpen(image: Kind, *, model: str | Path = AUTO, strength: float = 1.0, fidelity: float = 1.0) -> Kind: ...


def sharpen(
    image: str | Path | bytes | npt.NDArray[Any] | Image.Image,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Path | bytes | npt.NDArray[Any] | Image.Image:
    """Sharpen one picture; see `Sharpener.__call__`. For several, open a `Sharpener` once: loading is saved.

    Example:
        >>> import numpy as np
        >>> sharpen(np.zeros((32, 48, 3), np.uint8)).dtype
        dtype('uint8')
    """
    with Sharpener(model, fidelity=fidelity) as sharpener:
        if isinstance(image, (str, Path)):
            return sharpener(image, strength=strength, output=output, overwrite=overwrite)
        return sharpener(image, strength=strength)
