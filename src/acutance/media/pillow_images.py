"""Pillow's images become photos and photos its images: for programs that have one and want the other."""

from __future__ import annotations

import numpy as np
from PIL import Image

from acutance.errors import InputError, UnsupportedImage
from acutance.media.exif import without_prefix
from acutance.media.formats import FORMATS
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import arrays_of, decoding, dpi_of, picture_of

_GREY_16_MODES = ("I;16", "I;16L", "I;16B")


def from_pil(image: Image.Image) -> Photo:
    """Make a photo of a Pillow image; of an animation, the frame at which it stands.

    Args:
        image: Any 8-bit mode: 1, L, LA, P, RGB, RGBA, …, or 16-bit grey (I;16). EXIF, ICC profile, XMP and
            resolution are taken from its `info`, and the pixels as they are: nothing is rotated.

    Raises:
        UnsupportedImage: For other modes (CMYK, F, …), without pixels, or when the file behind the image is damaged.
    """
    if 0 in image.size:
        raise UnsupportedImage(f"an image of {image.width}×{image.height} px: holds no pixels.")
    with decoding("the image"):
        image.load()
        if image.mode in _GREY_16_MODES:
            values = np.asarray(image).astype(np.uint16)
            return Photo(pixels=values[:, :, np.newaxis], metadata=_metadata(image))
        pixels, alpha = arrays_of(image, "the image")
    return Photo(pixels=pixels, alpha=alpha, metadata=_metadata(image))


def to_pil(photo: Photo) -> Image.Image:
    """Make a Pillow image of a photo: mode L, LA, RGB, RGBA or I;16, with the metadata that Pillow knows in `info`.

    Pillow writes them only when told to: `image.save(path, exif=image.info["exif"])`, and so on.

    Raises:
        InputError: When the photo has 16 bits per channel and is not plain grey.
    """
    if photo.bits > 8 and (photo.pixels.shape[2] > 1 or photo.alpha is not None):
        raise InputError("a photo of 16 bits per channel in colour: Pillow has no such pictures; use its pixels.")
    image = picture_of(photo)
    metadata = photo.metadata
    if metadata.exif is not None:
        image.info["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.icc_profile is not None:
        image.info["icc_profile"] = metadata.icc_profile
    if metadata.xmp is not None:
        image.info["xmp"] = metadata.xmp
    if metadata.dpi is not None:
        image.info["dpi"] = metadata.dpi
    return image


def _metadata(image: Image.Image) -> Metadata:
    info = image.info
    exif, xmp, profile = info.get("exif"), info.get("xmp"), info.get("icc_profile")
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return Metadata(
        source_format=image.format if image.format in FORMATS else None,
        exif=without_prefix(exif) if isinstance(exif, bytes) and exif else None,
        icc_profile=profile if isinstance(profile, bytes) and profile else None,
        xmp=xmp if isinstance(xmp, bytes) and xmp else None,
        dpi=dpi_of(image),
    )
