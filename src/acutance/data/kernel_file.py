"""Measured blur kernels from files of the user's, which are not ours to ship; and kernels that were found, to files."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acutance.data.blurs import Psf
from acutance.errors import InputError, first_line
from acutance.media import Photo, read_photo, write_atomically, write_photo

BLACK_SHARE = 0.01
"""Of the brightest, what is darker in a picture of a kernel counts as black: JPEG leaves specks."""
_RIM_SHARE = 0.05
"""Of the brightest: a kernel's picture is darker than this at half of its rim at least. Disks and paths that are cut
out tightly are, photos are not."""
_SMALLEST_PHOTO_PX = 16
"""Smaller pictures may be a kernel to their very rim: a box, or a line one px high."""


def load_kernel(path: Path) -> Psf:
    """Read one kernel: an .npz file of one array, or a picture whose brightness it is, on black.

    Returns:
        Float64 `kh kw` of unit sum, its origin at `(kh // 2, kw // 2)`.

    Raises:
        InputError: When the file cannot be read, holds several kernels, or is no kernel.
    """
    if path.suffix.lower() == ".npz":
        psfs = load_psfs(path)
        if len(psfs) > 1:
            raise InputError(f"{path} holds {len(psfs)} kernels; give a file of the one that blurred the picture.")
        return psfs[0]
    pixels = read_photo(path, max_pixels=1_000_000, max_bits=16).upright().pixels.astype(np.float64).mean(axis=2)
    rim = np.concatenate([pixels[[0, -1]].ravel(), pixels[1:-1, [0, -1]].ravel()])
    if min(pixels.shape) >= _SMALLEST_PHOTO_PX and np.median(rim) > _RIM_SHARE * pixels.max():
        raise InputError(
            f"{path} is bright up to its rim, as a photo is; a kernel is drawn in white on black, 1 px for 1 px"
            " (see: acutance kernel)."
        )
    pixels[pixels < BLACK_SHARE * pixels.max()] = 0
    return _as_psf(pixels, str(path))


def save_kernel(psf: Psf, path: Path, *, overwrite: bool = False) -> None:
    """Write a kernel so that `load_kernel` reads it: exactly to .npz, else as a grey picture, the brightest part white.

    Args:
        psf: `kh kw`.
        path: Its ending says the kind of file.
        overwrite: Whether a file may be replaced.

    Raises:
        OutputError: When it cannot be written, or the ending says no kind of file.
    """
    if path.suffix.lower() == ".npz":
        content = io.BytesIO()
        np.savez(content, kernel=psf)
        write_atomically(path, [content.getvalue()], overwrite=overwrite)
        return
    white = 65535 if path.suffix.lower() in {".png", ".tif", ".tiff", ".pgm"} else 255
    values = np.rint(psf * (white / psf.max())).astype(np.uint16 if white > 255 else np.uint8)
    write_photo(Photo(pixels=np.ascontiguousarray(values[..., np.newaxis])), path, overwrite=overwrite)


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
        raise InputError(
            f"{path} cannot be read as .npz ({first_line(error)}); give one of 2-D blur kernels."
        ) from error
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
