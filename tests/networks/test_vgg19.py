"""VGG-19 against a plain NumPy network, in both conventions of its input."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.networks.vgg19 import PAPER_LAYERS, Vgg19Features
from acutance.networks.vgg19_weights import VGG19
from acutance.networks.vgg_weights import TORCHVISION, VGG_GROUP, Convolution, InputConvention, VggWeights

MEAN_BGR = np.array([103.939, 116.779, 123.68])
MEAN_RGB, DEVIATION_RGB = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

LAYERS = VGG19.layers


def as_weights(state, convention=TORCHVISION):
    names = [name for name in VGG19.convolutions if f"{name}.weight" in state]
    convolutions = {name: Convolution(state[f"{name}.weight"], state[f"{name}.bias"]) for name in names}
    return VggWeights(VGG19, convolutions, convention, "random")


@pytest.fixture(scope="module")
def shallow(vgg_state):
    """Two stages, large enough to go wrong in and small enough for NumPy."""
    return vgg_state("conv2_2")


@pytest.fixture(scope="module")
def whole(vgg_state):
    return as_weights(vgg_state("conv5_4"))


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def prepare(pictures, convention):
    """Do to RGB in [0, 1] what the two publications say."""
    channels_last = pictures.double().numpy().transpose(0, 2, 3, 1)
    if convention is VGG_GROUP:
        prepared = channels_last[..., ::-1] * 255 - MEAN_BGR
    else:
        prepared = (channels_last - MEAN_RGB) / DEVIATION_RGB
    return prepared.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("convention", [VGG_GROUP, TORCHVISION], ids=["vgg", "torchvision"])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 1)])
def test_every_layer_is_right(shallow, naive_vgg, convention, size):
    pictures = images(2, 3, *size)
    expected = naive_vgg(LAYERS, shallow, prepare(pictures, convention), rounds_up=True)
    assert list(expected) == list(LAYERS[:10])
    features = Vgg19Features(as_weights(shallow, convention), tuple(expected))(pictures)
    for name, values in expected.items():
        tolerance = 1e-5 * np.abs(values).max()
        np.testing.assert_allclose(features[name].numpy(), values, atol=tolerance, rtol=0, err_msg=name)


@pytest.mark.parametrize("name", ["conv1_1", "relu1_1", "conv1_2", "pool1", "conv2_1", "relu2_2", "pool2"])
def test_a_layer_does_not_depend_on_which_others_are_asked_for(shallow, name):
    """Activations work in place, which must never show."""
    weights, pictures = as_weights(shallow), images(1, 3, 9, 9)
    alone, among = Vgg19Features(weights, (name,))(pictures), Vgg19Features(weights, LAYERS[:10])(pictures)
    assert list(alone) == [name]
    assert torch.equal(alone[name], among[name])


def test_one_network_in_two_conventions(shallow):
    """Turned round and rescaled for the other kind of input, the same network gives the same features.

    At the border too: SAME pads with the mean colour of either convention, so those are made equal.
    """
    mean = ", ".join(f"{value / 255:.12f}" for value in MEAN_BGR[::-1])
    rgb = InputConvention.parse(f"RGB, 0..1, minus ({mean}), over (0.229, 0.224, 0.225)")
    turned = dict(shallow)
    factors = torch.from_numpy(1 / (DEVIATION_RGB * 255)).float()[:, None, None]
    turned["conv1_1.weight"] = (shallow["conv1_1.weight"] * factors).flip(1)
    layers, pictures = LAYERS[:10], images(2, 3, 12, 12)
    first = Vgg19Features(as_weights(shallow, rgb), layers)(pictures)
    second = Vgg19Features(as_weights(turned, VGG_GROUP), layers)(pictures)
    for name in layers:
        torch.testing.assert_close(first[name], second[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("side", "sides"), [(24, [12, 6, 3, 2, 1]), (32, [16, 8, 4, 2, 1]), (17, [9, 5, 3, 2, 1])])
def test_small_patches_reach_pool_5(whole, side, sides):
    pools = [f"pool{stage}" for stage in range(1, 6)]
    features = Vgg19Features(whole, pools)(images(2, 3, side, side))
    assert [features[name].shape[2:] for name in pools] == [(side, side) for side in sides]
    assert [features[name].shape[1] for name in pools] == [64, 128, 256, 512, 512]
    assert all(values.std() > 0.01 for values in features.values())


def test_only_what_is_needed_is_built(whole):
    network = Vgg19Features(whole, ("relu2_1", "conv1_2"))
    assert tuple(network.layers) == LAYERS[: LAYERS.index("relu2_1") + 1]
    assert list(network(images(1, 3, 8, 8))) == ["conv1_2", "relu2_1"]
    assert tuple(Vgg19Features(whole).layers) == LAYERS
    assert Vgg19Features(whole).wanted == PAPER_LAYERS


def test_it_is_frozen_and_gradients_pass_through(shallow):
    network = Vgg19Features(as_weights(shallow), ("relu1_1", "pool2"))
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    pictures = images(2, 3, 12, 12).requires_grad_()
    features = network(pictures)
    (features["pool2"].square().mean() + features["relu1_1"].mean()).backward()
    assert pictures.grad.abs().amax(dim=(1, 2, 3)).min() > 0
    with torch.no_grad():
        assert not network(pictures)["pool2"].requires_grad


def test_the_gradient_is_right(shallow):
    network = Vgg19Features(as_weights(shallow), ("conv1_2", "pool1")).double()
    pictures = images(1, 3, 4, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tuple(network(x).values()), pictures, fast_mode=True)


def test_building_draws_no_random_numbers(shallow):
    before = torch.get_rng_state()
    Vgg19Features(as_weights(shallow), ("pool2",))
    assert torch.equal(torch.get_rng_state(), before)


def test_building_leaves_the_weights_alone(shallow):
    weights = as_weights(shallow, VGG_GROUP)
    Vgg19Features(weights, ("pool2",))
    for name, (weight, bias) in weights.convolutions.items():
        assert torch.equal(weight, shallow[f"{name}.weight"])
        assert not weight.requires_grad
        assert not bias.requires_grad


def test_half_precision_input_is_prepared_in_full(shallow):
    """Under autocast G's output is bfloat16; 0 … 255 minus a mean has no digits to lose there."""
    network, pictures = Vgg19Features(as_weights(shallow, VGG_GROUP), ("pool2",)), images(1, 3, 8, 8).bfloat16()
    exact = network(pictures.float())["pool2"]
    assert torch.equal(network(pictures)["pool2"], exact)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(pictures)["pool2"]
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


# --- refusals ---------------------------------------------------------------------------------------------


def test_layers_that_the_weights_lack_are_refused_by_name(shallow, whole):
    weights = as_weights(shallow)
    with pytest.raises(
        ConfigError, match=r"layer pool5 of VGG-19 needs conv3_1 … conv5_4, which random lacks; .*pool2"
    ):
        Vgg19Features(weights)
    with pytest.raises(ConfigError, match=r"layer relu3_1 of VGG-19 needs conv3_1, which .* --vgg19 FILE"):
        Vgg19Features(weights, ("relu3_1",))
    assert Vgg19Features(weights, ("pool2",)).wanted == ("pool2",)


@pytest.mark.parametrize(
    ("name", "message"), [("pol2", "did you mean pool2"), ("conv1_3", "no layer 'conv1_3'"), ("", "no layer ''")]
)
def test_layers_that_do_not_exist_are_refused(shallow, name, message):
    with pytest.raises(ConfigError, match=message):
        Vgg19Features(as_weights(shallow), (name,))


def test_no_layer_at_all_is_refused(shallow):
    with pytest.raises(ConfigError, match="no layer is asked for"):
        Vgg19Features(as_weights(shallow), ())


def test_the_same_layer_twice_is_one(shallow):
    assert Vgg19Features(as_weights(shallow), ("pool1", "pool1")).wanted == ("pool1",)
