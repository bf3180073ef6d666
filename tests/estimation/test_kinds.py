"""Kinds and their probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.estimation.classes import CLASSES, FIRST_LINE, FIRST_RADIUS, LINES_PX
from acutance.estimation.kinds import KINDS, Calibration, kind_logs, probabilities, softness_of


def peaked(number: int, height: float = 12.0) -> np.ndarray:
    logs = np.zeros(CLASSES)
    logs[number] = height
    return logs


@pytest.mark.parametrize(
    ("number", "kind"),
    [(0, "sharp"), (8, "gaussian"), (FIRST_RADIUS + 5, "defocus"), (FIRST_LINE + 60, "line"), (CLASSES - 3, "path")],
)
def test_the_likeliest_kind_is_told(number: int, kind: str) -> None:
    seen = softness_of(peaked(number, 30.0))
    assert seen.kind == kind
    assert 0.9 < seen.confidence <= 1


def test_probabilities_sum_to_one_and_a_temperature_makes_them_humbler() -> None:
    logs = kind_logs(peaked(8))
    sure, humble = (
        probabilities(logs, Calibration(temperature=one, offsets=(0.0,) * len(KINDS))) for one in (1.0, 4.0)
    )
    assert sure.sum() == pytest.approx(1)
    assert humble.sum() == pytest.approx(1)
    assert humble.max() < sure.max()


def test_softness_is_the_spread_of_light() -> None:
    line = softness_of(peaked(FIRST_LINE + 60, 30.0))
    assert line.softness_px == pytest.approx(np.hypot(*LINES_PX[60]) / np.sqrt(24), rel=0.1)
    disk = softness_of(peaked(FIRST_RADIUS + 5, 30.0))
    assert disk.softness_px == pytest.approx(disk.verdict.strength_px / 2)
