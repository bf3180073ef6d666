"""Plain words when the game goes badly, and silence when it goes well."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.training.health import HealthSummary, complaints, health_summary
from acutance.training.step_record import GameRecord, StepRecord

WELL = HealthSummary(
    {"content": 0.02, "adversarial": 0.7},
    0.1,
    0.9,
    discriminator_loss=1.3,
    discriminator_gradient_norm=0.4,
    accuracy_real=0.7,
    accuracy_fake=0.65,
)


def scalar(value):
    return torch.tensor(float(value))


def record(index):
    game = GameRecord(scalar(1 + index), scalar(0.5 + 0.1 * index), scalar(0.9), scalar(2 * index))
    return StepRecord({"content": scalar(index)}, scalar(index), torch.tensor(True), scalar(1.0 + index), game)


def test_the_summary_is_of_means():
    found = health_summary([record(1), record(3)])
    assert found.terms == {"content": 2.0}
    assert (found.gradient_norm, found.energy_ratio) == (2.0, 3.0)
    assert found.discriminator_loss == 3.0
    assert found.accuracy_real == pytest.approx(0.7)
    assert found.figures()["discriminator_gradient_norm"] == 4.0


def test_without_a_discriminator_there_are_no_figures_of_one():
    found = health_summary([replace(record(1), game=None)])
    assert set(found.figures()) == {"content", "gradient_norm", "energy_ratio"}
    assert complaints(found, loss=1.0, loss_before=1.0).keys() == {"sharpness"}


@pytest.mark.parametrize(
    ("terms", "advice"),
    [
        (("content",), "early in a run this is normal; if it stays, lower the learning rates"),
        (("content", "texture"), "lower objective.texture"),
        (("content", "texture", "adversarial"), "lower objective.adversarial or objective.texture"),
    ],
)
def test_the_advice_is_of_terms_that_are_trained_with(terms, advice):
    now = replace(WELL, terms=dict.fromkeys(terms, 0.02), energy_ratio=1.4)
    assert complaints(now, loss=0.02, loss_before=0.02)["sharpness"].endswith(f"over-sharpened; {advice}")


def test_all_is_well():
    assert complaints(WELL, loss=0.02, loss_before=0.021) == {}
    assert complaints(WELL, loss=0.02, loss_before=None) == {}


@pytest.mark.parametrize(
    ("change", "loss", "name", "words"),
    [
        ({"accuracy_real": 0.99, "accuracy_fake": 0.98}, 0.02, "win", "the discriminator wins"),
        ({"accuracy_real": 0.9, "accuracy_fake": 0.1}, 0.02, "collapse", "the discriminator guesses"),
        ({"energy_ratio": 1.4}, 0.02, "sharpness", "over-sharpened"),
        ({}, 0.3, "explosion", "explodes"),
        ({}, float("nan"), "explosion", "explodes"),
    ],
)
def test_every_ailment_has_its_words(change, loss, name, words):
    found = complaints(replace(WELL, **change), loss=loss, loss_before=0.02)
    assert found.keys() == {name}
    assert words in found[name]


@pytest.mark.parametrize("loss", [-0.5, -0.4, -0.39])
def test_a_loss_below_0_does_not_explode_because_of_its_sign(loss):
    assert complaints(WELL, loss=loss, loss_before=-0.4) == {}
    assert complaints(WELL, loss=5.0, loss_before=-0.4).keys() == {"explosion"}
