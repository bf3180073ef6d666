"""An enlargement is seen by the pattern that it leaves."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from acutance.estimation.enlarged import enlargement


@pytest.fixture(scope="module")
def noisy() -> Image.Image:
    random = np.random.default_rng(0)
    steps = np.cumsum(random.normal(size=(260, 260)), axis=1) * 6 % 200 + random.normal(0, 8, (260, 260))
    return Image.fromarray(np.clip(steps, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("factor", [1.25, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("how", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_the_factor_is_found(factor: float, how: Image.Resampling, noisy: Image.Image) -> None:
    side = round(260 * factor)
    found = enlargement(np.asarray(noisy.resize((side, side), how)))
    assert found is not None
    assert found.chance > 0.9
    assert found.factor == pytest.approx(factor, rel=0.03)


def test_what_was_not_enlarged_has_none(noisy: Image.Image) -> None:
    found = enlargement(np.asarray(noisy))
    assert found is not None
    assert found.chance < 0.1


def test_small_pictures_and_one_colour_tell_nothing() -> None:
    assert enlargement(np.zeros((100, 300), np.uint8)) is None
    found = enlargement(np.full((200, 200), 77, np.uint8))
    assert found is not None
    assert found.chance < 0.1
