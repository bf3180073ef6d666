"""Results that ring are taken back, by place, in pictures of any size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.plausibility import FLOOR, WINDOW_PX, believed, mean_step
from acutance.geometry import Size, plan_tiles
from acutance.imaging.convert import PixelType, to_float

_TILE_PX = 1024
_LUMA = (0.299, 0.587, 0.114)


def grey_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the brightness `h w` of `h w 3` RGB or `h w 1` grey."""
    grey = values[..., 0] if values.shape[2] == 1 else values @ np.array(_LUMA, np.float32)
    return np.ascontiguousarray(grey)


def keep_what_is_believed(pixels: npt.NDArray[PixelType], restored: npt.NDArray[np.float32]) -> None:
    """Put back what was seen where a deconvolved picture rings, in place.

    What the kernel brings where it is right is measured on the picture as a whole: by how much its steps grew.

    Args:
        pixels: `h w c`: the blurred picture.
        restored: `h w c` in [0, 1]: the deconvolved one; changed.
    """
    tiles = list(plan_tiles(Size(*pixels.shape[:2]), tile_px=_TILE_PX, halo_px=WINDOW_PX))
    before = after = 0.0
    for tile in tiles:
        inside = tile.target.slices
        before += tile.target.size.pixels * mean_step(grey_of(to_float(pixels[inside])))
        after += tile.target.size.pixels * mean_step(grey_of(restored[inside]))
    usual = max(after / (before + FLOOR * pixels.shape[0] * pixels.shape[1]), 1.0)
    shares = np.empty(pixels.shape[:2], np.float32)
    for tile in tiles:
        source = tile.source.slices
        share = believed(grey_of(to_float(pixels[source])), grey_of(restored[source]), usual)
        shares[tile.target.slices] = share[tile.target.shifted(tile.source.top, tile.source.left).slices]
    for tile in tiles:
        inside = tile.target.slices
        seen = to_float(pixels[inside])
        restored[inside] = seen + shares[inside][..., np.newaxis] * (restored[inside] - seen)
