"""Samples for the map of guesses: pixels of results with what is seen of them, and how far they are off.

Not a program: `guess_fit.py` fits to them, `guess_coverage.py` judges by them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from acutance.data.blurs import Blur, DefocusBlur, GaussianBlur, PathBlur, StraightMotion, hand_path
from acutance.data.protocol import Degraded, Pixels, Row, degrade
from acutance.data.rows import HAND, find_row
from acutance.inference.sharpener import Sharpener
from acutance.media import read_photo
from acutance.trust.conditions import at_blocks, conditions_of
from acutance.trust.features import BLOCK_PX, features_of

PIXELS_PER_PHOTO = 800


class Sample(NamedTuple):
    """Some pixels of one result."""

    seen: npt.NDArray[np.float32]
    """`n inputs`: features and conditions."""
    off: npt.NDArray[np.float32]
    """`n`: largest error of a pixel's channels, in levels of 255."""


def crop_of(path: Path, side_px: int, random: np.random.Generator) -> Pixels:
    """Read a photo and cut a square out of it, or what there is."""
    pixels = read_photo(path).pixels
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    side = min(side_px, *pixels.shape[:2])
    top, left = (int(random.integers(length - side + 1)) for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side, :3], dtype=np.uint8)


CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def drawn_page(side_px: int, random: np.random.Generator) -> Pixels:
    """Draw lines of random characters of one size, 8 to 30 px, in two random colours."""
    size_px = round(float(np.exp(random.uniform(np.log(8), np.log(30)))))
    dark, light = random.integers(0, 90, 3), random.integers(165, 256, 3)
    ink, paper = (dark, light) if random.random() < 0.8 else (light, dark)
    page = Image.new("RGB", (side_px, side_px), tuple(int(level) for level in paper))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size_px)
    for top in range(int(random.integers(-size_px, size_px)), side_px, round(1.4 * size_px)):
        words = ["".join(random.choice(list(CHARACTERS), random.integers(1, 9))) for _ in range(side_px // size_px)]
        pen.text((-int(random.integers(size_px)), top), " ".join(words), tuple(int(level) for level in ink), font)
    return np.array(page)


MIXTURE_ROWS = ("mix", "camera", "motion-scene")
MIXTURE_SHARE = 0.2
"""So many are a draw of one of these rows; each draw is another than those that are measured."""


def drawn_row(random: np.random.Generator) -> Row:
    """Draw blur, noise and compression: more kinds, and all strengths, of what the protocol's rows have."""
    if random.random() < MIXTURE_SHARE:
        return find_row(MIXTURE_ROWS[random.integers(len(MIXTURE_ROWS))])

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    shake = PathBlur(hand_path(0.95, float(random.uniform(6, 25)), random), float(random.uniform(0, 0.8)), "box")
    makers: tuple[tuple[float, Blur | None], ...] = (
        (0.07, None),
        (0.47, GaussianBlur(log_uniform(0.7, 4.5))),
        (0.62, DefocusBlur(log_uniform(1.2, 5.0))),
        (0.82, StraightMotion(log_uniform(3.0, 20.0))),
        (0.91, HAND),
        (1.00, shake),
    )
    kind = random.random()
    blur = next(made for limit, made in makers if kind < limit)
    damage, ending = random.random(), random.random()
    return Row(
        name="drawn",
        description="",
        blur=blur,
        noise_sigma=log_uniform(0.7, 22.0) / 255 if damage < 0.4 else 0.0,
        grain_sigma=float(random.uniform(3, 10)) / 255 if 0.4 <= damage < 0.5 else 0.0,
        jpeg_quality=int(random.integers(40, 96)) if ending < 0.15 else None,
        exposure=float(2 ** -random.uniform(1, 4.2)) if 0.15 <= ending < 0.25 else 1.0,
        light="linear" if random.random() < 0.15 else "gamma",
    )


def errors_of(sharp: Pixels, degraded: Degraded, result: Degraded, row: Row) -> npt.NDArray[np.float32]:
    """Return the largest error of each pixel's channels in levels of 255, `h w`, as the result lies in its file."""
    unit = np.float32(1 if result.dtype == np.uint8 else 257)
    truth = degraded / unit if row.is_kept else sharp * np.float32(row.exposure)
    return np.asarray(np.abs(result / unit - truth).max(axis=2), dtype=np.float32)


def sample_of(sharpener: Sharpener, sharp: Pixels, row: Row, index: int, random: np.random.Generator) -> Sample:
    """Degrade and sharpen a photo, and draw pixels from it."""
    degraded = degrade(sharp, row, index=index)
    result = sharpener.sharpen_pixels(degraded)
    off = errors_of(sharp, degraded, result, row)
    features = features_of(degraded, result)
    rows, columns = features.shape[1:]
    size = (degraded.shape[0], degraded.shape[1])
    seen = np.concatenate([features, at_blocks(conditions_of(degraded), size, (rows, columns))])
    y, x = random.integers(0, off.shape[0], PIXELS_PER_PHOTO), random.integers(0, off.shape[1], PIXELS_PER_PHOTO)
    return Sample(seen[:, y // BLOCK_PX, x // BLOCK_PX].T, off[y, x])
