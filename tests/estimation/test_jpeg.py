"""What JPEG did, from tables and from coefficients."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from acutance.estimation.jpeg import doubling, doubling_chance, quality_of, table_of
from acutance.imaging.kernels import convolve_mirror, gaussian_psf


def saved(picture: Image.Image, *qualities: int) -> Image.Image:
    for quality in qualities:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality)
        picture = Image.open(stream)
    return picture


@pytest.fixture(scope="module")
def texture() -> Image.Image:
    values = convolve_mirror(np.random.default_rng(0).normal(size=(240, 240, 1)), gaussian_psf(1.5))[..., 0]
    return Image.fromarray(np.clip(128 + 160 * values, 1, 254).astype(np.uint8))


@pytest.mark.parametrize("quality", [1, 25, 50, 75, 90, 97, 100])
def test_the_quality_is_read_from_the_table_of_the_usual_encoders(quality: int, texture: Image.Image) -> None:
    stream = io.BytesIO()
    texture.save(stream, "JPEG", quality=quality)
    tables = Image.open(stream).quantization  # type: ignore[attr-defined]
    assert quality_of(tables[0]) == quality


def test_a_table_of_another_encoder_gets_the_nearest_quality() -> None:
    assert abs(quality_of([int(step) + 1 for step in table_of(80).ravel()]) - 80) <= 4


@pytest.mark.parametrize(("first", "second"), [(55, 90), (40, 75)])
def test_saved_twice_is_seen(first: int, second: int, texture: Image.Image) -> None:
    tables = saved(texture, first, second).quantization  # type: ignore[attr-defined]
    once, twice = (
        doubling([np.asarray(saved(texture, *qualities), np.float32)], tables[0])
        for qualities in ((second,), (first, second))
    )
    assert once is not None
    assert twice is not None
    assert doubling_chance(once) < 0.1
    assert doubling_chance(twice) > 0.9


def test_a_picture_of_one_colour_tells_nothing() -> None:
    assert doubling([np.full((200, 200), 100, np.float32)], [10] * 64) is None
    assert doubling([], [10] * 64) is None
