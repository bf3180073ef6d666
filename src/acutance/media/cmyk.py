"""CMYK pictures become RGB through their colour profile; without one nobody knows what their numbers mean.

The network works in RGB, and a result that went back to CMYK would be separated anew, with other blacks than the
original's: so the result stays RGB, in sRGB, and that is said.
"""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

from PIL import Image, ImageCms

from acutance.errors import UnsupportedImage, first_line
from acutance.media.container import Container, damaged, refused

NOTE = "CMYK (converted to sRGB through its colour profile)"
_DATE = slice(24, 36)
"""Of a profile: when it was made, six numbers of 16 bits."""


def converted(container: Container, name: str) -> Container:
    """Return what is known of a CMYK picture as it will be when it is RGB.

    Raises:
        UnsupportedImage: When it has no profile for CMYK.
    """
    profile = container.metadata.icc_profile
    if profile is None or profile[16:20] != b"CMYK":
        remedy = "assign the profile that it was made for, or convert it to RGB, in a program that shows it right"
        raise refused(name, "a CMYK picture without a colour profile that says what its inks look like", remedy)
    metadata = replace(
        container.metadata,
        icc_profile=srgb_profile(),
        coding=None,
        left_out=(*container.metadata.left_out, NOTE),
    )
    return container._replace(metadata=metadata, cmyk_profile=profile)


def to_rgb(image: Image.Image, profile: bytes, name: str) -> Image.Image:
    """Convert a loaded picture of mode CMYK to sRGB, as seen on the paper: black stays the darkest there is.

    Raises:
        UnsupportedImage: When the profile is damaged.
    """
    if image.mode != "CMYK":
        raise damaged(name, "it says that it is CMYK, and is not")
    try:
        rgb = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise UnsupportedImage(
            f"{name} is a CMYK picture whose colour profile is damaged ({first_line(error)}); assign it a "
            "sound one first."
        ) from error
    if rgb is None:
        raise damaged(name, "its colours cannot be converted")
    return rgb


@cache
def srgb_profile() -> bytes:
    """Return the profile of sRGB: always the same bytes, so that results do not depend on the day."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[_DATE] = b"\x07\xd0\0\1\0\1\0\0\0\0\0\0"  # 1 January 2000
    return bytes(made)
