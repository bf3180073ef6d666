"""`inspect`: what is wrong with a picture, whether sharpening helps and how, as plain values."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.estimation.kinds import STRENGTH_WITHIN, Softness
from acutance.estimation.noise import GRAIN_WITHIN, WHITE_WITHIN
from acutance.geometry import Box
from acutance.inference.arrays import GivesDLPack, array_of, as_picture
from acutance.inference.choosing import Worth, advice_on
from acutance.inference.inspecting import look_at
from acutance.inference.look import Look
from acutance.media import DEFAULT_MAX_PIXELS, Photo, from_pil, open_pictures
from acutance.ranges import number_within
from acutance.zoo.catalogue import MODEL_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was seen in a picture, and what to do about it.

    Sizes, places and directions are those of the picture as it is looked at, whatever the orientation tag of its file
    says: the angle is what `ToldBlur.motion` takes.

    A field that ends in `_confidence` is a probability, calibrated on held-out pictures: how sure it is that what the
    field before it says is right. `_within` is half of an interval that held nine of ten of them, as a share of the
    value.
    """

    width: int
    height: int
    kind: Softness | None
    """`sharp`, `gaussian` (even softness), `defocus`, `line` (straight motion), `path` (curved motion, shake); None
    where nothing in the picture tells."""
    kind_confidence: float | None
    strength_px: float | None
    """σ of even softness, radius of a disk, length of motion; None for sharp pictures, too."""
    strength_within: float | None
    angle_degrees: float | None
    """Of straight motion, from right towards down, 0 … 180."""
    softness_px: float | None
    """The σ of a Gaussian that spreads light as far: what pictures of all kinds can be sorted by."""
    agreement: float
    """Share of the places looked at that are as soft as the whole; below one half the softness is mixed."""
    is_mixed: bool
    noise_levels: float | None
    """Standard deviation in levels of 255."""
    noise_within: float | None
    noise_is_correlated: bool | None
    """Whether it is grain, which covers several pixels; None where there is too little noise to tell."""
    noise_is_correlated_confidence: float | None
    jpeg_quality: int | None
    """1 … 100, read from the file's tables; None for other files."""
    jpeg_is_doubled: bool | None
    """Whether it was saved before with a lower quality."""
    jpeg_is_doubled_confidence: float | None
    is_enlarged: bool | None
    is_enlarged_confidence: float | None
    enlarged_factor: float | None
    """About how many times, if it was."""
    clipped_black: float
    """Share of the pixels, 0 … 1."""
    clipped_white: float
    brightness: float
    """What one pixel in two hundred exceeds, 0 … 1."""
    worth: Worth
    """What sharpening brings: `none`, `little` (too noisy), `some`, `much`, or `unknown`."""
    model: str | None
    """Which model suits it; None: leave it as it is."""
    strength: float
    """At which to sharpen."""
    gain_db: float | None
    """Expected gain in PSNR: the mean of test photos that look like it."""
    words: str
    """All that in one clause."""
    worst: tuple[int, int, int, int] | None
    """The softest place looked at: top, left, bottom, right."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def inspect(
    image: str | Path | bytes | bytearray | memoryview | npt.NDArray[Any] | Image.Image | GivesDLPack,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    threads: int | None = None,
) -> Inspection:
    """Say what is wrong with a picture, whether sharpening helps, and how. Nothing is changed.

    Args:
        image: A path, the bytes of a file (of an animation or pages: the first picture), an array as `Sharpener` takes
            it, or a PIL image.
        max_pixels: Larger pictures are refused before they are decoded.
        threads: At most one per CPU for this process; None is one per core.

    Raises:
        InputError: When the picture cannot be read or is of a kind that is not supported.
        ConfigError: When `threads` or `max_pixels` is less than one.

    Examples:
        >>> import numpy as np
        >>> inspect(np.zeros((32, 48, 3), np.uint8)).words
        'nothing in it shows how blurred it is: leave it as it is'
    """
    number_within("max_pixels", max_pixels, 1, math.inf)
    if not isinstance(image, str | Path | bytes | bytearray | memoryview | Image.Image):
        picture = as_picture(array_of(image))
        alpha = picture[..., 3] if picture.shape[2] == 4 else None
        return inspection_of(look_at(picture[..., :3], alpha=alpha, threads=threads))
    if isinstance(image, Image.Image):
        photo = from_pil(image)
    else:
        photo = first_photo(Path(image) if isinstance(image, str | Path) else bytes(image), max_pixels=max_pixels)
    return inspection_of(look_at(photo.pixels, photo.metadata, alpha=photo.alpha, threads=threads))


def first_photo(source: Path | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Decode the first picture of a file.

    Raises:
        InputError: See `open_pictures`.
    """
    with open_pictures(source, max_pixels=max_pixels, max_bits=16) as pictures:
        photos = pictures.photos()
        try:
            return next(photos)
        finally:
            photos.close()


def inspection_of(look: Look) -> Inspection:
    """Put what was seen, and the advice on it, into plain values."""
    advice, softness, noise, jpeg, enlarged = advice_on(look), look.softness, look.noise, look.jpeg, look.enlargement
    is_soft = softness is not None and softness.kind != "sharp"
    worst = look.worst
    return Inspection(
        width=look.size.width,
        height=look.size.height,
        kind=None if softness is None else softness.kind,
        kind_confidence=None if softness is None else round(softness.confidence, 3),
        strength_px=round(softness.verdict.strength_px, 2) if softness is not None and is_soft else None,
        strength_within=STRENGTH_WITHIN.get(softness.kind) if softness is not None else None,
        angle_degrees=round(float(np.degrees(softness.verdict.angle)) % 180, 1)
        if softness is not None and softness.kind == "line"
        else None,
        softness_px=None if softness is None else round(softness.softness_px, 2),
        agreement=round(look.agreement, 2),
        is_mixed=softness is not None and look.is_mixed,
        noise_levels=None if noise is None else round(noise.levels, 1),
        noise_within=None if noise is None else GRAIN_WITHIN if noise.is_correlated else WHITE_WITHIN,
        noise_is_correlated=None if noise is None or noise.correlation_chance is None else noise.is_correlated,
        noise_is_correlated_confidence=None if noise is None else _sure(noise.correlation_chance),
        jpeg_quality=None if jpeg is None else jpeg.quality,
        jpeg_is_doubled=None if jpeg is None or jpeg.doubled_chance is None else jpeg.is_doubled,
        jpeg_is_doubled_confidence=None if jpeg is None else _sure(jpeg.doubled_chance),
        is_enlarged=None if enlarged is None else look.is_enlarged,
        is_enlarged_confidence=None if enlarged is None else _sure(enlarged.chance),
        enlarged_factor=round(enlarged.factor, 2) if enlarged is not None and look.is_enlarged else None,
        clipped_black=round(look.clipped_black, 4),
        clipped_white=round(look.clipped_white, 4),
        brightness=round(look.brightness, 3),
        worth=advice.worth,
        model=None if advice.purpose is None else MODEL_FOR[advice.purpose],
        strength=advice.strength,
        gain_db=advice.gain_db,
        words=f"{advice.seen}: {advice.counsel}",
        worst=None if worst is None else (worst.box.top, worst.box.left, worst.box.bottom, worst.box.right),
    )


def worst_place(photo: Photo, inspection: Inspection) -> npt.NDArray[Any] | None:
    """Return the pixels of the softest place, `h w c`; None where nothing was looked at."""
    return None if inspection.worst is None else photo.upright().pixels[Box(*inspection.worst).slices]


def _sure(chance: float | None) -> float | None:
    """Return the probability of what is said, from the one of what is asked."""
    return None if chance is None else round(max(chance, 1 - chance), 3)
