"""Measured blur kernels from a file of the user's: they are not ours to ship."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acutance.data.blurs import Psf
from acutance.errors import InputError


def load_psfs(path: Path) -> tuple[Psf, ...]:
    """Read measured kernels from an .npz file: every array in it is one 2-D kernel, in the file's order.

    Any names, sizes and number types will do; each kernel is scaled to unit sum. Pickled objects are refused.

    Returns:
        Float64 kernels `kh kw`, at least one.

    Raises:
        InputError: When the file is missing, is not an .npz file, or holds anything but such kernels.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # NumPy trips over damaged members in ways of its own
        if damaged is not None:
            raise InputError(f"{path}: {damaged} is damaged; get the file of blur kernels again.")
        with np.load(path, allow_pickle=False) as kernels:
            arrays = {name: np.asarray(kernels[name]) for name in kernels.files}
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; give an .npz file of 2-D blur kernels.") from error
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as .npz ({error}); give one of 2-D blur kernels.") from error
    if not arrays:
        raise InputError(f"{path} holds no arrays; give an .npz file of 2-D blur kernels.")
    return tuple(_as_psf(array, f"{path}: {name}") for name, array in arrays.items())


def _as_psf(array: npt.NDArray[np.generic], where: str) -> Psf:
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise InputError(
            f"{where} has shape {array.shape} and type {array.dtype}; a blur kernel is a 2-D array of numbers"
            " that is not empty."
        )
    psf = array.astype(np.float64)
    total = float(psf.sum())
    if not math.isfinite(total) or total <= 0 or psf.min() < 0:
        raise InputError(f"{where} sums to {total}; a blur kernel is finite, not negative, and not all zero.")
    return psf / total
