"""Reduction against Pillow's bicubic without rounding, and what it must do whatever the size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.reduce import reduce


def through_pillow(plane, factor):
    height, width = plane.shape
    return np.asarray(Image.fromarray(plane).resize((width // factor, height // factor), Image.Resampling.BICUBIC))


def batch_of(photo, height, width, count=1):
    pictures = np.stack([photo(height, width, seed=seed) for seed in range(count)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(60, 72), (12, 24), (12, 12)])
def test_it_is_pillows(photo, size, factor):
    """Everywhere, borders included: both drop the weights outside and scale the rest."""
    picture = batch_of(photo, *size, count=2)
    small = reduce(picture, factor)
    assert (small.shape, small.dtype) == ((2, 3, size[0] // factor, size[1] // factor), torch.float32)
    expected = [[through_pillow(plane, factor) for plane in image] for image in picture.numpy()]
    np.testing.assert_allclose(small.numpy(), np.array(expected), atol=2e-6)


def test_a_cell_of_one_pixel(photo):
    np.testing.assert_allclose(
        reduce(batch_of(photo, 2, 2), 2)[0, :, 0, 0].numpy(), photo(2, 2).mean(axis=(0, 1)) / 255, atol=1e-6
    )


def test_factor_one_changes_nothing(photo):
    picture = batch_of(photo, 20, 30)
    torch.testing.assert_close(reduce(picture, 1), picture, atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", [2, 4, 10, 64])
def test_a_flat_picture_stays_flat(side):
    torch.testing.assert_close(
        reduce(torch.full((1, 3, side, side + 2), 0.7), 2), torch.full((1, 3, side // 2, side // 2 + 1), 0.7)
    )


def test_a_ramp_stays_where_it_is():
    """No shift: a small pixel lies in the middle of its cell."""
    ramp = (torch.arange(40) + 0.5).expand(1, 3, 16, 40)
    small = reduce(ramp, 2)
    torch.testing.assert_close(small[0, 0, 0, 4:-4], 2.0 * torch.arange(4, 16) + 1.0, atol=1e-4, rtol=0)


def test_nothing_is_clipped_and_gradients_pass():
    edge = torch.zeros(1, 1, 16, 16)
    edge[..., 8:] = 1
    edge.requires_grad_()
    small = reduce(edge, 2)
    assert small.max() > 1
    small.sum().backward()
    assert edge.grad.sum() == pytest.approx(64)  # every small pixel's weights sum to one


def test_the_matrices_that_are_kept_between_calls_stay_as_they_are(photo):
    first = reduce(batch_of(photo, 20, 24), 2)
    reduce(batch_of(photo, 20, 24, count=3), 2).zero_()
    assert torch.equal(reduce(batch_of(photo, 20, 24), 2), first)


@pytest.mark.parametrize("size", [(5, 4), (4, 5)])
def test_what_is_left_over_is_a_mistake_of_ours(size):
    with pytest.raises(AssertionError):
        reduce(torch.zeros(1, 3, *size), 2)
