"""The protocol: the fixed ways in which a sharp photo is degraded for measuring, as rows of data.

Every published figure is made of these rows, so they are exact, seeded, and plain NumPy: the reference that
the batched degradations of training are tested against. All of it happens in the file's own gamma space: blur
with mirror boundary, then reduction, noise, rescaling, rounding to 8 bit, and JPEG.

It does not know which photos are measured, nor the measured camera-shake kernels: those are not ours to ship,
the user gives a file (`data.kernel_file`). Nor does it look at the presets of training: the blind mixture's ranges are
written down here once more, since a row must stay what it is when a preset changes.
"""

from __future__ import annotations

import difflib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.data.blurs import (
    AnisotropicBlur,
    Blur,
    DefocusBlur,
    GaussianBlur,
    MeasuredBlur,
    PathBlur,
    Psf,
    blur_psf,
)
from acutance.errors import ConfigError, InputError
from acutance.geometry import Size
from acutance.imaging.kernels import convolve_mirror
from acutance.imaging.resize import resize_bicubic

Pixels = npt.NDArray[np.uint8]
"""A photo: `h w 3` RGB in the file's own gamma space."""

PATH_POINTS = 128
"""Vertices of a path of camera shake, as in training."""

Subsampling = Literal["4:2:0", "4:4:4"]
"""Whether a JPEG's chroma is halved on both axes, or whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Ranges that each image's own degradation is drawn from: those that the first `fast` was trained with.

    Today's preset draws shake less often and shorter, and noise, rescaling and JPEG less often; the row stays as it is,
    so that its figures can be compared.

    Training leaves a share of the patches untouched. Here none is: of an untouched photo the PSNR of the input is
    infinite, and with it the mean over all photos; what becomes of sharp photos, row `none` measures by itself.
    """

    kinds: tuple[float, ...] = (0.5, 0.08, 0.17, 0.15, 0.1)
    """Shares of isotropic Gaussians, anisotropic ones, defocus, and shake of either inertia."""
    sigma_px: tuple[float, float] = (0.3, 4.2)
    """Standard deviation of the isotropic Gaussian in px, drawn evenly in its logarithm."""
    long_sigma_px: tuple[float, float] = (0.8, 4.2)
    """The same of the longer axis of the anisotropic one."""
    anisotropy: float = 3.0
    """Largest ratio of its axes, drawn evenly from 1."""
    disk_radius_px: tuple[float, float] = (0.5, 4.5)
    """Radius of the disk of defocus."""
    length_px: tuple[float, float] = (3.0, 26.0)
    """Longer side of the box around a path of camera shake."""
    inertia: tuple[float, float] = (0.9, 0.98)
    """Share of its velocity that the camera keeps from one point of its path to the next, of either kind of shake."""
    noise_share: float = 0.2
    """Share of the images with noise."""
    noise_sigma: tuple[float, float] = (0.0, 0.015)
    """Standard deviation of the noise in the dark, of the range [0, 1]."""
    signal_gain: tuple[float, float] = (0.0, 0.0002)
    """Variance of the noise per unit of brightness."""
    rescale_share: float = 0.08
    """Share of the images that are reduced and enlarged again."""
    rescale: tuple[float, float] = (1.0, 2.0)
    """Factor of the reduction."""
    jpeg_share: float = 0.2
    """Share of the images with a JPEG round trip."""
    jpeg_quality: tuple[float, float] = (35.0, 95.0)
    """Quality, rounded to a whole number."""
    subsampled: float = 0.7
    """Share of the JPEG images whose chroma is halved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to degrade: blur, reduction, noise, rescaling, 8 bit, JPEG, in this order.

    `None`, a strength of 0 and a factor of 1 leave a step out.
    """

    name: str
    """Name in tables and on the command line."""
    description: str
    """What it does, in a few words."""
    blur: Blur | None = None
    """Blur, mirror boundary."""
    reduction: int = 1
    """How many times smaller the picture is made, bicubic and antialiased: what a model is to enlarge again."""
    noise_sigma: float = 0.0
    """Standard deviation of white Gaussian noise, of the range [0, 1]; its seed is the image's index."""
    signal_gain: float = 0.0
    """Variance that the noise gains per unit of brightness (photon noise)."""
    rescale: float = 1.0
    """How many times smaller the picture is made and then enlarged to its size again, both bicubic."""
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
    Row(name="mix", description="one draw of the mixture of blind training for each photo", mixture=Mixture()),
    Row(
        name="x2-gauss-1.0",
        description="isotropic Gaussian, σ = 1.0 px, then half the size (bicubic): to be enlarged ×2",
        blur=GaussianBlur(1.0),
        reduction=2,
    ),
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
    random = np.random.default_rng([index, 1])
    noise, noise_sigma, gain, resize, factor, jpeg, quality, subsampled = (float(share) for share in random.random(8))
    is_noisy, is_jpeg = noise < mixture.noise_share, jpeg < mixture.jpeg_share
    return replace(
        row,
        mixture=None,
        blur=_drawn_blur(mixture, random),
        noise_sigma=_between(mixture.noise_sigma, noise_sigma) if is_noisy else 0.0,
        signal_gain=_between(mixture.signal_gain, gain) if is_noisy else 0.0,
        rescale=_between(mixture.rescale, factor) if resize < mixture.rescale_share else 1.0,
        jpeg_quality=round(_between(mixture.jpeg_quality, quality)) if is_jpeg else None,
        jpeg_subsampling="4:2:0" if subsampled < mixture.subsampled else "4:4:4",
    )


def _drawn_blur(mixture: Mixture, random: np.random.Generator) -> Blur:
    """Draw a kind of blur and its numbers."""
    kind = int(random.choice(len(mixture.kinds), p=mixture.kinds))
    size, ratio, angle, softness = (float(share) for share in random.random(4))
    match kind:
        case 0:
            return GaussianBlur(_log_between(mixture.sigma_px, size))
        case 1:
            ratio = _between((1.0, mixture.anisotropy), ratio)
            return AnisotropicBlur(_log_between(mixture.long_sigma_px, size), ratio, math.pi * angle)
        case 2:
            return DefocusBlur(_between(mixture.disk_radius_px, size))
        case _:
            path = _walk(mixture.inertia[kind - 3], _between(mixture.length_px, size), random)
            return PathBlur(path, softness)


def _walk(inertia: float, length_px: float, random: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Draw the path of a hand: white accelerations, a velocity that decays, scaled to its length."""
    velocity, position, points = np.zeros(2), np.zeros(2), []
    for acceleration in random.standard_normal((PATH_POINTS, 2)):
        velocity = inertia * velocity + acceleration
        position = position + velocity
        points.append(position)
    path = np.array(points)
    path *= length_px / np.ptp(path, axis=0).max()
    return tuple((float(y), float(x)) for y, x in path)


def _log_between(bounds: tuple[float, float], share: float) -> float:
    return math.exp(_between((math.log(bounds[0]), math.log(bounds[1])), share))


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
    blur = drawn(row, index).blur
    if blur is None:
        return None
    if not isinstance(blur, MeasuredBlur):
        return blur_psf(blur)
    if not psfs:
        raise InputError(
            f"row {row.name} blurs with measured kernels and none were given; "
            "give an .npz file of 2-D kernels, such as those of Levin et al. 2009."
        )
    return psfs[index % len(psfs)]


def whole_cells(photo: Pixels, row: Row) -> Pixels:
    """Return the part of a photo that the row makes whole pixels of: what is left over at the bottom and right is cut.

    Args:
        photo: `h w 3`.
        row: A row of the protocol; but for those that reduce, the part is the photo.

    Returns:
        A view; both sides are multiples of `row.reduction`.

    Raises:
        InputError: When nothing is left.
    """
    factor = row.reduction
    height, width = photo.shape[:2]
    if min(height, width) < factor:
        raise InputError(
            f"row {row.name} makes photos {factor} times smaller; {width}×{height} px is too small, give at least "
            f"{factor} px on each side."
        )
    return photo[: height // factor * factor, : width // factor * factor]


def degrade(reference: Pixels, row: Row, *, index: int, psfs: Sequence[Psf] = ()) -> Pixels:
    """Degrade one sharp photo as the row says.

    Args:
        reference: `h w 3` uint8 RGB, any size from 1×1; of a row that reduces, `whole_cells` of it are degraded.
        row: A row of the protocol.
        index: Of the image in its test set, from 0: the seed of noise and draw, and the number of the kernel.
        psfs: Measured kernels, for rows that are made of them.

    Returns:
        `h w 3` uint8 RGB, a new array; of a row that reduces, `row.reduction` times smaller.

    Raises:
        InputError: When the row needs measured kernels and none are given, or reduces to nothing.

    Determinism: a function of its arguments; a JPEG row also depends on Pillow's JPEG library.
    """
    row = drawn(row, index)
    reference = whole_cells(reference, row)
    psf = true_psf(row, index, psfs=psfs)
    values = reference.astype(np.float64) if psf is None else convolve_mirror(reference, psf)
    if row.reduction > 1:
        height, width = reference.shape[:2]
        values = resize_bicubic(values, Size(height // row.reduction, width // row.reduction))
    if row.noise_sigma > 0 or row.signal_gain > 0:
        noise = np.random.default_rng(index).standard_normal(values.shape)
        variance = row.noise_sigma**2 + row.signal_gain * np.clip(values / 255, 0, 1)
        values = values + 255 * np.sqrt(variance) * noise
    if row.rescale > 1:
        size = Size(*values.shape[:2])
        small = Size(max(round(size.height / row.rescale), 1), max(round(size.width / row.rescale), 1))
        values = resize_bicubic(resize_bicubic(values, small), size)
    degraded = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if row.jpeg_quality is None:
        return degraded
    return _through_jpeg(degraded, row.jpeg_quality, row.jpeg_subsampling)


def _through_jpeg(pixels: Pixels, quality: int, subsampling: Subsampling) -> Pixels:
    stream = io.BytesIO()
    # The subsampling is always said aloud: a figure must not change with a library's default.
    Image.fromarray(pixels).save(stream, format="JPEG", quality=quality, subsampling=subsampling)
    with Image.open(stream) as decoded:
        return np.array(decoded.convert("RGB"))
