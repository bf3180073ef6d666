"""Content losses against naive loops in float64, and their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.losses.content import ContentConfig, charbonnier, content_loss, l1, l2, negative_psnr

LOSSES = {
    # loss: what it makes of one difference
    l1: abs,
    l2: lambda difference: difference**2,
    charbonnier: lambda difference: math.sqrt(difference**2 + 1e-6),
}


def pair(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=generator).to(dtype), torch.rand(*shape, generator=generator).to(dtype)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 5), (3, 1, 7, 2)])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_content_loss_is_the_mean_over_all_values(loss, shape):
    restored, reference = pair(*shape)
    total = 0.0
    for first, second in zip(restored.double().flatten(), reference.double().flatten(), strict=True):
        total += LOSSES[loss](float(first) - float(second))
    assert float(loss(restored, reference)) == pytest.approx(total / np.prod(shape), rel=1e-6)


@pytest.mark.parametrize(("loss", "least"), [(l1, 0.0), (l2, 0.0), (charbonnier, 1e-3)])
def test_equal_images_have_the_least_loss(loss, least):
    image, _ = pair(2, 3, 4, 4)
    assert float(loss(image, image)) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(loss):
    restored, reference = pair(2, 3, 3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(loss, (restored.requires_grad_(), reference))


def test_a_decibel_counts_alike_in_every_image():
    """Naive loop in float64: the mean over images of ln(1 + MSE / ε²), whatever the size of each error."""
    reference = torch.zeros(3, 3, 4, 4)
    errors = (0.2, 0.02, 0.0005)
    restored = torch.stack([torch.full((3, 4, 4), error) for error in errors])
    expected = sum(math.log1p(error**2 / 0.003**2) for error in errors) / 3
    assert float(negative_psnr(restored, reference, eps=0.003)) == pytest.approx(expected, rel=1e-5)


def test_ten_times_the_error_is_twenty_decibels():
    reference = torch.zeros(1, 3, 4, 4)
    near, far = (float(negative_psnr(reference + error, reference, eps=1e-4)) for error in (0.01, 0.1))
    assert (far - near) * 10 / math.log(10) == pytest.approx(20, abs=0.01)


def test_equal_images_are_nothing_to_lose_in_decibels():
    image, other = pair(2, 3, 4, 4)
    assert float(negative_psnr(image, image)) == 0 < float(negative_psnr(image, other))
    image.requires_grad_()
    negative_psnr(image, image.detach()).backward()
    assert not image.grad.any()


def test_gradients_of_decibels_are_those_of_finite_differences():
    restored, reference = pair(2, 3, 3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(negative_psnr, (restored.requires_grad_(), reference))


def test_gradient_of_l1_is_the_sign_over_the_number_of_values():
    restored, reference = pair(2, 3, 4, 4)
    restored.requires_grad_()
    l1(restored, reference).backward()
    torch.testing.assert_close(restored.grad, (restored.detach() - reference).sign() / restored.numel())


def test_gradient_of_charbonnier_does_not_jump_where_images_agree():
    restored = torch.zeros(1, 1, 1, 1, requires_grad=True)
    charbonnier(restored, torch.zeros(1, 1, 1, 1)).backward()
    assert float(restored.grad) == 0


def test_charbonnier_nears_l1_as_eps_shrinks():
    restored, reference = pair(2, 3, 4, 4)
    gaps = [float(charbonnier(restored, reference, eps=eps) - l1(restored, reference)) for eps in (0.1, 0.01, 0.001)]
    assert gaps[0] > gaps[1] > gaps[2] >= 0
    assert gaps[2] < 1e-4


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_computed_in_float32_whatever_the_network_gives(loss, dtype):
    """In bfloat16 the mean of many small differences would stop growing."""
    restored = torch.full((1, 3, 100, 100), 0.501, dtype=dtype)
    reference = torch.full((1, 3, 100, 100), 0.5, dtype=dtype)
    value = loss(restored, reference)
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(LOSSES[loss](float(restored[0, 0, 0, 0]) - 0.5), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_autocast_changes_nothing(loss):
    restored, reference = pair(2, 3, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(restored, reference)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(restored, reference))


@pytest.mark.parametrize("loss", LOSSES)
def test_images_of_different_sizes_are_not_broadcast(loss):
    with pytest.raises(TypeError):
        loss(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize(
    ("kind", "loss"), [("l1", l1), ("l2", l2), ("charbonnier", charbonnier), ("psnr", negative_psnr)]
)
def test_settings_choose_the_loss(kind, loss):
    restored, reference = pair(1, 3, 4, 4)
    assert torch.equal(content_loss(ContentConfig(kind=kind))(restored, reference), loss(restored, reference))


def test_settings_reach_charbonniers_eps():
    restored, reference = pair(1, 3, 4, 4)
    chosen = content_loss(ContentConfig(kind="charbonnier", eps=0.5))(restored, reference)
    assert torch.equal(chosen, charbonnier(restored, reference, eps=0.5))


@pytest.mark.parametrize("eps", [0.0, -1.0, math.nan, math.inf])
def test_impossible_eps_is_refused(eps):
    with pytest.raises(ConfigError, match=rf"content_loss\.eps = {eps}"):
        ContentConfig(eps=eps)


@pytest.mark.usefixtures("no_shape_checks")
def test_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match=r"content_loss\.kind = 'l3': must be one of l1, l2, charbonnier"):
        ContentConfig(kind="l3")
