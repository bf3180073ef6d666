"""A photo with bars or a frame around it, restored within them: they stay as they are, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from acutance.geometry import Box
from acutance.imaging.borders import photo_in
from acutance.imaging.picture import Picture
from acutance.inference.picture_settings import PictureSettings

if TYPE_CHECKING:
    from acutance.inference.told import Region


def restored_in_frame(
    picture: Picture, settings: PictureSettings, restore: Callable[[Picture, PictureSettings], Picture]
) -> Picture:
    """Return a picture whose photo was restored, without what lies around it.

    Blur is undone as if it went on beyond a picture's border. It did not at the edge of a bar or of a frame, which were
    put around the blurred photo: ripples of that edge, on both sides of it, made the result worse than the photo.

    Args:
        picture: Any.
        settings: What is done with it; a region of it counts that far as it lies in the photo.
        restore: Called with the photo and the settings for it; returns as much.

    Raises:
        ConfigError: When the region lies outside the picture.
    """
    photo, region = photo_and_region(picture, settings.region)
    if photo == Box(0, 0, *picture.pixels.shape[:2]):
        return restore(picture, settings)
    restored = restore(picture.part(*photo.slices), replace(settings, region=region))
    result = picture.each(np.copy)
    result.pixels[photo.slices] = restored.pixels
    if result.alpha is not None and restored.alpha is not None:
        result.alpha[photo.slices] = restored.alpha
    return result


def photo_and_region(picture: Picture, region: Region | None) -> tuple[Box, Region | None]:
    """Return where the photo lies in a picture, and a region of the picture in it.

    A region beside the photo, and the picture as a whole with it, stay what they are.

    Raises:
        ConfigError: When the region lies outside the picture.
    """
    photo = photo_in(picture)
    if region is None:
        return photo, None
    from acutance.inference.told import SMALLEST_REGION_PX, Region

    whole = Box(0, 0, *picture.pixels.shape[:2])
    inner = region.box_in(whole.size).within(photo).shifted(photo.top, photo.left)
    if photo == whole or min(inner.size) < SMALLEST_REGION_PX:
        return whole, region
    height, width = inner.size
    return photo, Region(x=inner.left, y=inner.top, width=width, height=height)
