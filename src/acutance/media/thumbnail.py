"""The small picture in an EXIF block: made anew, so that it shows what the photo shows now."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from acutance.errors import InputError
from acutance.media.exif import thumbnail_of, with_thumbnail
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import decoding, open_plugin, picture_of

QUALITIES = (85, 70, 55, 40)
"""Tried in turn until the EXIF block is no longer than a JPEG segment."""
MAX_EXIF_BYTES = 65527
_OVERSAMPLING = 4


def has_thumbnail(metadata: Metadata) -> bool:
    """Say whether there is one."""
    return metadata.exif is not None and thumbnail_of(metadata.exif) is not None


def with_new_thumbnail(photo: Photo) -> Photo:
    """Return a photo whose EXIF thumbnail, if it has one, is made of its pixels; of the size that it had.

    A thumbnail that cannot be read is left as it is.
    """
    exif = photo.metadata.exif
    old = None if exif is None else thumbnail_of(exif)
    if exif is None or old is None:
        return photo
    try:
        with decoding("the thumbnail"):
            box = open_plugin(io.BytesIO(old), JpegImageFile).size
    except InputError:
        return photo
    small = _small(photo, box)
    for quality in QUALITIES:
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality)
        renewed = with_thumbnail(exif, buffer.getvalue())
        if len(renewed) <= max(len(exif), MAX_EXIF_BYTES):
            return replace(photo, metadata=replace(photo.metadata, exif=renewed))
    return photo


def _small(photo: Photo, box: tuple[int, int]) -> Image.Image:
    """Return a photo in a size that fits into a box, width and height, one way round or the other."""
    height, width = photo.size
    if (height > width) != (box[1] > box[0]):
        box = (box[1], box[0])
    scale = min(box[0] / width, box[1] / height, 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    # A part of the pixels is enough, and the whole of a large photo would be one more copy of it.
    step = max(int(1 / scale) // _OVERSAMPLING, 1)
    some = Photo(pixels=photo.pixels[::step, ::step]).in_8_bits()
    return picture_of(some).resize(size, Image.Resampling.LANCZOS)
