"""From the estimator's answers to what blurred a picture: kind, strength and a kernel, as a whole and by region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from acutance.estimation.classes import (
    CLASSES,
    FIRST_LINE,
    FIRST_PATH,
    FIRST_RADIUS,
    LINE_STEP_PX,
    LINES_PX,
    PATH_LENGTHS_PX,
    RADII_PX,
    SIGMAS_PX,
)
from acutance.imaging.kernels import disk_psf, gaussian_psf, line_psf

Psf = npt.NDArray[np.float64]
Kind = Literal["gaussian", "defocus", "line", "path"]

SHARP_SIGMA_PX: Final = 0.55
"""Up to this σ a picture is as sharp as its pixels allow."""
_INDEPENDENT: Final = 3.0
"""Windows overlap and share what the network gets wrong: all of them together count as so many."""
_INDEPENDENT_NEARBY: Final = 2.0
_NEAR_SIGMA_PX: Final = 40.0
_SAMPLED_WINDOWS: Final = 400
_ALIKE_PX, _ALIKE = 1.0, 0.25
"""How far the ends of two motions may lie apart that are taken for one: so many px, and this share of the length."""
WINDOW_PX: Final = 141
"""Side of the window that one answer of the estimator looks at."""
STRIDE_PX: Final = 32
"""Distance of two windows."""
_NEAR_PX: Final = 1.5 * LINE_STEP_PX
LEAST_NOISE: Final = 0.25
"""Levels of 255 that the network adds before it takes the logarithm."""

SPANS: Final[dict[Kind, slice]] = {
    "gaussian": slice(0, FIRST_RADIUS),
    "defocus": slice(FIRST_RADIUS, FIRST_LINE),
    "line": slice(FIRST_LINE, FIRST_PATH),
    "path": slice(FIRST_PATH, CLASSES),
}
"""Where the classes of each kind lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlurVerdict:
    """What blurred a picture, or a window of it."""

    kind: Kind
    """`gaussian` with a small σ is a sharp picture."""
    share: float
    """Of the probability, 0 … 1, that the network gives this kind. It is not calibrated."""
    strength_px: float
    """σ of a Gaussian, radius of a disk, length of motion."""
    angle: float = 0.0
    """Of straight motion, in radians from x (right) towards y (down), 0 … π."""

    @property
    def is_sharp(self) -> bool:
        """Whether there is no blur to undo."""
        return self.kind == "gaussian" and self.strength_px <= SHARP_SIGMA_PX

    @property
    def psf(self) -> Psf | None:
        """The kernel; None for a curved path, of which the class tells only the length."""
        match self.kind:
            case "gaussian":
                return gaussian_psf(self.strength_px)
            case "defocus":
                return disk_psf(self.strength_px)
            case "line":
                return line_psf(self.strength_px, self.angle)
            case "path":
                return None

    def turned(self, orientation: int) -> BlurVerdict:
        """Return what it is once the picture is turned as an EXIF orientation, 1 to 8, says: motion turns with it."""
        x, y = math.cos(self.angle), math.sin(self.angle)
        if orientation >= 5:
            x, y = y, x
        if (orientation in (2, 3, 6, 7)) != (orientation in (3, 4, 7, 8)):  # a direction and its opposite are one
            x = -x
        return replace(self, angle=math.atan2(y, x) % math.pi) if self.kind == "line" and orientation != 1 else self

    def enlarged(self, factor: float) -> BlurVerdict:
        """Return what it is in a picture `factor` times as large."""
        return replace(self, strength_px=self.strength_px * factor)

    def __str__(self) -> str:
        """Say it in a few words."""
        match self.kind:
            case "gaussian" if self.is_sharp:
                return "sharp already"
            case "gaussian":
                return f"soft by about σ = {self.strength_px:.1f} px"
            case "defocus":
                return f"out of focus by about {self.strength_px:.1f} px"
            case "line":
                degrees = round(math.degrees(self.angle)) % 180  # 179.6° is along 0°
                return f"straight motion of about {self.strength_px:.0f} px along {degrees}°"
            case "path":
                return f"curved motion of about {self.strength_px:.0f} px"


@dataclass(frozen=True, slots=True)
class BlurField:
    """The estimator's answers for the windows of a picture, `STRIDE_PX` apart."""

    log_shares: npt.NDArray[np.float64]
    """`classes rows columns`: logarithm of each class's probability in each window."""
    noise_levels: npt.NDArray[np.float64]
    """`rows columns`: standard deviation of the noise in levels of 255."""

    @classmethod
    def of_answers(cls, logits: npt.NDArray[np.float32], noise: npt.NDArray[np.float32]) -> BlurField:
        """Read the network's answers for one picture: `classes rows columns`, and log₂ of the noise, `rows columns`."""
        wide = logits.astype(np.float64)
        top = wide.max(axis=0)
        log_sum = top + np.log(np.exp(wide - top).sum(axis=0))
        return cls(wide - log_sum, np.maximum(2.0 ** noise.astype(np.float64) - LEAST_NOISE, 0.0))

    @classmethod
    def joined(cls, fields: Sequence[BlurField]) -> BlurField:
        """Return the windows of several places as one row: what is near what is not known any more."""
        shares = np.concatenate([field.log_shares.reshape(CLASSES, 1, -1) for field in fields], axis=2)
        return cls(shares, np.concatenate([field.noise_levels.reshape(1, -1) for field in fields], axis=1))

    @property
    def gathered(self) -> npt.NDArray[np.float64]:
        """The windows' logarithms taken together, up to a constant: `classes`."""
        flat = self.log_shares.reshape(CLASSES, -1)
        return np.asarray(flat.mean(axis=1) * min(_INDEPENDENT, flat.shape[1]))

    @property
    def whole(self) -> BlurVerdict:
        """What blurred the picture, if one thing did."""
        return verdict_of(self.gathered)

    def near(self, y: float, x: float) -> BlurVerdict:
        """What blurred the surroundings of a place, given in px of the picture: the windows around it, by distance."""
        rows, columns = self.log_shares.shape[1:]
        down = (np.arange(rows) * STRIDE_PX + WINDOW_PX / 2 - y) / _NEAR_SIGMA_PX
        across = (np.arange(columns) * STRIDE_PX + WINDOW_PX / 2 - x) / _NEAR_SIGMA_PX
        # Relative to the nearest, so that the picture's border has one, too.
        down, across = (np.exp(-0.5 * (axis**2 - (axis**2).min())) for axis in (down, across))
        weights = down[:, None] * across[None, :]
        mean = (self.log_shares * weights).sum(axis=(1, 2)) / weights.sum()
        return verdict_of(mean * _INDEPENDENT_NEARBY)

    def share_moved_like(self, whole: BlurVerdict) -> float:
        """Return the share of windows that moved as the picture did, 0 … 1, from a sample of them.

        Args:
            whole: Straight motion.
        """
        flat = self.log_shares.reshape(CLASSES, -1)
        flat = flat[:, :: max(flat.shape[1] // _SAMPLED_WINDOWS, 1)]
        own = whole.strength_px * np.array([math.cos(whole.angle), math.sin(whole.angle)])
        near = 0
        for window in flat.T:
            seen = verdict_of(window)
            vector = seen.strength_px * np.array([math.cos(seen.angle), math.sin(seen.angle)])
            off = min(np.hypot(*(vector - own)), np.hypot(*(vector + own)))
            near += seen.kind == "line" and bool(off <= _ALIKE_PX + _ALIKE * whole.strength_px)
        return near / flat.shape[1]

    @property
    def noise(self) -> float:
        """Standard deviation of the picture's noise in levels of 255: the median of its windows."""
        return float(np.median(self.noise_levels))


def verdict_of(log_shares: npt.NDArray[np.float64], known: Kind | None = None) -> BlurVerdict:
    """Decide: the likeliest kind, and the mean strength around its likeliest class.

    Args:
        log_shares: `classes`, up to a constant.
        known: The kind, where it is known; None: the likeliest.
    """
    shares = np.exp(log_shares - log_shares.max())
    shares /= shares.sum()
    by_kind = {kind: float(shares[span].sum()) for kind, span in SPANS.items()}
    kind = max(by_kind, key=lambda one: by_kind[one]) if known is None else known
    own = shares[SPANS[kind]]
    peak = int(own.argmax())
    if kind == "line":
        x, y = _mean_vector(own, peak)
        return BlurVerdict(
            kind=kind, share=by_kind[kind], strength_px=math.hypot(x, y), angle=math.atan2(y, x) % math.pi
        )
    near = slice(max(peak - 1, 0), peak + 2)
    values = {"gaussian": np.log(SIGMAS_PX), "defocus": RADII_PX, "path": PATH_LENGTHS_PX}[kind]
    mean = float((own[near] * values[near]).sum() / own[near].sum())
    return BlurVerdict(kind=kind, share=by_kind[kind], strength_px=math.exp(mean) if kind == "gaussian" else mean)


def _mean_vector(shares: npt.NDArray[np.float64], peak: int) -> tuple[float, float]:
    """Return the mean of the vectors near the likeliest one; those near its opposite are turned round."""
    centre = LINES_PX[peak]
    turned = np.where((LINES_PX @ centre < 0)[:, None], -LINES_PX, LINES_PX)
    near = np.hypot(*(turned - centre).T) <= _NEAR_PX
    x, y = (shares[near, None] * turned[near]).sum(axis=0) / shares[near].sum()
    return float(x), float(y)
