"""What training and exporting ask of a generator, whoever made it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Shape(Protocol):
    """What the settings of a generator say of it; all lengths in input px."""

    @property
    def scale(self) -> int:
        """Output size over input size: 1 or 2."""

    @property
    def size_multiple(self) -> int:
        """Input height and width must be multiples of this."""

    @property
    def guides(self) -> int:
        """Deconvolved pictures that it is given beside the degraded one."""

    @property
    def channels_in(self) -> int:
        """Channels of its input."""

    @property
    def halo_px(self) -> int:
        """Context that a tile needs on each side; 0 where that is not known."""

    @property
    def receptive_radius_px(self) -> int:
        """How far an output pixel looks; 0 where that is not known."""

    @property
    def feather_px(self) -> int:
        """0: tiles are exact. Else they overlap by so much and are blended."""

    @property
    def macs_per_pixel(self) -> int:
        """Multiply-accumulate operations per input pixel."""
