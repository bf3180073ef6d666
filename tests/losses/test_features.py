"""Layers with weights, and the two ways to normalise."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.losses.features import (
    MEAN_SQUARE_FLOOR,
    PAPER_LAYERS,
    FeaturePair,
    Layer,
    check_features_config,
    fuse,
    normalised,
)


def mean_difference(first, second):
    return (first - second).mean()


def test_the_paper_fuses_pool_2_and_pool_5():
    assert [(layer.name, layer.weight) for layer in PAPER_LAYERS] == [("pool2", 1.0), ("pool5", 1.0)]


def test_fusing_adds_layers_by_their_weights(draw):
    restored = {"a": draw(2, 3, 4, 4, seed=1), "b": draw(2, 5, 1, 2, seed=2), "unused": draw(2, 1, 1, 1)}
    reference = {"a": draw(2, 3, 4, 4, seed=3), "b": draw(2, 5, 1, 2, seed=4)}
    layers = (Layer(name="a", weight=0.5), Layer(name="b", weight=3.0))
    expected = 0.5 * (restored["a"] - reference["a"]).mean() + 3.0 * (restored["b"] - reference["b"]).mean()
    torch.testing.assert_close(fuse(mean_difference, FeaturePair(restored, reference), layers), expected)


@pytest.mark.parametrize("missing_from", ["restored", "reference"])
def test_a_layer_without_features_is_named(draw, missing_from):
    maps = {"pool2": draw(1, 2, 3, 3), "pool5": draw(1, 2, 1, 1)}
    fewer = {"pool2": maps["pool2"]}
    pair = FeaturePair(fewer, maps) if missing_from == "restored" else FeaturePair(maps, fewer)
    with pytest.raises(ConfigError, match=r"layer 'pool5': its features were not given \(given: pool2\)"):
        fuse(mean_difference, pair, PAPER_LAYERS)


def test_without_any_features_the_message_says_so():
    with pytest.raises(ConfigError, match="given: none"):
        fuse(mean_difference, FeaturePair({}, {}), PAPER_LAYERS)


def test_relative_divides_by_the_mean_square():
    error, mean_square = torch.tensor(3.0), torch.tensor(6.0)
    assert float(normalised(error, lambda: mean_square, "relative")) == 0.5
    assert float(normalised(error, lambda: mean_square, "mean")) == 3.0


def test_relative_stays_finite_on_features_that_are_zero():
    value = normalised(torch.tensor(1e-8), lambda: torch.tensor(0.0), "relative")
    assert float(value) == pytest.approx(1e-8 / MEAN_SQUARE_FLOOR)


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_impossible_weights_are_refused_by_layer(weight):
    with pytest.raises(ConfigError, match=rf"weight {weight} of pool3 must be a number above 0"):
        Layer(name="pool3", weight=weight)


def test_a_layer_must_have_a_name():
    with pytest.raises(ConfigError, match="must have a name"):
        Layer(name="")


@pytest.mark.parametrize(
    ("layers", "normalisation", "message"),
    [
        ((), "mean", r"texture_loss\.layers = \[\]: must name a layer"),
        ((Layer(name="a"), Layer(name="a")), "mean", r"texture_loss\.layers = \['a', 'a'\]: .* once"),
        (PAPER_LAYERS, "max", r"texture_loss\.normalisation = 'max': must be one of mean, relative"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(layers, normalisation, message):
    with pytest.raises(ConfigError, match=message):
        check_features_config("texture_loss", layers, normalisation)
