"""The protocol: the fixed ways in which a sharp photo is degraded for measuring.

Every published figure is made of its rows (`data.rows`), so they are exact, seeded, and plain NumPy: the reference that
the batched degradations of training are tested against. Blur has a mirror boundary; it happens in the file's own gamma
space, as the field's tables have it, but for the rows that say linear light.

It does not know which photos are measured, nor the measured camera-shake kernels: those are not ours to ship,
the user gives a file (`data.kernel_file`). Nor does it look at the presets of training.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.data.blurs import HandMotion, KnownBlur, MeasuredBlur, Psf, StraightMotion, blur_psf, drawn_motion
from acutance.data.camera import developed, sensor_light
from acutance.data.mixture import between, drawn_blur
from acutance.data.ramps import ramp_picture
from acutance.data.rows import CLASSIC_ROWS, PAIRED_ROW, ROWS, Row, Subsampling, find_row
from acutance.data.scenes import moving_scene
from acutance.errors import InputError
from acutance.geometry import Size
from acutance.imaging.kernels import convolve_mirror, gaussian_psf
from acutance.imaging.light import to_gamma, to_linear
from acutance.imaging.resize import resize_bicubic

__all__ = [  # with the rows, which whoever degrades needs
    "CLASSIC_ROWS",
    "PAIRED_ROW",
    "ROWS",
    "Degraded",
    "Pixels",
    "Row",
    "brightened",
    "degrade",
    "drawn",
    "find_row",
    "true_psf",
    "whole_cells",
]

Pixels = npt.NDArray[np.uint8]
"""A photo: `h w 3` RGB in the file's own gamma space."""

Degraded = npt.NDArray[np.uint8 | np.uint16]
"""What a row makes of it: in 8 bits or, where the row says so, in 16."""

Values = npt.NDArray[np.float64]
"""The same between two steps: `h w 3` in levels, 0 … 255 in gamma space and in linear light alike."""

GRAIN_SIGMA_PX = 0.7
"""σ of the Gaussian that gives grain its size."""

MOTION_STREAM = 2
"""Motion of image i is drawn from `default_rng([i, 2])`; noise has `default_rng(i)`, mixtures `default_rng([i, 1])`."""


def drawn(row: Row, index: int) -> Row:
    """Return what the row does to image `index`: the row itself, or one draw of its mixture or motion.

    Args:
        row: A row of the protocol.
        index: Of the image in its test set, from 0: the seed of the draw.
    """
    mixture = row.mixture
    if mixture is None:
        blur = _blur_of(row, index)
        return row if blur is row.blur else replace(row, blur=blur)
    # A stream of its own: `default_rng(index)` makes the noise. All numbers are drawn whether they are needed or not.
    random = np.random.default_rng([index, 1])
    noise, noise_sigma, gain, resize, factor, jpeg, quality, subsampled = (float(share) for share in random.random(8))
    is_noisy, is_jpeg = noise < mixture.noise_share, jpeg < mixture.jpeg_share
    return replace(
        row,
        mixture=None,
        blur=drawn_blur(mixture, random),
        noise_sigma=between(mixture.noise_sigma, noise_sigma) if is_noisy else 0.0,
        signal_gain=between(mixture.signal_gain, gain) if is_noisy else 0.0,
        rescale=between(mixture.rescale, factor) if resize < mixture.rescale_share else 1.0,
        jpeg_quality=round(between(mixture.jpeg_quality, quality)) if is_jpeg else None,
        jpeg_subsampling="4:2:0" if subsampled < mixture.subsampled else "4:4:4",
    )


def _blur_of(row: Row, index: int) -> KnownBlur | MeasuredBlur | None:
    """Return the blur of an image, drawn where it is motion."""
    if isinstance(row.blur, StraightMotion | HandMotion):
        return drawn_motion(row.blur, np.random.default_rng([index, MOTION_STREAM]))
    return row.blur


def true_psf(row: Row, index: int, *, psfs: Sequence[Psf] = ()) -> Psf | None:
    """Return the kernel that the row blurs image `index` with, or None where it does not blur, or not with one kernel.

    Args:
        row: A row of the protocol.
        index: Of the image in its test set, from 0.
        psfs: Measured kernels, for rows that are made of them.

    Raises:
        InputError: When the row needs measured kernels and none are given.
    """
    blur = _blur_of(drawn(row, index), index)
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


def degrade(reference: Pixels, row: Row, *, index: int, psfs: Sequence[Psf] = ()) -> Degraded:
    """Degrade one sharp photo as the row says.

    Args:
        reference: `h w 3` uint8 RGB, any size from 1×1; of a row that reduces, `whole_cells` of it are degraded; of
            a row of made pictures, only its size counts.
        row: A row of the protocol.
        index: Of the image in its test set, from 0: the seed of noise and draw, and the number of the kernel.
        psfs: Measured kernels, for rows that are made of them.

    Returns:
        `h w 3` RGB, a new array: uint16 (white is 65535) of a row of less light, else uint8; of a row that reduces,
        `row.reduction` times smaller.

    Raises:
        InputError: When the row needs measured kernels and none are given, or reduces to nothing.

    Determinism: a function of its arguments; a JPEG row also depends on Pillow's JPEG library.
    """
    row = drawn(row, index)
    reference = whole_cells(reference, row)
    if row.picture == "ramps":
        return ramp_picture(Size(*reference.shape[:2]), index)
    values = _developed(_captured(reference, row, index, psfs), row)
    if row.grain_sigma > 0:
        values = values + 255 * row.grain_sigma * _grain(Size(*values.shape[:2]), index)
    if row.rescale > 1:
        size = Size(*values.shape[:2])
        small = Size(max(round(size.height / row.rescale), 1), max(round(size.width / row.rescale), 1))
        values = resize_bicubic(resize_bicubic(values, small), size)
    if row.exposure < 1:
        return np.clip(np.rint(257 * values), 0, 65535).astype(np.uint16)
    degraded = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if row.jpeg_quality is None:
        return degraded
    return _through_jpeg(degraded, row.jpeg_quality, row.jpeg_subsampling)


def brightened(picture: Degraded, row: Row) -> Pixels:
    """Return a picture with all its light, in 8 bits, as it is measured against the photo.

    Args:
        picture: `h w 3` uint8 or uint16: what the row made, or a result of it.
        row: A row of the protocol; but for those of less light, 8-bit pictures are returned as they are.
    """
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    return np.clip(np.rint(picture / (257 * row.exposure)), 0, 255).astype(np.uint8)


def _captured(reference: Pixels, row: Row, index: int, psfs: Sequence[Psf]) -> Values:
    """Darken, move, blur, reduce and add noise, in the row's light."""
    values = reference.astype(np.float64) * row.exposure
    if row.light == "linear":
        values = 255 * (to_linear(values / 255) if row.camera is None else sensor_light(values / 255))
    if row.scene is not None:
        values = 255 * moving_scene(values / 255, row.scene, np.random.default_rng([index, MOTION_STREAM]))
    psf = true_psf(row, index, psfs=psfs)
    if psf is not None:
        values = convolve_mirror(values, psf)
    if row.reduction > 1:
        height, width = reference.shape[:2]
        values = resize_bicubic(values, Size(height // row.reduction, width // row.reduction))
    if row.noise_sigma > 0 or row.signal_gain > 0:
        noise = np.random.default_rng(index).standard_normal(values.shape)
        variance = row.noise_sigma**2 + row.signal_gain * np.clip(values / 255, 0, 1)
        values = values + 255 * np.sqrt(variance) * noise
    return values


def _developed(values: Values, row: Row) -> Values:
    """Return from the row's light to gamma space."""
    if row.camera is not None:
        return 255 * developed(values / 255, row.camera)
    return 255 * to_gamma(values / 255) if row.light == "linear" else values


def _grain(size: Size, index: int) -> Values:
    """Draw grain of standard deviation 1, the same in all channels: `h w 1`."""
    psf = gaussian_psf(GRAIN_SIGMA_PX)
    white = np.random.default_rng(index).standard_normal((*size, 1))
    return convolve_mirror(white, psf) / float(np.sqrt((psf**2).sum()))


def _through_jpeg(pixels: Pixels, quality: int, subsampling: Subsampling) -> Pixels:
    stream = io.BytesIO()
    # The subsampling is always said aloud: a figure must not change with a library's default.
    Image.fromarray(pixels).save(stream, format="JPEG", quality=quality, subsampling=subsampling)
    with Image.open(stream) as decoded:
        return np.array(decoded.convert("RGB"))
