"""Pictures that are drawn, not taken: pages, number plates, signs, screens and line drawings, each from its number.

Photos hold few of them, and a network that has seen photos alone takes strokes for blur: it tells 7 px of a plate that
moved by 12. What is drawn here is sharp to the pixel and free of noise, as a truth has to be.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from acutance.data.photo_store import PhotoStore, StoredPhoto

SIDE_PX: Final = 480
_FINER: Final = 2
"""Shapes are drawn this much larger and reduced, so that their edges lie between pixels, too."""
_LETTERS: Final = string.ascii_letters + string.digits + "    .,:;-()/&%"
_PLATE: Final = string.ascii_uppercase + string.digits
_WORD_SIZES_PX: Final = (9, 34)
_PLATE_SIZES_PX: Final = (18, 90)

_Colour: TypeAlias = tuple[int, int, int]
_Picture: TypeAlias = npt.NDArray[np.uint8]


def drawing(number: int, *, fonts: Sequence[Path] = ()) -> _Picture:
    """Draw a picture; the same number and fonts give the same one.

    Args:
        number: Which.
        fonts: TrueType files that letters are taken from, beside Pillow's own.

    Returns:
        `480 480 3`, sRGB.
    """
    rng = np.random.default_rng(number)
    kind = _KINDS[number % len(_KINDS)]
    return np.asarray(kind(rng, fonts), dtype=np.uint8)


def with_drawings(store: PhotoStore, count: int, *, fonts: Sequence[Path] = ()) -> PhotoStore:
    """Return a store that holds drawings beside its photos, all of it in memory.

    Args:
        store: The photos.
        count: Drawings, numbers 0 … count − 1.
        fonts: See `drawing`.
    """
    drawn = [drawing(number, fonts=fonts) for number in range(count)]
    begin = store.pixels.size
    entries = tuple(
        StoredPhoto(f"drawing-{number}", picture.size, SIDE_PX, SIDE_PX, begin + number * picture.size)
        for number, picture in enumerate(drawn)
    )
    pixels = np.concatenate([store.pixels, *(picture.ravel() for picture in drawn)])
    return PhotoStore(store.photos + entries, pixels, store.skipped)


def _colour(rng: np.random.Generator, low: int = 0, high: int = 255) -> _Colour:
    """Draw a colour that is nearly grey as often as not."""
    level = rng.integers(low, high + 1)
    spread = rng.choice([4, 60])
    red, green, blue = np.clip(level + rng.integers(-spread, spread + 1, 3), 0, 255)
    return int(red), int(green), int(blue)


def _two_colours(rng: np.random.Generator) -> tuple[_Colour, _Colour]:
    """Draw colours for letters and for what lies behind them: apart by 60 levels and more."""
    dark, light = _colour(rng, 0, 90), _colour(rng, 150, 255)
    return (dark, light) if rng.random() < 0.7 else (light, dark)


def _font(rng: np.random.Generator, fonts: Sequence[Path], size_px: float) -> ImageFont.FreeTypeFont:
    choice = int(rng.integers(len(fonts) + 1))
    if choice < len(fonts):
        return ImageFont.truetype(fonts[choice], size_px)
    own = ImageFont.load_default(size_px)
    assert isinstance(own, ImageFont.FreeTypeFont)  # a bitmap only where Pillow was built without FreeType
    return own


def _text(rng: np.random.Generator, letters: str, length: int) -> str:
    return "".join(rng.choice(list(letters), length))


def _ground(rng: np.random.Generator, colour: _Colour) -> Image.Image:
    """Return an even ground, or one that changes slowly: paper in uneven light."""
    x, y = np.meshgrid(*[np.linspace(-0.5, 0.5, SIDE_PX)] * 2)
    slope = rng.normal(0, rng.choice([0.0, 40.0]), 2)
    levels = np.array(colour) + (slope[0] * x + slope[1] * y)[..., None]
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _page(rng: np.random.Generator, fonts: Sequence[Path]) -> Image.Image:
    """Draw a page of text, a little turned as often as not."""
    ink, paper = _two_colours(rng)
    picture = _ground(rng, paper)
    mask = Image.new("L", picture.size)
    pen = ImageDraw.Draw(mask)
    top = float(rng.uniform(-10, 10))
    while top < SIDE_PX:
        size = float(np.exp(rng.uniform(*np.log(_WORD_SIZES_PX))))
        pen.text((float(rng.uniform(-5, 40)), top), _text(rng, _LETTERS, 90), 255, _font(rng, fonts, size))
        top += size * rng.uniform(1.0, 1.8)
    if rng.random() < 0.5:
        mask = mask.rotate(float(rng.uniform(-20, 20)), Image.Resampling.BICUBIC)
    picture.paste(ink, mask=mask)
    return picture


def _plates(rng: np.random.Generator, fonts: Sequence[Path]) -> Image.Image:
    """Draw number plates and signs: large letters within a frame."""
    picture = _lines(rng, fonts) if rng.random() < 0.5 else _ground(rng, _colour(rng))
    for _ in range(rng.integers(3, 9)):
        ink, ground = _two_colours(rng)
        size = float(np.exp(rng.uniform(*np.log(_PLATE_SIZES_PX))))
        font = _font(rng, fonts, size)
        words = _text(rng, _PLATE, int(rng.integers(3, 9)))
        left, top, right, bottom = font.getbbox(words)
        margin = round(size * 0.25)
        plate = Image.new("RGB", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin), ground)
        pen = ImageDraw.Draw(plate)
        pen.text((margin - left, margin - top), words, ink, font)
        if rng.random() < 0.7:
            pen.rectangle((1, 1, plate.width - 2, plate.height - 2), outline=ink, width=max(1, round(size / 16)))
        mask = Image.new("L", plate.size, 255)
        angle = float(rng.normal(0, 8))
        plate, mask = (part.rotate(angle, Image.Resampling.BICUBIC, expand=True) for part in (plate, mask))
        where = rng.integers(-40, SIDE_PX - 60, 2)
        picture.paste(plate, (int(where[0]), int(where[1])), mask)
    return picture


def _lines(rng: np.random.Generator, fonts: Sequence[Path]) -> Image.Image:
    """Draw lines, outlines and filled shapes."""
    del fonts
    side = SIDE_PX * _FINER
    picture = Image.new("RGB", (side, side), _colour(rng))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(15, 90)):
        ends = [(float(x), float(y)) for x, y in rng.uniform(-0.1 * side, 1.1 * side, (int(rng.integers(2, 5)), 2))]
        width, colour = int(rng.integers(1, 14)), _colour(rng)
        shape = rng.integers(3)
        if shape == 0 or len(ends) == 2:
            pen.line(ends, colour, width)
        elif shape == 1:
            pen.polygon(ends, colour)
        else:
            (x, y), radius = ends[0], float(rng.uniform(4, 160))
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour if rng.random() < 0.5 else None,
                        _colour(rng), width)  # fmt: skip
    return picture.reduce(_FINER)


def _screen(rng: np.random.Generator, fonts: Sequence[Path]) -> Image.Image:
    """Draw a program's window: even boxes on whole pixels, thin frames, small words."""
    picture = Image.new("RGB", (SIDE_PX, SIDE_PX), _colour(rng, 120, 255))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(10, 40)):
        left, top = (int(value) for value in rng.integers(-20, SIDE_PX, 2))
        width, height = int(rng.integers(20, 240)), int(rng.integers(12, 90))
        ink, ground = _two_colours(rng)
        pen.rectangle((left, top, left + width, top + height), ground, ink if rng.random() < 0.6 else None)
        words = _text(rng, _LETTERS, int(rng.integers(2, 24)))
        pen.text((left + 4, top + 2), words, ink, _font(rng, fonts, float(rng.uniform(9, 20))))
    return picture


_KINDS: Final[tuple[Callable[[np.random.Generator, Sequence[Path]], Image.Image], ...]] = (
    _page,
    _plates,
    _plates,
    _lines,
    _screen,
)
