"""Where JPEG's blocks begin: told of any cut, and not where there are none."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageFilter

from acutance.estimation.blocks import _median, first_block


@cache
def soft() -> Image.Image:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 320, 3), dtype=np.uint8))
    return noise.filter(ImageFilter.GaussianBlur(2))


@cache
def stored(quality: int) -> np.ndarray:
    content = io.BytesIO()
    soft().save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


@pytest.mark.parametrize("quality", [85, 50])
@pytest.mark.parametrize("cut", [(0, 0), (1, 6), (4, 3), (7, 0)])
def test_blocks_are_found_wherever_a_picture_was_cut(quality: int, cut: tuple[int, int]) -> None:
    rows, columns = cut
    seen = stored(quality)[rows:, columns:]
    expected = (-rows % 8, -columns % 8)
    assert first_block(seen) == expected
    assert first_block(seen[..., :1].astype(np.uint16) * 257) == expected
    assert first_block((seen / 255).astype(np.float32)) == expected


def test_they_are_found_in_the_middle_of_a_large_picture() -> None:
    large = np.pad(np.tile(stored(70)[:296], (4, 4, 1)), ((5, 0), (2, 0), (0, 0)), mode="edge")
    assert first_block(large) == (5, 2)


def test_nothing_is_found_where_there_are_none() -> None:
    ramp = np.repeat(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], 300, 0)
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    for seen in (np.asarray(soft()), noise, ramp, np.zeros((300, 300, 1), np.uint16), noise[:20], noise[:1, :1]):
        assert first_block(seen) == (0, 0)


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (8, 5), (9, 5)])
def test_the_median_is_that_of_numpy_bit_for_bit(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)
    found = _median(values)
    assert (found, found.dtype) == (np.median(values), np.float32)
