"""A picture enlarged without a network: what the strength blends with where a model enlarges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.geometry import Box, Size, with_halo
from acutance.imaging.convert import PixelType, to_batch
from acutance.imaging.pad import mirrored_part
from acutance.imaging.resize import resize_bicubic

BICUBIC_PX = 3
"""A bicubic filter that enlarges sees no further; no halo is narrower."""


def enlarged_part(pixels: npt.NDArray[PixelType], box: Box, scale: int, *, within: Box) -> npt.NDArray[np.float32]:
    """Return a part of a picture enlarged by a bicubic filter, `3 h w`; beyond the picture is its mirror image.

    What the filter sees of its surroundings is inside the halo, so tiles leave no seams.
    """
    seen = with_halo(box, within=within, halo_px=BICUBIC_PX).source
    picture = np.moveaxis(to_batch(mirrored_part(pixels, seen))[0], 0, 2).astype(np.float64)
    enlarged = resize_bicubic(picture, Size(seen.size.height * scale, seen.size.width * scale))
    rows, columns = box.shifted(seen.top, seen.left).scaled(scale).slices
    return np.ascontiguousarray(np.moveaxis(enlarged[rows, columns], 2, 0), np.float32)
