"""The distance of VGG features against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from acutance.networks.vgg19_weights import VGG19
from acutance.networks.vgg_distance import VggDistance
from acutance.networks.vgg_weights import TORCHVISION, Convolution, VggWeights

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def state(vgg_state):
    return vgg_state("conv3_4")


@pytest.fixture(scope="module")
def distance(state):
    convolutions = {
        name: Convolution(state[f"{name}.weight"], state[f"{name}.bias"])
        for name in VGG19.convolutions
        if f"{name}.weight" in state
    }
    return VggDistance(VggWeights(VGG19, convolutions, TORCHVISION, "random"))


def photo(seed, side=16):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def prepared(pixels):
    return ((pixels / 255 - MEAN) / DEVIATION).transpose(2, 0, 1)[None]


def test_it_is_the_relative_squared_error_of_the_features(distance, state, naive_vgg):
    restored, reference = photo(0), photo(1)
    made, truth = (naive_vgg(VGG19.layers, state, prepared(pixels), rounds_up=True) for pixels in (restored, reference))
    expected = np.mean([
        np.square(made[layer] - truth[layer]).mean() / np.square(truth[layer]).mean() for layer in ("pool2", "pool3")
    ])  # fmt: skip
    assert distance.against(reference)(restored) == pytest.approx(expected, rel=1e-4)


def test_equal_photos_and_photos_too_small(distance):
    assert distance.against(photo(3))(photo(3)) == 0
    assert distance.against(photo(3, side=7))(photo(4, side=7)) is None
