"""The batched codec against Pillow's, which is libjpeg."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.jpeg import _constants, jpeg, quality_tables

# Quality → largest mean |difference| to libjpeg's levels (4:4:4, 4:2:0). Measured over 24 pictures: 0.05 … 0.28 and
# 0.11 … 0.42, since libjpeg's integer arithmetic is not modelled; the codec itself loses 5.9 … 1.3 levels.
LIMITS = {10: (0.1, 0.2), 30: (0.1, 0.2), 50: (0.12, 0.26), 75: (0.16, 0.32), 90: (0.25, 0.4), 95: (0.35, 0.5)}


def through_pillow(pixels, quality, subsampling):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream).convert("RGB")).astype(int)


def to_batch(*pictures):
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def to_levels(images):
    return np.rint(images.permute(0, 2, 3, 1).numpy() * 255).astype(int)


def through_ours(pictures, qualities, is_subsampled):
    return to_levels(jpeg(to_batch(*pictures), torch.tensor(qualities), torch.tensor(is_subsampled)))


@pytest.mark.parametrize("size", [(64, 80), (67, 85)], ids=["whole-blocks", "odd"])
@pytest.mark.parametrize("is_subsampled", [False, True], ids=["4:4:4", "4:2:0"])
@pytest.mark.parametrize("quality", LIMITS)
def test_pixels_are_libjpegs(photo, quality, is_subsampled, size):
    pictures = [photo(*size, seed=seed) for seed in range(8)]
    expected = np.stack([through_pillow(p, quality, "4:2:0" if is_subsampled else "4:4:4") for p in pictures])
    ours = through_ours(pictures, [float(quality)] * 8, [is_subsampled] * 8)
    difference = ours - expected
    assert np.abs(difference).mean() < LIMITS[quality][is_subsampled]
    assert np.abs(difference).max() <= 20
    assert np.abs(difference.mean(axis=(0, 1, 2))).max() < 0.3  # no colour cast


@pytest.mark.parametrize("quality", range(1, 101))
def test_tables_are_libjpegs(quality):
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "JPEG", quality=quality)
    tables = Image.open(stream).quantization
    _, base, _, _ = _constants(torch.device("cpu"))
    ours = quality_tables(torch.tensor([float(quality)]), base)[0].view(3, 64)
    assert ours.tolist() == [tables[0], tables[1], tables[1]]


def test_every_image_has_its_own_quality_and_sampling(photo):
    pictures = [photo(48, 48, seed=seed) for seed in range(4)]
    qualities, is_subsampled = [20.0, 90.0, 50.0, 75.0], [True, False, False, True]
    together = through_ours(pictures, qualities, is_subsampled)
    for index in range(4):
        alone = through_ours(
            pictures[index : index + 1], qualities[index : index + 1], is_subsampled[index : index + 1]
        )
        np.testing.assert_array_equal(together[index], alone[0])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (0, 0, 255), (200, 30, 90)])
def test_flat_colours_are_libjpegs(colour):
    flat = np.full((16, 24, 3), colour, np.uint8)
    difference = through_ours([flat], [50.0], [True])[0] - through_pillow(flat, 50, "4:2:0")
    assert np.abs(difference).max() <= 1


def test_lower_quality_loses_more(photo):
    picture = photo(64, 64)
    errors = [
        np.abs(through_ours([picture], [quality], [True])[0] - picture.astype(int)).mean()
        for quality in (95.0, 75.0, 50.0, 20.0, 5.0)
    ]
    assert errors == sorted(errors)


def test_output_is_on_the_grid_of_8_bit(photo):
    images = jpeg(to_batch(photo(32, 40)), torch.tensor([60.0]), torch.tensor([True]))
    levels = images * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert images.min() >= 0
    assert images.max() <= 1


def test_an_empty_batch_passes():
    assert jpeg(torch.zeros(0, 3, 24, 20), torch.zeros(0), torch.zeros(0, dtype=torch.bool)).shape == (0, 3, 24, 20)
