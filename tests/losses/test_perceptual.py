"""Eq. (4) against a naive loop in float64."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.losses.features import Layer
from acutance.losses.perceptual import PerceptualConfig, perceptual

ONE = (Layer(name="pool2"),)
SHAPES = [(1, 1, 1, 1), (1, 7, 1, 1), (2, 3, 4, 5), (3, 4, 2, 1)]


def naive(restored, reference, normalisation):
    """Add up one square after the other."""
    error = energy = 0.0
    for made, truth in zip(restored.double().flatten(), reference.double().flatten(), strict=True):
        error += (float(made) - float(truth)) ** 2
        energy += float(truth) ** 2
    return error / energy if normalisation == "relative" else error / restored.numel()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("normalisation", ["mean", "relative"])
def test_one_layer_is_the_mean_squared_error(draw, shape, normalisation):
    restored, reference = draw(*shape, seed=1), draw(*shape, seed=2)
    loss = perceptual({"pool2": restored}, {"pool2": reference}, layers=ONE, normalisation=normalisation)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(naive(restored, reference, normalisation), rel=1e-5)


@pytest.mark.parametrize("normalisation", ["mean", "relative"])
def test_layers_of_different_shapes_are_added_by_weight(draw, normalisation):
    restored = {"pool2": draw(2, 8, 6, 6, seed=1), "pool5": draw(2, 16, 1, 1, seed=2)}
    reference = {"pool2": draw(2, 8, 6, 6, seed=3), "pool5": draw(2, 16, 1, 1, seed=4)}
    layers = (Layer(name="pool2", weight=0.25), Layer(name="pool5", weight=2.0))
    expected = 0.25 * naive(restored["pool2"], reference["pool2"], normalisation)
    expected += 2.0 * naive(restored["pool5"], reference["pool5"], normalisation)
    loss = perceptual(restored, reference, layers=layers, normalisation=normalisation)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_default_is_the_papers_choice_of_layers(draw):
    restored = {"pool2": draw(2, 8, 6, 6, seed=1), "pool5": draw(2, 16, 1, 1, seed=2)}
    reference = {name: features + 1.0 for name, features in restored.items()}
    assert float(perceptual(restored, reference)) == pytest.approx(2.0, rel=1e-5)


def test_equal_features_have_no_loss(draw):
    features = {"pool2": draw(2, 3, 4, 4)}
    assert float(perceptual(features, features, layers=ONE)) == 0


def test_no_features_at_all_are_1_off_in_relative_terms(draw):
    reference = draw(2, 3, 4, 4)
    loss = perceptual(
        {"pool2": torch.zeros_like(reference)}, {"pool2": reference}, layers=ONE, normalisation="relative"
    )
    assert float(loss) == pytest.approx(1.0)


@pytest.mark.parametrize("size", [1e-2, 50.0])
def test_relative_does_not_depend_on_the_size_of_features(draw, size):
    restored, reference = draw(2, 3, 4, 4, seed=1), draw(2, 3, 4, 4, seed=2)
    losses = [
        perceptual({"pool2": k * restored}, {"pool2": k * reference}, layers=ONE, normalisation="relative")
        for k in (1.0, size)
    ]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (2, 3, 2, 3)])
@pytest.mark.parametrize("normalisation", ["mean", "relative"])
def test_gradients_are_those_of_finite_differences(draw, shape, normalisation):
    restored = draw(*shape, seed=1, dtype=torch.float64).requires_grad_()
    reference = draw(*shape, seed=2, dtype=torch.float64)

    def loss(features):
        return perceptual({"pool2": features}, {"pool2": reference}, layers=ONE, normalisation=normalisation)

    assert torch.autograd.gradcheck(loss, (restored,))


def test_half_precision_features_are_summed_in_float32(draw):
    restored, reference = draw(2, 16, 24, 24, seed=1), draw(2, 16, 24, 24, seed=2)
    halves = restored.bfloat16(), reference.bfloat16()
    loss = perceptual({"pool2": halves[0]}, {"pool2": halves[1]}, layers=ONE)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float((halves[0].double() - halves[1].double()).square().mean()), rel=1e-5)


@pytest.mark.parametrize("normalisation", ["mean", "relative"])
def test_autocast_changes_nothing(draw, normalisation):
    pair = {"pool2": draw(2, 3, 4, 4, seed=1)}, {"pool2": draw(2, 3, 4, 4, seed=2)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = perceptual(*pair, layers=ONE, normalisation=normalisation)
    assert torch.equal(loss, perceptual(*pair, layers=ONE, normalisation=normalisation))


def test_a_missing_layer_is_refused_by_name(draw):
    features = {"pool2": draw(1, 2, 3, 3)}
    with pytest.raises(ConfigError, match="'pool5'"):
        perceptual(features, features)


def test_settings_name_themselves():
    with pytest.raises(ConfigError, match=r"perceptual_loss\.layers = \[\]"):
        PerceptualConfig(layers=())
