"""Eq. (6), (7) and their kin against naive loops over probabilities, at the extremes, and as a game."""

from __future__ import annotations

import math
from functools import partial
from typing import get_args

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch import nn

from acutance.errors import ConfigError
from acutance.losses.adversarial import GAMES, GameConfig, GameKind, r1_penalty

SHAPES = [(1,), (5,), (4, 1), (2, 1, 3, 3)]
KINDS = get_args(GameKind)


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def naive_generator(kind, real, fake):
    """What G minimises, as the papers write it: with probabilities."""
    if kind == "log":
        return mean(-math.log(sigmoid(x)) for x in fake)
    if kind == "probability":
        return mean(-sigmoid(x) for x in fake)
    if kind == "hinge":
        return mean(-x for x in fake)
    more_real = mean(-math.log(sigmoid(x - mean(real))) for x in fake)
    return more_real + mean(-math.log(1.0 - sigmoid(x - mean(fake))) for x in real)


def naive_discriminator(kind, real, fake, smoothing):
    """What D minimises; of the truths, a share is called fake."""
    if kind == "relativistic":
        real, fake = [x - mean(fake) for x in real], [x - mean(real) for x in fake]
    if kind == "hinge":
        on_real = mean((1 - smoothing) * max(0.0, 1 - x) + smoothing * max(0.0, 1 + x) for x in real)
        return on_real + mean(max(0.0, 1 + x) for x in fake)
    on_real = mean(-(1 - smoothing) * math.log(sigmoid(x)) - smoothing * math.log(1 - sigmoid(x)) for x in real)
    return on_real + mean(-math.log(1 - sigmoid(x)) for x in fake)


def test_every_kind_has_a_row():
    assert set(GAMES) == set(KINDS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_generator_terms_are_those_of_the_papers(draw, kind, shape):
    real, fake = draw(*shape, seed=1), 2 * draw(*shape, seed=2)
    expected = naive_generator(kind, real.double().flatten().tolist(), fake.double().flatten().tolist())
    assert float(GAMES[kind].generator_term(fake, real)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", KINDS)
def test_discriminator_terms_are_those_of_the_papers(draw, kind, smoothing, shape):
    real, fake = draw(*shape, seed=1), 2 * draw(*shape, seed=2)
    expected = naive_discriminator(kind, real.double().flatten().tolist(), fake.double().flatten().tolist(), smoothing)
    value = GAMES[kind].discriminator_term(real, fake, label_smoothing=smoothing)
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_only_relativistic_generators_look_at_the_truth(draw, kind):
    fake = draw(4, 1)
    game = GAMES[kind]
    if game.needs_real:
        with pytest.raises(ConfigError, match=r"game\.kind = 'relativistic'"):
            game.generator_term(fake)
    else:
        assert torch.equal(game.generator_term(fake), game.generator_term(fake, draw(4, 1, seed=1)))


def test_a_d_that_cannot_tell_costs_log_2():
    zero = torch.zeros(3, 1)
    assert float(GAMES["log"].generator_term(zero)) == pytest.approx(math.log(2))
    assert float(GAMES["probability"].generator_term(zero)) == -0.5
    for kind in ("log", "probability", "relativistic"):
        assert float(GAMES[kind].discriminator_term(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(GAMES["hinge"].discriminator_term(zero, zero)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_batch_size_does_not_matter(draw, kind):
    real, fake = draw(4, 1, seed=1), draw(4, 1, seed=2)
    game = GAMES[kind]
    twice = real.tile(2, 1), fake.tile(2, 1)
    torch.testing.assert_close(game.generator_term(twice[1], twice[0]), game.generator_term(fake, real))
    torch.testing.assert_close(game.discriminator_term(*twice), game.discriminator_term(real, fake))


def test_relativistic_terms_see_only_differences(draw):
    real, fake = draw(4, 1, seed=1, dtype=torch.float64), draw(4, 1, seed=2, dtype=torch.float64)
    game = GAMES["relativistic"]
    torch.testing.assert_close(game.generator_term(fake + 7, real + 7), game.generator_term(fake, real))
    torch.testing.assert_close(game.discriminator_term(real + 7, fake + 7), game.discriminator_term(real, fake))


def test_relativistic_sides_are_mirror_images(draw):
    """G plays D's game with the roles exchanged."""
    real, fake = draw(4, 1, seed=1), draw(4, 1, seed=2)
    game = GAMES["relativistic"]
    torch.testing.assert_close(game.generator_term(fake, real), game.discriminator_term(fake, real))


# --- extremes and gradients -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("kind", KINDS)
def test_sure_verdicts_stay_finite(kind, size):
    """The logarithm of a probability would be that of 0 from a logit of about −100 on."""
    for real, fake in ((size, -size), (-size, size)):
        logits_real = torch.full((2, 1), real, requires_grad=True)
        logits_fake = torch.full((2, 1), fake, requires_grad=True)
        game = GAMES[kind]
        total = game.generator_term(logits_fake, logits_real)
        total = total + game.discriminator_term(logits_real, logits_fake, label_smoothing=0.1)
        total.backward()
        assert all(bool(torch.isfinite(value).all()) for value in (total, logits_real.grad, logits_fake.grad))


def test_the_rewriting_fades_where_d_is_sure_and_the_logarithm_does_not():
    slopes = {}
    for kind in ("log", "probability"):
        logit = torch.tensor([-20.0], requires_grad=True)
        GAMES[kind].generator_term(logit).backward()
        slopes[kind] = float(logit.grad)
    assert slopes["log"] == pytest.approx(-1.0)
    assert -1e-8 < slopes["probability"] < 0


def test_the_rewritings_gradient_is_that_of_eq_6_times_d():
    logits = torch.tensor([-1.5, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    (rewritten,) = torch.autograd.grad(GAMES["probability"].generator_term(logits), logits)
    (written,) = torch.autograd.grad(GAMES["log"].generator_term(logits), logits)
    torch.testing.assert_close(rewritten, written * torch.sigmoid(logits.detach()))


def test_smoothing_moves_the_best_verdict_on_truths_to_its_share():
    """With s = 0.1, D is best off calling a truth real with probability 0.9."""
    logit = torch.tensor([math.log(9.0)], dtype=torch.float64, requires_grad=True)
    fake = torch.zeros(1, dtype=torch.float64)
    GAMES["log"].discriminator_term(logit, fake, label_smoothing=0.1).backward()
    assert float(logit.grad) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_each_side_pulls_where_it_should(draw, kind):
    real, fake = (0.3 * draw(4, 1, seed=seed) for seed in (1, 2))
    real.requires_grad_()
    fake.requires_grad_()
    GAMES[kind].generator_term(fake, real.detach()).backward()
    assert bool((fake.grad < 0).all())  # down the gradient: a fake looks more real
    fake.grad = None
    GAMES[kind].discriminator_term(real, fake).backward()
    assert bool((fake.grad > 0).all())
    assert bool((real.grad < 0).all())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(draw, kind):
    real = draw(4, 1, seed=1, dtype=torch.float64).requires_grad_()
    fake = draw(4, 1, seed=2, dtype=torch.float64).requires_grad_()
    game = GAMES[kind]
    assert torch.autograd.gradcheck(lambda x: game.generator_term(x, real.detach()), (fake,))
    assert torch.autograd.gradcheck(partial(game.discriminator_term, label_smoothing=0.1), (real, fake))


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_logits_are_judged_in_float32(draw, kind):
    real, fake = (draw(8, 1, seed=seed).bfloat16() for seed in (1, 2))
    game = GAMES[kind]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = game.generator_term(fake, real), game.discriminator_term(real, fake)
    exact = game.generator_term(fake.double(), real.double()), game.discriminator_term(real.double(), fake.double())
    for value, wanted in zip(values, exact, strict=True):
        assert value.dtype == torch.float32
        assert float(value) == pytest.approx(float(wanted), rel=1e-5)


# --- R1 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 2, 3)])
def test_r1_of_a_linear_d_is_half_its_squared_slope(draw, shape):
    slope = draw(*shape[1:], seed=1)
    images = draw(*shape)
    expected = 0.5 * sum(float(value) ** 2 for value in slope.double().flatten())
    penalty = r1_penalty(lambda batch: (batch * slope).sum((1, 2, 3)), images)
    assert float(penalty) == pytest.approx(expected, rel=1e-5)


def test_r1_is_the_mean_over_images_by_finite_differences(draw):
    weight = draw(6, seed=1, dtype=torch.float64)
    images = draw(3, 1, 2, 3, dtype=torch.float64)

    def discriminate(batch):
        return torch.tanh(batch.flatten(1) @ weight) ** 2

    total = 0.0
    for image in images:
        for index in range(6):
            step = torch.zeros(6, dtype=torch.float64)
            step[index] = 1e-5
            beyond, before = image + step.view(1, 2, 3), image - step.view(1, 2, 3)
            total += float((discriminate(beyond[None]) - discriminate(before[None])) / 2e-5) ** 2
    assert float(r1_penalty(discriminate, images).detach()) == pytest.approx(0.5 * total / 3, rel=1e-6)


def test_r1_can_be_minimised_by_ds_weights(draw):
    images = draw(2, 1, 2, 2, dtype=torch.float64)

    def penalty(weight):
        return r1_penalty(lambda batch: torch.tanh(batch.flatten(1) @ weight), images)

    assert torch.autograd.gradcheck(penalty, (draw(4, seed=1, dtype=torch.float64).requires_grad_(),))


def test_r1_leaves_images_and_weights_without_gradients(draw):
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    images = draw(2, 1, 2, 2).requires_grad_()
    penalty = r1_penalty(discriminator, images)
    assert images.grad is None
    assert discriminator[1].weight.grad is None
    penalty.backward()
    assert images.grad is None
    torch.testing.assert_close(discriminator[1].weight.grad, discriminator[1].weight.detach())


def test_r1_works_where_gradients_are_off_and_under_autocast(draw):
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Softplus(), nn.Flatten(), nn.Linear(16, 1))
    images = draw(2, 1, 2, 2)
    plain = r1_penalty(discriminator, images)
    with torch.no_grad():
        assert torch.equal(r1_penalty(discriminator, images), plain)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = r1_penalty(discriminator, images)
    assert penalty.dtype == torch.float32
    assert float(penalty.detach()) == pytest.approx(float(plain.detach()), rel=0.05)


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_shape_checks")
def test_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match=r"game\.kind = 'wgan': must be one of log, probability, hinge, relativ"):
        GameConfig(kind="wgan")


@pytest.mark.parametrize("share", [-0.1, 0.5, 1.0, math.nan])
def test_impossible_smoothing_is_refused(share):
    with pytest.raises(ConfigError, match=rf"game\.label_smoothing = {share}: must lie in \[0, 0\.5\)"):
        GameConfig(label_smoothing=share)
