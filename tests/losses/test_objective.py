"""The objectives: terms unweighted, totals weighted, and what is missing named."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.config.settings import from_values, to_toml, to_values
from acutance.errors import ConfigError
from acutance.losses.adversarial import GAMES, GameConfig
from acutance.losses.content import ContentConfig, charbonnier, l1
from acutance.losses.features import FeaturePair, Layer
from acutance.losses.objective import ObjectiveConfig, discriminator_loss, generator_loss
from acutance.losses.perceptual import PerceptualConfig, perceptual
from acutance.losses.texture import TextureConfig, texture

FULL = ObjectiveConfig(
    content=1.0,
    perceptual=0.5,
    texture=0.25,
    adversarial=2.0,
    r1=3.0,
    content_loss=ContentConfig(kind="charbonnier", eps=0.01),
    perceptual_loss=PerceptualConfig(layers=(Layer(name="pool2"), Layer(name="pool3", weight=0.5))),
    texture_loss=TextureConfig(layers=(Layer(name="relu1_2"),), patch=3, stride=2, normalisation="relative"),
    game=GameConfig(kind="relativistic", label_smoothing=0.1),
)


@pytest.fixture
def batch(draw):
    """Give restored and reference images, their features, and D's verdicts: fake, real."""
    sizes = {"relu1_2": (4, 8, 8), "pool2": (6, 2, 2), "pool3": (8, 1, 1)}
    features = FeaturePair(
        restored={name: draw(2, *size, seed=1) for name, size in sizes.items()},
        reference={name: draw(2, *size, seed=2) for name, size in sizes.items()},
    )
    images = draw(2, 3, 8, 8, seed=3), draw(2, 3, 8, 8, seed=4)
    return images, features, (draw(2, 1, seed=5), draw(2, 1, seed=6))


# --- the generator's --------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_the_content_stage_needs_images_only(weight):
    restored = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    reference = restored.flip(3)
    loss = generator_loss(ObjectiveConfig(content=weight), restored, reference)
    assert list(loss.terms) == ["content"]
    assert torch.equal(loss.terms["content"], l1(restored, reference))
    assert torch.equal(loss.total, weight * l1(restored, reference))


def test_the_total_carries_the_gradient():
    restored = torch.zeros(1, 3, 2, 2, requires_grad=True)
    generator_loss(ObjectiveConfig(content=3.0), restored, torch.ones(1, 3, 2, 2)).total.backward()
    torch.testing.assert_close(restored.grad, torch.full((1, 3, 2, 2), -3.0 / 12))


def test_the_full_loss_has_all_terms_as_settings_say(batch):
    (restored, reference), features, (fake, real) = batch
    loss = generator_loss(FULL, restored, reference, features=features, logits_fake=fake, logits_real=real)
    maps = features.restored, features.reference
    expected = {
        "content": charbonnier(restored, reference, eps=0.01),
        "perceptual": perceptual(*maps, layers=FULL.perceptual_loss.layers),
        "texture": texture(*maps, layers=FULL.texture_loss.layers, patch=3, stride=2, normalisation="relative"),
        "adversarial": GAMES["relativistic"].generator_term(fake, real),
    }
    assert list(loss.terms) == list(expected)
    for name, value in expected.items():
        assert torch.equal(loss.terms[name], value)
    weighted = [1.0 * expected["content"], 0.5 * expected["perceptual"]]
    weighted += [0.25 * expected["texture"], 2.0 * expected["adversarial"]]
    torch.testing.assert_close(loss.total, sum(weighted))


@pytest.mark.parametrize("name", ["content", "perceptual", "texture", "adversarial"])
def test_a_weight_of_0_leaves_its_term_out(batch, name):
    (restored, reference), features, (fake, _) = batch
    weights = {"content": 1.0, "perceptual": 1.0, "texture": 1.0, "adversarial": 1.0, name: 0.0}
    config = ObjectiveConfig(
        **weights,
        perceptual_loss=PerceptualConfig(layers=(Layer(name="pool2"),)),
        texture_loss=TextureConfig(layers=(Layer(name="pool3"),)),
    )
    loss = generator_loss(config, restored, reference, features=features, logits_fake=fake)
    assert list(loss.terms) == [term for term, weight in weights.items() if weight]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"perceptual": 1.0}, r"objective\.perceptual: this term needs features"),
        ({"texture": 1.0}, r"objective\.texture: this term needs features"),
        ({"adversarial": 1.0}, r"objective\.adversarial: this term needs the logits of the restored images"),
    ],
)
def test_a_term_without_its_input_is_refused_by_name(batch, weights, message):
    (restored, reference), _, _ = batch
    with pytest.raises(ConfigError, match=message):
        generator_loss(ObjectiveConfig(**weights), restored, reference)


def test_a_relativistic_term_without_the_truth_is_refused(batch):
    (restored, reference), _, (fake, _) = batch
    config = ObjectiveConfig(adversarial=1.0, game=GameConfig(kind="relativistic"))
    with pytest.raises(ConfigError, match="needs the logits of the truth"):
        generator_loss(config, restored, reference, logits_fake=fake)


def test_a_layer_without_features_is_refused_by_name(batch):
    (restored, reference), features, _ = batch
    with pytest.raises(ConfigError, match="'pool5'"):
        generator_loss(ObjectiveConfig(perceptual=1.0), restored, reference, features=features)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_total_is_float32_under_autocast(batch, dtype):
    (restored, reference), features, (fake, real) = batch
    made = FeaturePair({name: maps.to(dtype) for name, maps in features.restored.items()}, features.reference)
    plain = generator_loss(FULL, restored, reference, features=features, logits_fake=fake, logits_real=real)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = generator_loss(
            FULL, restored.to(dtype), reference, features=made, logits_fake=fake.to(dtype), logits_real=real
        )
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total, plain.total, rtol=0.01 if dtype == torch.bfloat16 else 0, atol=0)


# --- the discriminator's ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GAMES)
def test_the_discriminator_plays_the_game_of_the_settings(batch, kind):
    _, _, (fake, real) = batch
    config = ObjectiveConfig(adversarial=0.001, game=GameConfig(kind=kind, label_smoothing=0.1))
    loss = discriminator_loss(config, real, fake)
    assert list(loss.terms) == ["discriminator"]
    assert torch.equal(loss.total, GAMES[kind].discriminator_term(real, fake, label_smoothing=0.1))


def test_r1_is_added_by_its_weight(batch):
    _, _, (fake, real) = batch
    loss = discriminator_loss(FULL, real, fake, gradient_penalty=torch.tensor(0.5))
    assert float(loss.terms["r1"]) == 0.5
    torch.testing.assert_close(loss.total, loss.terms["discriminator"] + 1.5)


def test_r1_without_its_value_is_refused(batch):
    _, _, (fake, real) = batch
    with pytest.raises(ConfigError, match=r"objective\.r1: this term needs the gradient penalty"):
        discriminator_loss(FULL, real, fake)


def test_r1_without_a_weight_is_left_out(batch):
    _, _, (fake, real) = batch
    loss = discriminator_loss(ObjectiveConfig(adversarial=1.0), real, fake, gradient_penalty=torch.tensor(0.5))
    assert list(loss.terms) == ["discriminator"]


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["content", "perceptual", "texture", "adversarial", "r1"])
@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_impossible_weights_are_refused_by_name(name, weight):
    with pytest.raises(ConfigError, match=rf"objective\.{name} = {weight}"):
        ObjectiveConfig(**{name: weight})


def test_an_objective_without_any_term_is_refused():
    with pytest.raises(ConfigError, match="all weights are 0"):
        ObjectiveConfig(content=0.0, r1=1.0)


def test_layers_are_those_of_the_terms_that_count():
    assert FULL.feature_layers == ("pool2", "pool3", "relu1_2")
    assert ObjectiveConfig().feature_layers == ()
    assert ObjectiveConfig(texture=1.0).feature_layers == ("pool2", "pool5")
    assert ObjectiveConfig(perceptual=1.0, texture=1.0).feature_layers == ("pool2", "pool5")


def test_only_a_relativistic_game_needs_the_truths_logits_for_g():
    assert FULL.needs_logits_real
    assert not ObjectiveConfig(game=GameConfig(kind="relativistic")).needs_logits_real
    assert not ObjectiveConfig(adversarial=1.0, game=GameConfig(kind="hinge")).needs_logits_real


def test_settings_go_to_toml_and_back():
    assert from_values(ObjectiveConfig, to_values(FULL), source="x") == FULL
    assert "stride" not in to_toml(ObjectiveConfig())


def test_rows_of_layers_are_read():
    values = {
        "perceptual": 0.02,
        "perceptual_loss": {"layers": [{"name": "pool2"}, {"name": "pool3", "weight": 0.5}]},
        "game": {"kind": "hinge"},
    }
    config = from_values(ObjectiveConfig, values, source="x")
    assert config.perceptual_loss.layers == (Layer(name="pool2"), Layer(name="pool3", weight=0.5))
    assert config.game.kind == "hinge"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"textur": 1.0}, "unknown setting 'textur' .did you mean 'texture'"),
        ({"game": {"kind": "wgan"}}, r"'wgan': must be one of 'log', 'probability', 'hinge', 'relativistic' .at game"),
        ({"content_loss": {"kind": "l3"}}, r"'l3': must be one of 'l1', 'l2', 'charbonnier', 'psnr' .at content_loss"),
        ({"texture_loss": {"patch": 0}}, r"texture_loss\.patch = 0: must be at least 1"),
        ({"texture_loss": {"stride": 2.5}}, r"2\.5: must be of type int .at texture_loss\.stride"),
        ({"texture_loss": {"normalisation": "max"}}, r"'max': must be one of 'mean', 'relative'"),
        ({"perceptual_loss": {"layers": ["pool2"]}}, r"'pool2': must be a table .*at perceptual_loss\.layers\[0\]"),
        ({"perceptual_loss": {"layers": "pool2"}}, r"layers = 'pool2': must be a list"),
        ({"perceptual_loss": {"layers": [{"name": "pool2", "weight": 0}]}}, "weight 0.0 of pool2"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_by_place(values, message):
    with pytest.raises(ConfigError, match=message):
        from_values(ObjectiveConfig, values, source="x")
