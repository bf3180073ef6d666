"""Down-and-up scaling against Pillow's bicubic, and what it must do at any factor."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.rescale import rescale


def through_pillow(plane, factor):
    height, width = plane.shape
    large = Image.fromarray(plane)  # of mode F: not rounded
    small = large.resize((width // factor, height // factor), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_whole_factors_are_pillows(photo, factor):
    """Everywhere, borders included: both drop the weights outside and scale the rest."""
    picture = (photo(60, 72) / 255).astype(np.float32).transpose(2, 0, 1)
    rescaled = rescale(torch.from_numpy(picture)[None], torch.tensor([float(factor)]))[0].numpy()
    expected = np.stack([through_pillow(plane, factor) for plane in picture])
    np.testing.assert_allclose(rescaled, expected, atol=2e-6)


def test_factor_one_changes_nothing(photo):
    picture = torch.from_numpy(photo(20, 30)).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(rescale(picture, torch.ones(1)), picture, atol=1e-6, rtol=0)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.37, 1.999, 2.5, 3.3, 7.9])
@pytest.mark.parametrize("side", [8, 21, 64])
def test_a_flat_picture_stays_flat(side, factor):
    flat = torch.full((1, 3, side, side + 3), 0.7)
    torch.testing.assert_close(rescale(flat, torch.tensor([factor])), flat, atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [1.3, 2.0, 3.7])
def test_a_ramp_stays_where_it_is(factor):
    """No shift: inside, a linear ramp is reproduced at any factor."""
    ramp = torch.linspace(0, 1, 80).expand(1, 3, 40, 80)
    rescaled = rescale(ramp, torch.tensor([factor]))
    torch.testing.assert_close(rescaled[..., 16:-16], ramp[..., 16:-16], atol=2e-3, rtol=0)


def test_every_image_has_its_own_factor(photo):
    pictures = torch.stack([torch.from_numpy(photo(40, 36, seed=seed)) for seed in range(3)]).permute(0, 3, 1, 2) / 255
    factors = torch.tensor([1.0, 1.7, 3.0])
    together = rescale(pictures, factors)
    for index in range(3):
        alone = rescale(pictures[index : index + 1], factors[index : index + 1])
        torch.testing.assert_close(together[index], alone[0], atol=1e-6, rtol=0)


def test_a_larger_factor_loses_more(photo):
    picture = torch.from_numpy(photo(64, 64)).permute(2, 0, 1)[None] / 255
    errors = [float((rescale(picture, torch.tensor([f])) - picture).square().mean()) for f in (1.0, 1.5, 2.0, 4.0, 8.0)]
    assert errors == sorted(errors)
