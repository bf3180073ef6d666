"""The discriminator with the shape of a U: what it is made of, what it sees, and that its layers are bounded."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch import nn
from torch.nn import functional

from acutance.errors import ConfigError
from acutance.networks.any_discriminator import DISCRIMINATORS, build_discriminator
from acutance.networks.discriminator import DIFFERENCE_GAIN
from acutance.networks.unet_discriminator import UNetDiscriminator, UNetDiscriminatorConfig


def build(width=4, **settings):
    torch.manual_seed(0)
    return UNetDiscriminator(UNetDiscriminatorConfig(width=width, **settings))


def patches(count=2, side=16, channels=3):
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_it_is_what_the_paper_draws():
    """Layer by layer, from the weights that its layers use."""
    judge, images = build().eval(), patches()

    def conv(layer, features, **how):
        return functional.conv2d(features, layer.weight, layer.bias, **how)

    def active(features):
        return functional.leaky_relu(features, 0.2)

    def larger(features):
        return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)

    x0 = active(conv(judge.head, 2 * images - 1, padding=1))
    x1 = active(conv(judge.down[0], x0, stride=2, padding=1))
    x2 = active(conv(judge.down[1], x1, stride=2, padding=1))
    x3 = active(conv(judge.down[2], x2, stride=2, padding=1))
    x4 = active(conv(judge.up[0], larger(x3), padding=1)) + x2
    x5 = active(conv(judge.up[1], larger(x4), padding=1)) + x1
    x6 = active(conv(judge.up[2], larger(x5), padding=1)) + x0
    x7 = active(conv(judge.last[1], active(conv(judge.last[0], x6, padding=1)), padding=1))
    expected = conv(judge.logit, x7, padding=1).squeeze(1)
    torch.testing.assert_close(judge(images), expected)


def test_the_published_size():
    """64 channels: the 4.4 million weights of Real-ESRGAN's, head and last layer with their biases."""
    with torch.device("meta"):
        judge = UNetDiscriminator(UNetDiscriminatorConfig())
    of_down = sum(64 * 64 * before * behind * 16 for before, behind in ((1, 2), (2, 4), (4, 8)))
    of_up = sum(64 * 64 * before * behind * 9 for before, behind in ((8, 4), (4, 2), (2, 1)))
    ends = (3 * 9 + 1) * 64 + 64 * 9 + 1
    assert sum(weight.numel() for weight in judge.parameters()) == of_down + of_up + 2 * 64 * 64 * 9 + ends == 4_376_897


def test_layers_between_the_first_and_the_last_have_norm_1():
    judge = build()
    for _ in range(60):  # each pass is a step of the power iteration
        judge(patches())
    judge.eval()
    bounded = [*judge.down, *judge.up, *judge.last]
    for layer in bounded:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        torch.testing.assert_close(norm, torch.tensor(1.0), atol=2e-2, rtol=0)
        assert layer.bias is None
    assert len([layer for layer in judge.modules() if isinstance(layer, nn.Conv2d)]) == len(bounded) + 2


@pytest.mark.parametrize("side", [8, 24, 40])
def test_it_gives_a_logit_for_every_pixel(side):
    assert build()(patches(side=side)).shape == (2, side, side)


def test_every_patch_is_judged_by_itself_and_batches_alike():
    judge, images = build().eval(), patches(4)
    whole = judge(images, batches=2)
    torch.testing.assert_close(whole, torch.cat([judge(image[None]) for image in images]))


def test_gradients_reach_every_weight_and_can_be_differentiated_again():
    judge, images = build(), patches().requires_grad_()
    (slope,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    # A bias does not change the slope, but where it moves a kink.
    assert all(
        weight.grad is not None and weight.grad.any() for name, weight in judge.named_parameters() if "bias" not in name
    )


def test_two_passes_may_wait_for_one_gradient():
    """The power iteration must not change what an earlier pass needs."""
    judge = build()
    (judge(patches()).mean() + judge(patches(side=8)).mean()).backward()


def test_a_conditional_one_compares_a_patch_with_its_input():
    judge, images, seen = build(conditional=True).eval(), patches(), patches(side=16).flip(0)
    given = []
    judge.head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    judge(torch.cat([images, seen], dim=1))
    torch.testing.assert_close(given[0], torch.cat([2 * images - 1, DIFFERENCE_GAIN * (images - seen)], dim=1))


def test_state_survives_with_its_power_iteration():
    judge, other = build(), build()
    judge(patches())
    other.load_state_dict(judge.state_dict())
    assert torch.equal(judge(patches()), other(patches()))


def test_under_autocast_norms_stay_float32():
    judge = build()
    with torch.autocast("cpu", torch.bfloat16):
        logits = judge(patches())
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), judge(patches()), atol=0.05, rtol=0.1)
    assert judge.down[0].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "discriminator.width = 0: must be at least 1"),
        ({"patch_px": 20}, "discriminator.patch_px = 20: must be a multiple of 8 for kind unet"),
        ({"patch_px": 0}, "discriminator.patch_px = 0: must be a multiple of 8"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        UNetDiscriminatorConfig(**settings)


def test_what_it_is_not_built_for_is_refused():
    with pytest.raises(ConfigError, match="patches of 12×12 px: a discriminator of kind unet takes multiples of 8"):
        build()(patches(side=12))
    with pytest.raises(ConfigError, match="patches of 6 channels: this discriminator takes 3"):
        build()(patches(channels=6))


def test_every_kind_is_a_row_that_can_be_built():
    for config in DISCRIMINATORS:
        judge = build_discriminator(config(width=2, patch_px=24))
        assert judge(patches(side=24)).shape[0] == 2
        assert (judge.config.channels, judge.config.conditional) == (3, False)
