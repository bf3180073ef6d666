"""What is done with pictures, whatever network runs: all that a sharpener is told about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from acutance.engines.processor import pool_size, within_cpus
from acutance.errors import ConfigError
from acutance.inference.back_projecting import is_corrected
from acutance.inference.memory import allowed_bytes, check_limits
from acutance.inference.tiling import DEFAULT_TILE_PX, SMALLEST_TILE_PX
from acutance.ranges import whole_number
from acutance.spec import ModelSpec

if TYPE_CHECKING:
    from acutance.inference.told import Region, ToldBlur
    from acutance.provenance.credential import SigningCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSettings:
    """What is done with pictures. Travels as it is from whoever asks for it to whatever restores them."""

    told: ToldBlur | None = None
    """What blurred them, for the model `motion`, which then does not look for it."""
    region: Region | None = None
    """The part of each that is restored; None is the whole."""
    back_projection: bool | None = None
    """Whether what the network gives is corrected by what was seen; None: of acutance's own models."""
    tile_px: int | None = None
    """Longest side of the network's tiles; None is the model's, or the measured default."""
    threads: int | None = None
    """For what is computed outside the network; None is one per core."""
    max_pixels: int | None = None
    """Larger pictures are refused before they are decoded; None: see `Sharpener`."""
    max_memory_mb: int | None = None
    """About what the process may take; None: see `Sharpener`."""
    signed_by: SigningCredential | None = None
    """Whose manifest the files get that become of them (C2PA); None: none."""

    def __post_init__(self) -> None:
        """Check each for itself; `check` asks whether a model can do it.

        Raises:
            ConfigError: When one is out of range.
        """
        if self.tile_px is not None:
            tile_px = whole_number("tile", self.tile_px, low=SMALLEST_TILE_PX, unit=" px")
            object.__setattr__(self, "tile_px", tile_px)
        within_cpus(self.threads)
        check_limits(max_pixels=self.max_pixels, max_memory_mb=self.max_memory_mb)
        if self.told is not None or self.region is not None:
            from acutance.inference.told import check_kinds

            check_kinds(self.told, self.region)

    def check(self, spec: ModelSpec) -> None:
        """Refuse what a model cannot be told, or cannot do in a part of a picture.

        Raises:
            ConfigError: When it is not one that can be told, or enlarges what only a part of is wanted.
        """
        if self.told is not None and not spec.guides:
            raise ConfigError(f"model {spec.name}: cannot be told what blurred a picture; take the model motion.")
        if self.region is not None and spec.scale != 1:
            raise ConfigError(f"model {spec.name}: enlarges pictures, of which no part can be; leave the region out.")

    def tile_of(self, spec: ModelSpec) -> int:
        """Return the longest side of a model's tiles, in px."""
        return self.tile_px or spec.tile_px or DEFAULT_TILE_PX

    def corrects(self, spec: ModelSpec) -> bool:
        """Say whether what a model gives is corrected by what was seen.

        A region is to be as in the whole, of which far more counts for the correction than for the network.
        """
        return self.region is None and is_corrected(spec, wanted=self.back_projection)

    def reduced(self, factor: int) -> PictureSettings:
        """Return them for pictures at 1/`factor` of their size."""
        return self if self.region is None else replace(self, region=self.region.reduced(factor))

    @property
    def memory_bytes(self) -> float:
        """What the process may take."""
        return allowed_bytes(self.max_memory_mb)

    @property
    def pool_size(self) -> int:
        """How many threads compute outside the network."""
        return pool_size(self.threads)

    @property
    def words(self) -> str:
        """What was told of the pictures, in words; empty where nothing was."""
        return ", ".join(str(one) for one in (self.told, self.region and f"region {self.region}") if one)


WHOLE: Final = PictureSettings()
"""Whole pictures of which nothing is known."""
