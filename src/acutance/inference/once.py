"""`sharpen`: one picture in, a sharper picture of the same kind out, by a model that is opened for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

import numpy.typing as npt
from PIL import Image

from acutance.inference.sharpener import Kind, Sharpener
from acutance.inference.told import Region, ToldBlur, model_for
from acutance.zoo.catalogue import AUTO


@overload
def sharpen(
    image: str | Path,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Path: ...


@overload
def sharpen(
    image: Kind,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
) -> Kind: ...


def sharpen(
    image: str | Path | bytes | npt.NDArray[Any] | Image.Image,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Path | bytes | npt.NDArray[Any] | Image.Image:
    """Sharpen one picture; see `Sharpener.__call__`. For several, open a `Sharpener` once: loading is saved.

    What blurred the picture (`told`) is undone by the model `motion`, unless another model is named; see `ToldBlur`.

    Examples:
        >>> import numpy as np
        >>> sharpen(np.zeros((32, 48, 3), np.uint8)).dtype
        dtype('uint8')
    """
    with Sharpener(model_for(told, model), fidelity=fidelity, told=told, region=region) as sharpener:
        if isinstance(image, (str, Path)):
            return sharpener(image, strength=strength, output=output, overwrite=overwrite)
        return sharpener(image, strength=strength)
