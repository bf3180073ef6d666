"""Blur kernels that were measured elsewhere, from a NumPy file, as a batch to draw from."""

from __future__ import annotations

import math
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from acutance.errors import ConfigError, first_line


@lru_cache(maxsize=8)  # a file is read once, not at every step
def kernel_bank(file: Path, radius_px: int) -> Float[Tensor, "k s s"]:
    """Read kernels, lay the origin of each, the element `(kh // 2, kw // 2)`, in the middle, and let each sum to one.

    Args:
        file: An `.npz` file; its 2-D arrays are the kernels, those of more than `2 · radius_px + 1` px are left out.
        radius_px: Of the kernels that come back.

    Raises:
        ConfigError: When the file cannot be read or holds no such kernel.
    """
    try:
        # Opened here: of a damaged file NumPy would leave its own open.
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as archive:
            arrays = [np.asarray(archive[name]) for name in archive.files]
    except (OSError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(
            f"measured.file = {file}: cannot be read as an .npz of kernels ({first_line(error)})."
        ) from error
    side = 2 * radius_px + 1
    kernels = (array for array in arrays if array.ndim == 2 and array.size and array.dtype.kind in "fiu")
    fitting = [kernel for kernel in kernels if max(kernel.shape) <= side]
    if not fitting:
        raise ConfigError(f"measured.file = {file}: holds no 2-D kernel of at most {side} px; raise radius_px.")
    bank = torch.zeros(len(fitting), side, side)
    for index, array in enumerate(fitting):
        top, left = (side - array.shape[0]) // 2, (side - array.shape[1]) // 2
        values = torch.from_numpy(np.asarray(array, dtype=np.float32))
        if not (values.min() >= 0 and 0 < values.sum() < math.inf):
            raise ConfigError(f"measured.file = {file}: a kernel must be finite, not negative, and not all zero.")
        bank[index, top : top + array.shape[0], left : left + array.shape[1]] = values / values.sum()
    return bank
