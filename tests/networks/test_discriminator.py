"""The discriminator: its order, sizes and cost, and what it refuses."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch.nn import functional

from acutance.errors import ConfigError
from acutance.networks.discriminator import SMALLEST_PATCH_PX, Discriminator, DiscriminatorConfig, convolve

KINDS = ("batch", "group", "none")


def build(*, seed=0, **settings):
    torch.manual_seed(seed)
    return Discriminator(DiscriminatorConfig(**({"width": 4, "hidden": 8} | settings)))


def patches(count=4, side=24, *, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("normalisation", KINDS)
def test_is_what_the_paper_writes(normalisation):
    """Eight times conv, activation, normalisation, in that order; then FC, activation, FC."""
    network, features = build(width=16, normalisation=normalisation), patches() * 2 - 1
    for parameter in network.parameters():  # gains and shifts that matter
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    strides, sides = [], []
    for layer in network.layers:
        stride = layer.conv.stride[0]
        features = functional.conv2d(features, layer.conv.weight, layer.conv.bias, stride=stride, padding=1)
        features = torch.where(features > 0, features, 0.2 * features)
        if normalisation == "batch":
            features = functional.batch_norm(features, None, None, layer.norm.weight, layer.norm.bias, training=True)
        elif normalisation == "group":
            groups = layer.norm.num_channels // 16
            features = functional.group_norm(features, groups, layer.norm.weight, layer.norm.bias)
        strides.append(stride)
        sides.append(features.shape[-1])
    hidden = functional.leaky_relu(features.flatten(1) @ network.hidden.weight.T + network.hidden.bias, 0.2)
    expected = (hidden @ network.logit.weight.T + network.logit.bias)[:, 0]
    torch.testing.assert_close(network(patches()), expected)
    assert strides == [1, 2] * 4
    assert sides == [24, 12, 12, 6, 6, 3, 3, 2]


def test_the_papers_size_is_pinned():
    network = Discriminator(DiscriminatorConfig())
    assert [layer.conv.out_channels for layer in network.layers] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert (network.hidden.in_features, network.hidden.out_features) == (2 * 2 * 512, 1024)
    assert sum(parameter.numel() for parameter in network.parameters()) == 6_788_417


@pytest.mark.parametrize("normalisation", KINDS)
@pytest.mark.parametrize("side", [SMALLEST_PATCH_PX, 15, 16, 17, 24, 32, 33, 48])
def test_sizes(side, normalisation):
    network = build(patch_px=side, normalisation=normalisation)
    assert network(patches(2, side)).shape == (2,)
    assert network.eval()(patches(1, side)).shape == (1,)


@pytest.mark.parametrize("normalisation", KINDS)
def test_gradient_reaches_every_parameter_and_the_patches(normalisation):
    network, given = build(normalisation=normalisation), patches().requires_grad_()
    network(given).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert given.grad.abs().amax(dim=(1, 2, 3)).min() > 0


@pytest.mark.parametrize("normalisation", KINDS)
def test_gradients_of_gradients_can_be_had(normalisation):
    """Gradient penalties need them; activations that work in place must not stand in the way."""
    network, given = build(normalisation=normalisation).double(), patches().double().requires_grad_()
    (slope,) = torch.autograd.grad(network(given).sum(), given, create_graph=True)
    penalty = slope.square().sum()
    weight = network.layers[0].conv.weight
    (gradient,) = torch.autograd.grad(penalty, weight)
    step = 1e-6 * gradient / gradient.norm()
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(sign * step)
        (slope,) = torch.autograd.grad(network(given).sum(), given)
        values.append(slope.square().sum())
        with torch.no_grad():
            weight.sub_(sign * step)
    numeric = (values[0] - values[1]) / 2e-6
    torch.testing.assert_close(numeric, gradient.norm(), rtol=1e-3, atol=0)


@pytest.mark.parametrize(("normalisation", "together"), [("batch", False), ("group", True), ("none", True)])
def test_only_batch_normalisation_lets_patches_see_each_other(normalisation, together):
    network = build(normalisation=normalisation)
    real, fake = patches(), patches(seed=1) * 0.5
    apart = torch.cat([network(real), network(fake)])
    assert torch.allclose(network(torch.cat([real, fake])), apart, atol=1e-6) == together


@pytest.mark.parametrize("normalisation", KINDS)
def test_batches_given_together_are_judged_apart(normalisation):
    """Logits and running statistics are those of a pass for each."""
    one, two = build(normalisation=normalisation).double(), build(normalisation=normalisation).double()
    real, fake = patches().double(), 0.5 * patches(seed=1).double()
    apart = torch.cat([one(real), one(fake)])
    torch.testing.assert_close(two(torch.cat([real, fake]), batches=2), apart)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value, msg=name)


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (3, 2), (2, 1), (2, 2), (1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_convolutions_of_small_maps_are_convolutions(side, stride, layout):
    """Values and gradients in bfloat16, where they are matrix products, beside those in float32."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(8, 6, 3, stride=stride, padding=1).to(memory_format=layout)
    found = []
    for is_low in (False, True):
        features = torch.randn(4, 8, side, side, generator=torch.Generator().manual_seed(1), requires_grad=True)
        with torch.autocast("cpu", enabled=is_low):
            output = convolve(conv, features)
        assert output.dtype == (torch.bfloat16 if is_low else torch.float32)
        wanted = (features, conv.weight, conv.bias)
        gradients = torch.autograd.grad(output.float().square().sum(), wanted)
        found.append([output.detach().float(), *gradients])
    for exact, low in zip(*found, strict=True):
        torch.testing.assert_close(low, exact, rtol=0.05, atol=0.05 * float(exact.abs().max()))


def test_the_patches_are_left_alone():
    network, given = build(), patches()
    before = given.clone()
    network(given)
    assert torch.equal(given, before)


@pytest.mark.parametrize("normalisation", KINDS)
def test_memory_layout_does_not_matter(normalisation):
    """In float64: layouts differ by the order of sums only. Flattening must not depend on it."""
    network, given = build(normalisation=normalisation).double(), patches().double()
    expected = network(given)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(given.contiguous(memory_format=torch.channels_last)), expected)


def test_starts_undecided():
    """A first logit near 0: neither side of the game begins with a loss that it cannot move."""
    logits = Discriminator(DiscriminatorConfig())(patches(8))
    assert logits.abs().max() < 1


def test_state_survives():
    first, second = build(), build(seed=1)
    first(patches())
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first.eval()(patches()), second.eval()(patches()))


@pytest.mark.parametrize("size", [(32, 32), (24, 25), (12, 24)])
def test_other_sizes_are_refused_in_words(size):
    height, width = size
    with pytest.raises(ConfigError, match=f"patches of {height}×{width} px: this discriminator was built for 24×24"):
        build()(torch.zeros(2, 3, height, width))


def test_one_tiny_patch_is_refused_in_words():
    network = build(patch_px=16)
    with pytest.raises(ConfigError, match="one number per channel"):
        network(patches(1, 16))
    assert network.eval()(patches(1, 16)).shape == (1,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch_px": 8}, "patch_px = 8: must be at least 9"),
        ({"patch_px": 0}, "patch_px = 0: must be at least 9"),
        ({"width": 0}, "width = 0"),
        ({"hidden": -1}, "hidden = -1"),
        ({"normalisation": "layer"}, "normalisation = 'layer': must be one of batch, group, none"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, message, no_shape_checks):
    with pytest.raises(ConfigError, match=message):
        DiscriminatorConfig(**settings)


def test_a_conditional_d_compares_a_patch_with_its_input():
    network = build(normalisation="group", conditional=True).eval()
    picture, degraded = patches(), patches(seed=1)
    logits = network(torch.cat([picture, degraded], dim=1))
    assert logits.shape == (4,)
    assert not torch.equal(logits, network(torch.cat([picture, picture], dim=1)))
    # Its first layer is given the picture and, magnified, what was changed in the input.
    seen = []
    network.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(torch.cat([picture, degraded], dim=1))
    torch.testing.assert_close(seen[0], torch.cat([2 * picture - 1, 8 * (picture - degraded)], dim=1))


@pytest.mark.parametrize(("conditional", "channels"), [(False, 6), (True, 3)])
def test_what_it_is_not_built_for_is_refused_by_channels(conditional, channels):
    network = build(conditional=conditional)
    with pytest.raises(ConfigError, match=r"discriminator\.conditional"):
        network(torch.zeros(4, channels, 24, 24))
