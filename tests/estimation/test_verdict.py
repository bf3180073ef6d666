"""Classes and the verdict: what was shared among classes is told back, whatever the kind."""

from __future__ import annotations

import math

import numpy as np
import pytest

from acutance.estimation.classes import (
    CLASSES,
    FIRST_LINE,
    FIRST_PATH,
    FIRST_RADIUS,
    LINE_REACH,
    LINE_STEP_PX,
    LINES_PX,
    PATH_LENGTHS_PX,
    RADII_PX,
    SIGMAS_PX,
    line_numbers,
)
from acutance.estimation.verdict import LEAST_NOISE, SHARP_SIGMA_PX, BlurField, BlurVerdict, verdict_of
from acutance.imaging.kernels import disk_psf, gaussian_psf, line_psf


def shared(shares: dict[int, float]) -> np.ndarray:
    """Give the logarithms of shares by class, and next to nothing for all others."""
    values = np.full(CLASSES, 1e-12)
    for number, share in shares.items():
        values[number] = share
    return np.log(values)


def line_class(x: float, y: float) -> int:
    return FIRST_LINE + int(np.argmin(np.hypot(*(LINES_PX - (x, y)).T)))


# --- classes ----------------------------------------------------------------------------------------------


def test_classes_are_counted_kind_by_kind():
    assert FIRST_RADIUS == 20
    assert FIRST_LINE == 35
    assert len(LINES_PX) + 35 == FIRST_PATH
    assert FIRST_PATH + len(PATH_LENGTHS_PX) == CLASSES


def test_of_each_vector_and_its_opposite_there_is_one():
    seen = {(x, y) for x, y in LINES_PX}
    assert len(seen) == len(LINES_PX)
    assert all((x, y) == (0, 0) or (-x, -y) not in seen for x, y in seen)


def test_numbers_lead_from_a_vector_and_its_opposite_to_its_class():
    table = line_numbers()
    for number, (x, y) in enumerate(LINES_PX):
        column, row = round(x / LINE_STEP_PX), round(y / LINE_STEP_PX)
        assert table[LINE_REACH + row, LINE_REACH + column] == number
        assert table[LINE_REACH - row, LINE_REACH - column] == number
    assert table[0, 0] == -1  # a corner: 36 px long


# --- verdicts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 7, 19])
def test_a_gaussian_is_told_by_its_class_and_between_two(number):
    assert verdict_of(shared({number: 1.0})).strength_px == pytest.approx(SIGMAS_PX[number])
    other = number - 1 if number else 1
    told = verdict_of(shared({number: 0.7, other: 0.3}))
    assert told.kind == "gaussian"
    assert told.strength_px == pytest.approx(SIGMAS_PX[number] ** 0.7 * SIGMAS_PX[other] ** 0.3)
    assert told.share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("kind", "first", "values"), [("defocus", FIRST_RADIUS, RADII_PX), ("path", FIRST_PATH, PATH_LENGTHS_PX)]
)
def test_other_strengths_are_told_between_two_classes(kind, first, values):
    told = verdict_of(shared({first + 3: 0.25, first + 4: 0.75}))
    assert told.kind == kind
    assert told.strength_px == pytest.approx(0.25 * values[3] + 0.75 * values[4])


@pytest.mark.parametrize(("x", "y"), [(9.0, 4.5), (-9.0, 4.5), (0.0, 12.0), (12.0, 0.0), (1.5, 0.0)])
def test_a_line_is_told_by_its_class(x, y):
    told = verdict_of(shared({line_class(x, y): 1.0}))
    assert told.kind == "line"
    assert told.strength_px == pytest.approx(math.hypot(x, y))
    assert told.angle == pytest.approx(math.atan2(y, x) % math.pi)


def test_a_line_across_the_seam_of_opposites_is_told_in_one_direction():
    """Just above and just below the x axis: the vectors kept there point to opposite sides."""
    told = verdict_of(shared({line_class(12.0, 0.0): 0.6, line_class(-12.0, 1.5): 0.4}))
    assert told.strength_px == pytest.approx(math.hypot(12.0, 0.6), rel=1e-6)
    assert told.angle == pytest.approx(math.atan2(0.6, -12.0))


def test_far_classes_of_a_kind_do_not_move_the_strength():
    told = verdict_of(shared({FIRST_RADIUS + 2: 0.6, FIRST_RADIUS + 12: 0.4}))
    assert told.strength_px == pytest.approx(RADII_PX[2])
    told = verdict_of(shared({line_class(9.0, 0.0): 0.6, line_class(0.0, 9.0): 0.4}))
    assert (told.strength_px, told.angle) == (pytest.approx(9.0), pytest.approx(0.0))


def test_the_likeliest_kind_wins_over_the_likeliest_class():
    lines = {line_class(6.0, y): 0.15 for y in (3.0, 4.5, 6.0, 7.5)}
    told = verdict_of(shared({5: 0.4, **lines}))
    assert told.kind == "line"
    assert told.share == pytest.approx(0.6)


def test_kernels_are_those_of_the_kind():
    np.testing.assert_array_equal(BlurVerdict(kind="gaussian", share=1, strength_px=1.5).psf, gaussian_psf(1.5))
    np.testing.assert_array_equal(BlurVerdict(kind="defocus", share=1, strength_px=3.0).psf, disk_psf(3.0))
    np.testing.assert_array_equal(BlurVerdict(kind="line", share=1, strength_px=9.0, angle=1.0).psf, line_psf(9.0, 1.0))
    assert BlurVerdict(kind="path", share=1, strength_px=9.0).psf is None


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (BlurVerdict(kind="gaussian", share=1, strength_px=SHARP_SIGMA_PX), "sharp already"),
        (BlurVerdict(kind="gaussian", share=1, strength_px=1.62), "soft by about σ = 1.6 px"),
        (BlurVerdict(kind="defocus", share=1, strength_px=3.04), "out of focus by about 3.0 px"),
        (
            BlurVerdict(kind="line", share=1, strength_px=9.8, angle=math.pi / 6),
            "straight motion of about 10 px along 30°",
        ),
        (BlurVerdict(kind="line", share=1, strength_px=9.8, angle=3.14), "straight motion of about 10 px along 0°"),
        (BlurVerdict(kind="path", share=1, strength_px=12.2), "curved motion of about 12 px"),
    ],
)
def test_a_verdict_says_itself(verdict, words):
    assert str(verdict) == words
    assert verdict.is_sharp == (words == "sharp already")


# --- fields -----------------------------------------------------------------------------------------------


def field_of(*windows: dict[int, float], noise: tuple[float, ...] = (1.0,)) -> BlurField:
    logits = np.stack([shared(shares) for shares in windows], axis=1)[:, None].astype(np.float32) + 3.0
    levels = np.log2(np.array(noise, np.float32) + LEAST_NOISE)[None]
    return BlurField.of_answers(logits, levels)


def test_answers_become_logarithms_of_shares_and_levels():
    field = field_of({4: 0.5, 5: 0.5}, {9: 1.0}, noise=(0.0, 3.0))
    np.testing.assert_allclose(np.exp(field.log_shares).sum(axis=0), 1.0)
    np.testing.assert_allclose(np.exp(field.log_shares[4, 0, 0]), 0.5, rtol=1e-5)
    np.testing.assert_allclose(field.noise_levels, [[0.0, 3.0]], atol=1e-5)
    assert field.noise == pytest.approx(1.5)


def test_the_whole_is_what_most_windows_agree_on():
    field = field_of({25: 0.8, 5: 0.2}, {25: 0.7, 5: 0.3}, {25: 0.4, 5: 0.6})
    assert field.whole.kind == "defocus"
    alone = field_of({25: 0.6, 5: 0.4})
    assert alone.whole.share == pytest.approx(0.6, abs=1e-3)  # one window counts as one
    assert field_of(*[{25: 0.6, 5: 0.4}] * 20).whole.share == pytest.approx(0.6**3 / (0.6**3 + 0.4**3), abs=1e-3)


# --- all over or not --------------------------------------------------------------------------------------


def field_along(vectors: list[tuple[float, float]]) -> BlurField:
    """Give a field of one row whose windows moved along these vectors; None-like (0, 0) is a sharp one."""
    windows = [shared({line_class(x, y): 1.0}) if (x, y) != (0, 0) else shared({0: 1.0}) for x, y in vectors]
    return BlurField(np.stack(windows, axis=1)[:, None], np.zeros((1, len(vectors))))


def test_windows_that_moved_like_the_picture_are_counted_whichever_way_round():
    whole = BlurVerdict(kind="line", share=1.0, strength_px=12.0, angle=0.0)
    assert field_along([(12, 0), (-12, 0), (10.5, 1.5), (13.5, 0)]).share_moved_like(whole) == 1.0
    assert field_along([(12, 0), (0, 12), (3, 0), (0, 0)]).share_moved_like(whole) == 0.25


def test_what_is_near_counts_most():
    field = field_along([(12, 0)] * 10 + [(0, 12)] * 10)
    left, right = (field.near(70.0, x) for x in (70.0, 70.0 + 19 * 32))
    assert (left.kind, right.kind) == ("line", "line")
    assert math.degrees(left.angle) == pytest.approx(0, abs=1)
    assert math.degrees(right.angle) == pytest.approx(90, abs=1)
