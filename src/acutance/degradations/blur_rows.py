"""Kinds of blur to draw from, as rows of a blur stage: what a TOML file says of each, and how its kernels are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.degradations import psf as psfs
from acutance.degradations.draws import Spacing, check_range, uniform
from acutance.degradations.kernel_bank import kernel_bank
from acutance.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian:
    """Gaussian blur; `anisotropy` above 1 draws an axis that is up to so many times as long as the other."""

    kind: Literal["gaussian"] = "gaussian"
    weight: float = 1.0
    """Share of the draws of its blur stage, relative to the others."""
    sigma_px: tuple[float, float] = (0.3, 4.0)
    """Range of the standard deviation (of the longer axis) in px."""
    spacing: Spacing = "linear"
    """Whether σ is drawn evenly or evenly in its logarithm."""
    anisotropy: float = 1.0
    """Largest ratio of the axes."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("gaussian.sigma_px", self.sigma_px, low=0.05, high=32.0, spacing=self.spacing)
        if not 1.0 <= self.anisotropy <= 16.0:
            raise ConfigError(f"gaussian.anisotropy = {self.anisotropy}: must lie within 1 … 16.")

    @property
    def reach_px(self) -> float:
        """Radius that the widest kernel needs: at 3σ it has fallen to a hundredth."""
        return 3.0 * self.sigma_px[1]

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        sigma = uniform(count, self.sigma_px, generator, spacing=self.spacing)
        ratio = uniform(count, (1.0, self.anisotropy), generator)
        angle = psfs.uniform_angle(count, generator)
        return psfs.gaussian_psf(sigma, sigma / ratio, angle, radius_px=radius_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defocus:
    """Defocus blur: a disk."""

    kind: Literal["defocus"] = "defocus"
    weight: float = 1.0
    """Share of the draws of its blur stage."""
    disk_radius_px: tuple[float, float] = (0.5, 4.0)
    """Range of the disk's radius in px."""

    def __post_init__(self) -> None:
        """Check the range."""
        check_range("defocus.disk_radius_px", self.disk_radius_px, low=0.0, high=64.0)

    @property
    def reach_px(self) -> float:
        """Radius that the widest kernel needs."""
        return self.disk_radius_px[1]

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        return psfs.disk_psf(uniform(count, self.disk_radius_px, generator), radius_px=radius_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Straight motion of constant speed, in any direction."""

    kind: Literal["line"] = "line"
    weight: float = 1.0
    """Share of the draws of its blur stage."""
    length_px: tuple[float, float] = (2.0, 20.0)
    """Range of the path's length in px."""

    def __post_init__(self) -> None:
        """Check the range."""
        check_range("line.length_px", self.length_px, low=0.0, high=128.0)

    @property
    def reach_px(self) -> float:
        """Radius that the longest path needs."""
        return self.length_px[1] / 2.0

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        length = uniform(count, self.length_px, generator)
        return psfs.line_psf(length, psfs.uniform_angle(count, generator), radius_px=radius_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shake:
    """Camera shake: a random walk with inertia."""

    kind: Literal["shake"] = "shake"
    weight: float = 1.0
    """Share of the draws of its blur stage."""
    length_px: tuple[float, float] = (3.0, 15.0)
    """Range of the path's extent in px; its softening adds one on each side."""
    inertia: float = 0.9
    """Share of the velocity kept between two of the path's points; nearer 1 is straighter."""
    origin: psfs.Origin = "box"
    """Where the sharp picture lies: at the middle of the path's box, or at half of the exposure."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("shake.length_px", self.length_px, low=0.0, high=128.0)
        if not 0.0 <= self.inertia < 1.0:
            raise ConfigError(f"shake.inertia = {self.inertia}: must lie in [0, 1).")

    @property
    def reach_px(self) -> float:
        """Radius that the longest path needs: half its extent, to the next whole pixel, and one for its softening."""
        return self.length_px[1] / 2.0 + 1.0

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        length = uniform(count, self.length_px, generator)
        return psfs.shake_psf(
            length, inertia=self.inertia, radius_px=radius_px, generator=generator, origin=self.origin
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Kernels measured elsewhere, from a NumPy `.npz` file of 2-D arrays; one is drawn per image."""

    file: Path
    """The `.npz` file."""
    kind: Literal["measured"] = "measured"
    weight: float = 1.0
    """Share of the draws of its blur stage."""
    reach_px: ClassVar[float] = 0.0
    """Known only once the file is read; kernels too large are left out then."""

    def draw(self, count: int, radius_px: int, generator: torch.Generator) -> Float[Tensor, "n s s"]:
        """Draw one kernel per image."""
        bank = kernel_bank(self.file, radius_px).to(generator.device)
        choice = torch.randint(bank.shape[0], (count,), generator=generator, device=generator.device)
        return bank[choice]


BlurRow = Gaussian | Defocus | Line | Shake | Measured
