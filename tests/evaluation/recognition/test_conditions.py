"""Conditions are read from their names, and degrade as the protocol's rows do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from acutance.data.blurs import DefocusBlur, GaussianBlur, StraightMotion
from acutance.data.protocol import degrade, drawn, find_row, true_psf
from acutance.errors import ConfigError
from acutance.evaluation.recognition.conditions import DEFAULT_CONDITIONS, condition
from acutance.evaluation.recognition.reading import told_of
from acutance.evaluation.restorers import Trial


def test_a_name_says_blur_noise_and_jpeg():
    row = condition("gauss-2.5-n6-q50")
    assert (row.blur, row.noise_sigma, row.jpeg_quality) == (GaussianBlur(2.5), 6 / 255, 50)
    assert condition("none-q30").blur is None
    assert condition("defocus-4").blur == DefocusBlur(4.0)
    assert condition("motion-12-n2-q85").blur == StraightMotion(12.0)
    assert [condition(name).name for name in DEFAULT_CONDITIONS] == list(DEFAULT_CONDITIONS)


def test_the_same_condition_degrades_as_the_protocol_does(photo):
    assert np.array_equal(
        degrade(photo(20, 24), condition("gauss-1.6-n2"), index=3),
        degrade(photo(20, 24), find_row("gauss-1.6-n2"), index=3),
    )


@pytest.mark.parametrize(
    "text", ["", "gauss", "gauss-0", "gauss-99", "gauss-2-n99", "gauss-2-q0", "gauss-2-q99", "fog-2", "gauss-2-q50-n6"]
)
def test_what_is_no_condition_is_refused_by_its_name(text):
    with pytest.raises(ConfigError, match=f"^row '{text}'"):
        condition(text)


@pytest.mark.parametrize(
    ("name", "words"), [("gauss-2", "gaussian 2px"), ("defocus-4", "defocus 4px"), ("none", "None")]
)
def test_a_trial_is_told_as_a_user_would_tell_it(name, words):
    row = drawn(condition(name), 0)
    assert str(told_of(Trial(row=row, index=0, psf=true_psf(row, 0)))) == words


def test_motion_is_told_along_its_own_direction():
    row = drawn(condition("motion-12"), 5)
    told = told_of(Trial(row=row, index=5, psf=true_psf(row, 5)))
    assert told.strength_px == 12
    assert told.degrees == pytest.approx(math.degrees(row.blur.angle))
