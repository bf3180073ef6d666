"""What blurred a picture, told by somebody who knows, and where: values, and the words that they are written in.

`12px@30deg` is motion of 12 px along 30°, counted from the right downwards, as a picture's y grows: the words that
`unblurring` uses for what it finds. A region is `x,y,w,h`, in px of the picture as it is looked at.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Psf
from acutance.errors import ConfigError
from acutance.geometry import Box, Size
from acutance.imaging.kernels import disk_psf, gaussian_psf, line_psf
from acutance.ranges import as_number

TOLD_MODEL: Final = "motion"
"""The shipped model whose network is told."""

ToldKind = Literal["motion", "defocus", "gaussian", "kernel"]

LARGEST_PX: Final = {"motion": 100.0, "defocus": 30.0, "gaussian": 15.0}
"""Length, radius and σ up to which blur is undone: of more, nothing is left to see."""
LARGEST_KERNEL_PX: Final = 129
"""Longest side of a measured kernel."""
SMALLEST_REGION_PX: Final = 8
FEATHER_PX: Final = 8
"""So far beyond a region its result fades into the picture; the region itself is wholly the result."""

_NUMBER = r"[+-]?\d{1,6}(?:\.\d{0,6})?"
_LENGTH = re.compile(rf"\s*({_NUMBER})\s*(?:px)?\s*", re.ASCII)
_MOTION = re.compile(rf"\s*({_NUMBER})\s*(?:px)?\s*@\s*({_NUMBER})\s*(?:deg|°)?\s*", re.ASCII)
_REGION = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ToldBlur:
    """A blur that is known: made by `motion`, `defocus`, `gaussian` or `measured`, or of its words by `of_text`.

    Examples:
        >>> str(ToldBlur.motion(12, degrees=30))
        'motion 12px@30deg'
    """

    kind: ToldKind
    strength_px: float = 0.0
    """Length of motion, radius of a disk, σ of a Gaussian; 0 of a measured kernel."""
    degrees: float = 0.0
    """Direction of motion, from x (right) towards y (down), 0 … 180: what is given beyond is turned into it."""
    weights: tuple[tuple[float, ...], ...] = ()
    """Of a measured kernel: rows of odd length, as many, not negative, of unit sum; its origin is the middle one."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigError: When one is out of range, or there is no such kind.
        """
        if self.kind not in get_args(ToldKind):
            raise ConfigError(f"blur of kind {self.kind!r}: unknown; there are {', '.join(get_args(ToldKind))}.")
        if self.kind == "kernel":
            if not _is_kernel(self.weights):
                raise ConfigError(
                    "a measured kernel must have as many rows as columns, an odd number, none negative, and unit sum: "
                    "make it by ToldBlur.measured(array)."
                )
            return
        largest, strength_px, degrees = LARGEST_PX[self.kind], as_number(self.strength_px), as_number(self.degrees)
        if not 0 < strength_px <= largest:
            said = f"{self.strength_px!r:.40}" if math.isnan(strength_px) else f"{strength_px:g}"
            raise ConfigError(
                f"{self.kind} of {said} px: must be above 0 and at most {largest:g} px; measure it again."
            )
        if not math.isfinite(degrees):
            raise ConfigError(f"motion along {self.degrees}°: must be a finite number of degrees.")
        object.__setattr__(self, "strength_px", strength_px)
        object.__setattr__(self, "degrees", degrees % 180.0)

    @classmethod
    def motion(cls, length_px: float, *, degrees: float) -> ToldBlur:
        """Straight motion of constant speed.

        Args:
            length_px: Above 0, at most 100.
            degrees: Its direction, from x (right) towards y (down); a direction and its opposite are one.

        Raises:
            ConfigError: When a number is out of range.
        """
        return cls(kind="motion", strength_px=length_px, degrees=degrees)

    @classmethod
    def defocus(cls, radius_px: float) -> ToldBlur:
        """A lens out of focus: a disk of a radius above 0, at most 30 px.

        Raises:
            ConfigError: When it is out of range.
        """
        return cls(kind="defocus", strength_px=radius_px)

    @classmethod
    def gaussian(cls, sigma_px: float) -> ToldBlur:
        """A Gaussian of a standard deviation above 0, at most 15 px.

        Raises:
            ConfigError: When it is out of range.
        """
        return cls(kind="gaussian", strength_px=sigma_px)

    @classmethod
    def measured(cls, kernel: npt.ArrayLike) -> ToldBlur:
        """Any kernel.

        Args:
            kernel: `kh kw`, finite, not negative, of any positive sum. Its origin, where the sharp picture lies, is the
                element `(kh // 2, kw // 2)`; what is not 0 lies at most 64 px from it on either axis.

        Raises:
            ConfigError: When it is none.
        """
        if np.ma.is_masked(kernel):
            raise ConfigError("a kernel with masked places: say what they are, e.g. array.filled(0).")
        try:
            array = np.asarray(kernel)
        except ValueError as error:
            raise ConfigError(
                "a kernel whose rows are of different lengths: must be a 2-D array of numbers."
            ) from error
        if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
            raise ConfigError(
                f"a kernel of shape {array.shape} and type {array.dtype}: must be a 2-D array of numbers, not empty."
            )
        with np.errstate(over="ignore"):
            psf = array.astype(np.float64)
            total = float(psf.sum())
        if not math.isfinite(total) or total <= 0 or psf.min() < 0:
            raise ConfigError(f"a kernel that sums to {total}: must be finite, not negative and not all zero.")
        y, x = (axis - side // 2 for axis, side in zip(np.nonzero(psf), psf.shape, strict=True))
        reach = int(max(np.abs(y).max(), np.abs(x).max()))
        if 2 * reach + 1 > LARGEST_KERNEL_PX:
            raise ConfigError(
                f"a kernel that reaches {reach} px from its middle: must reach at most {LARGEST_KERNEL_PX // 2} px; "
                "cut it out around its light."
            )
        square = np.zeros((2 * reach + 1, 2 * reach + 1))
        square[y + reach, x + reach] = psf[np.nonzero(psf)] / total
        return cls(kind="kernel", weights=tuple(tuple(row) for row in square.tolist()))

    @classmethod
    def of_text(cls, kind: str, text: str) -> ToldBlur:
        """Read a blur as a person writes it.

        Args:
            kind: `motion`, `defocus` or `gaussian`.
            text: `12px@30deg` (or `12@30`) of motion, `3px` (or `3`) of the others.

        Raises:
            ConfigError: When it is not that.
        """
        if kind == "motion":
            match = _MOTION.fullmatch(text) if isinstance(text, str) else None
            if match is None:
                raise ConfigError(
                    f"motion {text!r}: write its length and direction, as in 12px@30deg (0° is to the right, 90° down)."
                )
            return cls.motion(float(match[1]), degrees=float(match[2]))
        match = _LENGTH.fullmatch(text) if isinstance(text, str) else None
        if match is None or kind not in {"defocus", "gaussian"}:
            raise ConfigError(f"{kind} {text!r}: write a number of px, as in 2.5px.")
        return cls.defocus(float(match[1])) if kind == "defocus" else cls.gaussian(float(match[1]))

    def __str__(self) -> str:
        """Say it in a few words that stand for it: of a measured kernel, a hash."""
        match self.kind:
            case "motion":
                return f"motion {self.strength_px:g}px@{self.degrees:g}deg"
            case "kernel":
                return f"kernel {hashlib.sha256(self.psf.tobytes()).hexdigest()[:16]}"
            case _:
                return f"{self.kind} {self.strength_px:g}px"

    @property
    def words(self) -> str:
        """What it is, for a person."""
        match self.kind:
            case "motion":
                return f"straight motion of {self.strength_px:g} px along {self.degrees:g}°"
            case "defocus":
                return f"out of focus by {self.strength_px:g} px"
            case "gaussian":
                return f"soft by σ = {self.strength_px:g} px"
            case "kernel":
                return f"a measured kernel of {len(self.weights)}×{len(self.weights)} px"

    @cached_property
    def psf(self) -> Psf:
        """The kernel: float64 `k k`, k odd, of unit sum."""
        match self.kind:
            case "motion":
                return line_psf(self.strength_px, math.radians(self.degrees))
            case "defocus":
                return disk_psf(self.strength_px)
            case "gaussian":
                return gaussian_psf(self.strength_px)
            case "kernel":
                return np.array(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of a picture as it is looked at, in px: x to the right, y down."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigError: When they are not whole, it begins left of or above a picture, or is too small.
        """
        if not all(isinstance(number, Integral) for number in (self.x, self.y, self.width, self.height)):
            raise ConfigError(f"region {self}: must be whole numbers of px; round them.")
        for name in ("x", "y", "width", "height"):  # a number of NumPy's would wrap round where two are added
            object.__setattr__(self, name, int(getattr(self, name)))
        if self.x < 0 or self.y < 0 or min(self.width, self.height) < SMALLEST_REGION_PX:
            raise ConfigError(
                f"region {self}: must begin within the picture and be {SMALLEST_REGION_PX} px wide and high at least; "
                "give x,y,width,height."
            )

    @classmethod
    def of_text(cls, text: str) -> Region:
        """Read `x,y,w,h`.

        Raises:
            ConfigError: When it is not that.
        """
        match = _REGION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ConfigError(
                f"region {text!r}: write four whole numbers of px, x,y,width,height, as in 40,30,300,150."
            )
        x, y, width, height = (int(number) for number in match.groups())
        return cls(x=x, y=y, width=width, height=height)

    def __str__(self) -> str:
        """Write it as `of_text` reads it."""
        return f"{self.x},{self.y},{self.width},{self.height}"

    def box_in(self, size: Size) -> Box:
        """Return where it lies in a picture of some size, cut at its border.

        Raises:
            ConfigError: When too little of it lies within.
        """
        box = Box(self.y, self.x, self.y + self.height, self.x + self.width).within(Box(0, 0, *size))
        if min(box.size) < SMALLEST_REGION_PX:
            raise ConfigError(
                f"region {self}: the picture has {size.width}×{size.height} px, and {SMALLEST_REGION_PX} px of the "
                "region must lie in it each way; look its place up again."
            )
        return box

    def reduced(self, factor: int) -> Region:
        """Return where it lies in the picture at 1/`factor` of its size, rounded outwards.

        Raises:
            ConfigError: When it is too small there.
        """
        x, y = self.x // factor, self.y // factor
        right, bottom = -(-(self.x + self.width) // factor), -(-(self.y + self.height) // factor)
        return Region(x=x, y=y, width=right - x, height=bottom - y)


def _is_kernel(weights: tuple[tuple[float, ...], ...]) -> bool:
    """Say whether rows are a kernel: square, of odd sides, not negative, of unit sum."""
    try:
        side = len(weights)
        numbers = [as_number(weight) for row in weights for weight in row]
        is_square = side % 2 == 1 and all(len(row) == side for row in weights)
    except TypeError:  # what has no rows
        return False
    return is_square and min(numbers) >= 0 and math.isclose(math.fsum(numbers), 1.0, rel_tol=1e-6)


def check_kinds(told: object, region: object) -> None:
    """Refuse text or numbers that stand for a blur or a region.

    Raises:
        ConfigError: Saying what makes one.
    """
    if not isinstance(told, ToldBlur | None):
        raise ConfigError(f"told = {told!r}: must be a ToldBlur, such as ToldBlur.motion(12, degrees=30).")
    if not isinstance(region, Region | None):
        raise ConfigError(f"region = {region!r}: must be a Region, such as Region(x=40, y=30, width=300, height=150).")


def feathered(box: Box, within: Box) -> npt.NDArray[np.float32]:
    """Return how far each pixel of a part of a picture is to be the region's result: 1 in it, fading to 0 beyond it.

    Args:
        box: The region.
        within: The part of the picture.

    Returns:
        Float32 `h w` of the part.
    """
    ramps = []
    for low, high, start, end in (
        (box.top, box.bottom, within.top, within.bottom),
        (box.left, box.right, within.left, within.right),
    ):
        place = np.arange(start, end)
        beyond = np.maximum(np.maximum(low - place, place - (high - 1)), 0)
        share = np.clip(1 - beyond / (FEATHER_PX + 1), 0, 1)
        ramps.append(share * share * (3 - 2 * share))
    return np.outer(*ramps).astype(np.float32)
