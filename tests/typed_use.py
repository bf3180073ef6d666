"""A user's program, which mypy checks with the sources: what goes in comes out, by its type, too.

Nothing here runs; a line that no longer passes is a broken promise of the public names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import acutance
from acutance import Inspection, ModelSpec, Region, Sharpener, ToldBlur


def opened_once(array: npt.NDArray[np.uint8], photo: Image.Image, tensor: torch.Tensor) -> ModelSpec:
    with Sharpener("fast", threads=1, region=Region(x=1, y=2, width=20, height=20)) as sharpener:
        _path: Path = sharpener("photo.jpg", output="sharp.jpg", overwrite=True)
        _bytes: bytes = sharpener(b"") + sharpener(bytearray()) + sharpener(memoryview(b""))
        _array: npt.NDArray[np.uint8] = sharpener(array, strength=0.5)
        _batch: npt.NDArray[np.float32] = sharpener(np.zeros((1, 3, 8, 8), np.float32), layout="nchw")
        _photo: Image.Image = sharpener(photo)
        _tensor: torch.Tensor = sharpener(tensor, layout="chw")
        return sharpener.spec


def once(array: npt.NDArray[np.uint16], tensor: torch.Tensor) -> int:
    told = ToldBlur.motion(9, degrees=30)
    _path: Path = acutance.sharpen(Path("photo.jpg"), output="sharp.jpg", told=told)
    _array: npt.NDArray[np.uint16] = acutance.sharpen(array, model="fast", fidelity=0.5)
    _tensor: torch.Tensor = acutance.sharpen(tensor)
    _bytes: bytes = acutance.sharpen(memoryview(b""))
    seen: Inspection = acutance.inspect(tensor, threads=1)
    guesses = acutance.map_of_guesses(array, _array)
    told_again = acutance.consistency(tensor, _tensor, psf=told.psf)
    told_of: tuple[str | None, float, float, bool] = (
        seen.kind,
        guesses.share,
        told_again.uncarried,
        acutance.verify("sharp.jpg").is_true,
    )
    return len(told_of)


def exit_code(error: acutance.AcutanceError) -> int:
    return error.exit_code
