"""The protocol: the fixed ways in which a sharp photo is degraded for measuring, as rows of data.

Every published figure is made of these rows, so they are exact, seeded, and plain NumPy: the reference that
the batched degradations of training are tested against. All of it happens in the file's own gamma space: blur
with mirror boundary, then noise, then rounding to 8 bit, then JPEG.

It does not know which photos are measured, nor the measured camera-shake kernels: those are not ours to ship,
the user gives a file (`load_psfs`). Nor does it look at the presets of training: the blind mixture's ranges are
written down here once more, since a row must stay what it is when a preset changes.
"""

from __future__ import annotations

import difflib
import io
import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.errors import ConfigError, InputError
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf

Pixels = npt.NDArray[np.uint8]
"""A photo: `h w 3` RGB in the file's own gamma space."""

Psf = npt.NDArray[np.float64]
"""A blur kernel: `kh kw`, unit sum."""


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Isotropic Gaussian."""

    sigma_px: float
    """Standard deviation in px."""


@dataclass(frozen=True, slots=True)
class DefocusBlur:
    """Antialiased disk."""

    radius_px: float
    """Radius in px."""


@dataclass(frozen=True, slots=True)
class MeasuredBlur:
    """Measured kernels that the user gives: image i is blurred with kernel i mod their number."""


Blur = GaussianBlur | DefocusBlur | MeasuredBlur
"""What can blur a row's images."""

Subsampling = Literal["4:2:0", "4:4:4"]
"""Whether a JPEG's chroma is halved on both axes, or whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Ranges that each image's own degradation is drawn from; the defaults are those that `fast` is trained with.

    Training leaves a share of the patches untouched. Here none is: of an untouched photo the PSNR of the input is
    infinite, and with it the mean over all photos; what becomes of sharp photos, row `none` measures by itself.
    """

    sigma_px: tuple[float, float] = (0.3, 4.0)
    """Standard deviation of the Gaussian blur in px, drawn evenly in its logarithm."""
    noise_share: float = 0.12
    """Share of the images with noise."""
    noise_sigma: tuple[float, float] = (0.0, 0.012)
    """Standard deviation of the noise in the dark, of the range [0, 1]."""
    signal_gain: tuple[float, float] = (0.0, 0.0001)
    """Variance of the noise per unit of brightness."""
    jpeg_share: float = 0.1
    """Share of the images with a JPEG round trip."""
    jpeg_quality: tuple[float, float] = (40.0, 95.0)
    """Quality, rounded to a whole number."""
    subsampled: float = 0.7
    """Share of the JPEG images whose chroma is halved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to degrade: blur, then noise, then 8 bit, then JPEG; `None` and 0 leave a step out."""

    name: str
    """Name in tables and on the command line."""
    description: str
    """What it does, in a few words."""
    blur: Blur | None = None
    """Blur, mirror boundary."""
    noise_sigma: float = 0.0
    """Standard deviation of white Gaussian noise, of the range [0, 1]; its seed is the image's index."""
    signal_gain: float = 0.0
    """Variance that the noise gains per unit of brightness (photon noise)."""
    jpeg_quality: int | None = None
    """Quality of a JPEG round trip, 1 … 95."""
    jpeg_subsampling: Subsampling = "4:2:0"
    """Of its chroma."""
    mixture: Mixture | None = None
    """Where it is set, all of the above is drawn anew for each image; see `drawn`."""


def _gaussian_row(sigma_px: float) -> Row:
    return Row(
        name=f"gauss-{sigma_px:.1f}",
        description=f"isotropic Gaussian, σ = {sigma_px:.1f} px",
        blur=GaussianBlur(sigma_px),
    )


def _defocus_row(radius_px: int) -> Row:
    return Row(name=f"defocus-{radius_px}", description=f"disk, radius {radius_px} px", blur=DefocusBlur(radius_px))


ROWS: tuple[Row, ...] = (
    *(_gaussian_row(sigma) for sigma in (1.0, 1.6, 2.0, 3.0, 4.0)),
    Row(
        name="gauss-1.6-n2",
        description="isotropic Gaussian, σ = 1.6 px, then noise of standard deviation 2 of 255",
        blur=GaussianBlur(1.6),
        noise_sigma=2 / 255,
    ),
    *(_defocus_row(radius) for radius in (2, 4)),
    Row(name="camera-shake", description="measured camera shake, kernel i mod 8", blur=MeasuredBlur()),
    Row(
        name="jpeg-50",
        description="isotropic Gaussian, σ = 1.0 px, then JPEG quality 50",
        blur=GaussianBlur(1.0),
        jpeg_quality=50,
    ),
    Row(name="mix", description="Gaussian, noise and JPEG as in blind training, drawn anew", mixture=Mixture()),
    Row(name="none", description="the sharp image itself"),
)
"""All rows, in the order of the tables."""


def find_row(name: str) -> Row:
    """Return the row of that name.

    Raises:
        ConfigError: When there is none; the message names the nearest, and all.
    """
    rows = {row.name: row for row in ROWS}
    if name in rows:
        return rows[name]
    near = difflib.get_close_matches(name, rows, n=1)
    guess = f" (did you mean {near[0]}?)" if near else ""
    raise ConfigError(f"row {name!r} is not in the protocol{guess}; its rows are {', '.join(rows)}.")


def drawn(row: Row, index: int) -> Row:
    """Return what the row does to image `index`: the row itself, or one draw of its mixture.

    Args:
        row: A row of the protocol.
        index: Of the image in its test set, from 0: the seed of the draw.
    """
    mixture = row.mixture
    if mixture is None:
        return row
    # A stream of its own: `default_rng(index)` makes the noise. All numbers are drawn whether they are needed or not.
    sigma, noise, noise_sigma, gain, jpeg, quality, subsampled = np.random.default_rng([index, 1]).random(7)
    low, high = (math.log(bound) for bound in mixture.sigma_px)
    is_noisy, is_jpeg = noise < mixture.noise_share, jpeg < mixture.jpeg_share
    return replace(
        row,
        mixture=None,
        blur=GaussianBlur(math.exp(low + float(sigma) * (high - low))),
        noise_sigma=_between(mixture.noise_sigma, noise_sigma) if is_noisy else 0.0,
        signal_gain=_between(mixture.signal_gain, gain) if is_noisy else 0.0,
        jpeg_quality=round(_between(mixture.jpeg_quality, quality)) if is_jpeg else None,
        jpeg_subsampling="4:2:0" if subsampled < mixture.subsampled else "4:4:4",
    )


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + float(share) * (bounds[1] - bounds[0])


def true_psf(row: Row, index: int, *, psfs: Sequence[Psf] = ()) -> Psf | None:
    """Return the kernel that the row blurs image `index` with, or None where it does not blur.

    Args:
        row: A row of the protocol.
        index: Of the image in its test set, from 0.
        psfs: Measured kernels, for rows that are made of them.

    Raises:
        InputError: When the row needs measured kernels and none are given.
    """
    match drawn(row, index).blur:
        case None:
            return None
        case GaussianBlur(sigma_px):
            return gaussian_psf(sigma_px)
        case DefocusBlur(radius_px):
            return disk_psf(radius_px)
        case MeasuredBlur():
            if not psfs:
                raise InputError(
                    f"row {row.name} blurs with measured kernels and none were given; "
                    "give an .npz file of 2-D kernels, such as those of Levin et al. 2009."
                )
            return psfs[index % len(psfs)]


def degrade(reference: Pixels, row: Row, *, index: int, psfs: Sequence[Psf] = ()) -> Pixels:
    """Degrade one sharp photo as the row says.

    Args:
        reference: `h w 3` uint8 RGB, any size from 1×1.
        row: A row of the protocol.
        index: Of the image in its test set, from 0: the seed of noise and draw, and the number of the kernel.
        psfs: Measured kernels, for rows that are made of them.

    Returns:
        `h w 3` uint8 RGB, a new array.

    Raises:
        InputError: When the row needs measured kernels and none are given.

    Determinism: a function of its arguments; a JPEG row also depends on Pillow's JPEG library.
    """
    row = drawn(row, index)
    psf = true_psf(row, index, psfs=psfs)
    values = reference.astype(np.float64) if psf is None else convolve_mirror(reference, psf)
    if row.noise_sigma > 0 or row.signal_gain > 0:
        noise = np.random.default_rng(index).standard_normal(values.shape)
        variance = row.noise_sigma**2 + row.signal_gain * np.clip(values / 255, 0, 1)
        values = values + 255 * np.sqrt(variance) * noise
    degraded = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if row.jpeg_quality is None:
        return degraded
    return _through_jpeg(degraded, row.jpeg_quality, row.jpeg_subsampling)


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


def _through_jpeg(pixels: Pixels, quality: int, subsampling: Subsampling) -> Pixels:
    stream = io.BytesIO()
    # The subsampling is always said aloud: a figure must not change with a library's default.
    Image.fromarray(pixels).save(stream, format="JPEG", quality=quality, subsampling=subsampling)
    with Image.open(stream) as decoded:
        return np.array(decoded.convert("RGB"))
