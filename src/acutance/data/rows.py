"""The rows of the protocol as data: what each does to a sharp photo, and how its results are measured.

`data.protocol` does what they say.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Literal

from acutance.data.blurs import Blur, DefocusBlur, GaussianBlur, HandMotion, MeasuredBlur, StraightMotion
from acutance.data.camera import Processing
from acutance.data.mixture import Mixture
from acutance.data.scenes import MotionScene
from acutance.errors import ConfigError

Subsampling = Literal["4:2:0", "4:4:4"]
"""Whether a JPEG's chroma is halved on both axes, or whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to degrade, and how the result is measured.

    In order: darkening, motion of layers, blur, reduction, noise, the camera's work, grain, rescaling, rounding, JPEG.
    `None`, a strength of 0 and a factor of 1 leave a step out.
    """

    name: str
    """Name in tables and on the command line."""
    description: str
    """What it does, in a few words."""
    picture: Literal["photo", "ramps"] = "photo"
    """What is degraded: the photo, or ramps of its size (`data.ramps`)."""
    exposure: float = 1.0
    """Share of the light that the photo has left; below 1 it is kept in 16 bits, and brightened again for measuring."""
    light: Literal["gamma", "linear"] = "gamma"
    """Where blur and noise happen: in the file's own gamma space, or in linear light (sRGB's curve)."""
    scene: MotionScene | None = None
    """Two layers that move differently, in linear light."""
    blur: Blur | None = None
    """Blur, mirror boundary."""
    reduction: int = 1
    """How many times smaller the picture is made, bicubic and antialiased: what a model is to enlarge again."""
    noise_sigma: float = 0.0
    """Standard deviation of white Gaussian noise, of the range [0, 1]; its seed is the image's index."""
    signal_gain: float = 0.0
    """Variance that the noise gains per unit of brightness (photon noise)."""
    camera: Processing | None = None
    """What a camera does on the way from linear light to a file; its tone curve is undone before."""
    grain_sigma: float = 0.0
    """Standard deviation of grain, the same in R, G and B, of the range [0, 1]; its seed is the image's index."""
    rescale: float = 1.0
    """How many times smaller the picture is made and then enlarged to its size again, both bicubic."""
    jpeg_quality: int | None = None
    """Quality of a JPEG round trip, 1 … 95."""
    jpeg_subsampling: Subsampling = "4:2:0"
    """Of its chroma."""
    mixture: Mixture | None = None
    """Where it is set, blur, noise, rescaling and JPEG are drawn anew for each image; see `drawn`."""
    is_kept: bool = False
    """Whether the degraded picture is what it should stay: it, not the photo, is what results are measured against."""
    may_shift: bool = False
    """Whether a right result may lie aside from the photo: then PSNR at the best shift stands beside plain PSNR."""

    @property
    def is_measured_specially(self) -> bool:
        """Whether the plain PSNR of 8-bit pictures against the photo is not what this row is about."""
        return self.is_kept or self.exposure < 1


def _gaussian_row(sigma_px: float) -> Row:
    return Row(
        name=f"gauss-{sigma_px:.1f}",
        description=f"isotropic Gaussian, σ = {sigma_px:.1f} px",
        blur=GaussianBlur(sigma_px),
    )


def _defocus_row(radius_px: int) -> Row:
    return Row(name=f"defocus-{radius_px}", description=f"disk, radius {radius_px} px", blur=DefocusBlur(radius_px))


def _motion_row(length_px: int) -> Row:
    return Row(
        name=f"motion-{length_px}",
        description=f"straight motion of {length_px} px at constant speed, in any direction",
        blur=StraightMotion(length_px),
        may_shift=True,
    )


def _noisy(row: Row, levels: int) -> Row:
    return replace(
        row,
        name=f"{row.name}-n{levels}",
        description=f"{row.description}, then noise of standard deviation {levels} of 255",
        noise_sigma=levels / 255,
    )


def _dark_row(divisor: int) -> Row:
    return Row(
        name=f"gauss-1.6-dark{divisor}",
        description=f"1/{divisor} of the light, isotropic Gaussian, σ = 1.6 px, 16 bits",
        exposure=1 / divisor,
        blur=GaussianBlur(1.6),
    )


MOTION_LENGTHS_PX = (4, 8, 12, 16)

HAND = HandMotion(length_px=(6.0, 20.0), inertia=0.95)
"""The hand of the rows with paths."""

CAMERA_MIXTURE = Mixture(
    kinds=(0.2, 0.15, 0.2, 0.125, 0.125, 0.2),
    sigma_px=(0.5, 3.0),
    long_sigma_px=(0.8, 3.0),
    disk_radius_px=(0.8, 4.0),
    length_px=(4.0, 20.0),
    origin="midpoint",
    noise_share=1.0,
    noise_sigma=(0.0005, 0.002),
    signal_gain=(0.0001, 0.001),
    rescale_share=0.0,
    jpeg_share=1.0,
    jpeg_quality=(85.0, 95.0),
    subsampled=1.0,
)
"""Of row `camera`: every kind of blur; the noise is that of a sensor, in linear light."""

CLASSIC_ROWS: tuple[Row, ...] = (
    *(_gaussian_row(sigma) for sigma in (1.0, 1.6, 2.0, 3.0, 4.0)),
    Row(
        name="gauss-1.6-n2",
        description="isotropic Gaussian, σ = 1.6 px, then noise of standard deviation 2 of 255",
        blur=GaussianBlur(1.6),
        noise_sigma=2 / 255,
    ),
    *(_defocus_row(radius) for radius in (2, 4)),
    Row(name="camera-shake", description="measured camera shake, kernel i mod 8", blur=MeasuredBlur(), may_shift=True),
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
"""The first rows; they stay what they are, bit by bit, so that old figures can be compared with new ones."""

REAL_BLUR_ROWS: tuple[Row, ...] = (
    *(_motion_row(length) for length in MOTION_LENGTHS_PX),
    *(_noisy(_motion_row(length), 2) for length in MOTION_LENGTHS_PX),
    Row(
        name="motion-path",
        description="a hand's path of 6 to 20 px, its middle in time at the origin",
        blur=HAND,
        may_shift=True,
    ),
    Row(
        name="motion-scene",
        description="two layers, each with a hand's path, the background rolling by up to 2°; linear light",
        scene=MotionScene(path=HAND, roll_degrees=2.0),
        may_shift=True,
    ),
    *(_noisy(_gaussian_row(1.6), levels) for levels in (6, 12, 20)),
    Row(
        name="gauss-1.6-grain8",
        description="isotropic Gaussian, σ = 1.6 px, then grain of standard deviation 8 of 255",
        blur=GaussianBlur(1.6),
        grain_sigma=8 / 255,
    ),
    *(_dark_row(divisor) for divisor in (4, 8, 16)),
    Row(
        name="gauss-1.6-linear",
        description="isotropic Gaussian, σ = 1.6 px, in linear light",
        blur=GaussianBlur(1.6),
        light="linear",
    ),
    Row(
        name="camera",
        description="linear light, any blur, sensor noise; a camera's noise reduction, sharpening, tones and JPEG",
        light="linear",
        mixture=CAMERA_MIXTURE,
        camera=Processing(likeness_sigma=8 / 255, sharpening_sigma_px=1.0, sharpening_amount=0.5),
        may_shift=True,
    ),
    Row(name="x2", description="half the size (bicubic), and nothing else: to be enlarged ×2", reduction=2),
    Row(name="ramps", description="smooth ramps and radial skies, 8 bits", picture="ramps", is_kept=True),
    Row(
        name="grain-only",
        description="the sharp image with grain of standard deviation 8 of 255",
        grain_sigma=8 / 255,
        is_kept=True,
    ),
)
"""Rows for what photos suffer outside of the laboratory."""

ROWS = (*CLASSIC_ROWS, *REAL_BLUR_ROWS)
"""All rows, in the order of the tables."""

PAIRED_ROW = Row(name="paired", description="a photo as it was taken, beside a sharp one", may_shift=True)
"""Stands for photos that nobody degraded: no row of the protocol, since it makes nothing."""


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
