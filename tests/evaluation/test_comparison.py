from __future__ import annotations

import numpy as np
import pytest

from acutance.errors import ConfigError, InputError
from acutance.evaluation.comparison import SheetLayout, comparison_sheet, in_one_size, strongest_changes
from acutance.geometry import Box


def test_the_strongest_changes_are_found_without_overlap() -> None:
    before = np.zeros((120, 160, 3), np.uint8)
    after = before.copy()
    after[64:80, 96:112] = 200
    after[16:32, 16:32] = 90
    first, second = strongest_changes(before, after, side_px=16, count=2)
    assert first == Box(64, 96, 80, 112)
    assert second == Box(16, 16, 32, 32)


def test_details_are_magnified_without_smoothing() -> None:
    rng = np.random.default_rng(0)
    before, after = (rng.integers(0, 256, (80, 90, 3), dtype=np.uint8) for _ in range(2))
    layout = SheetLayout(detail_px=16, magnification=4, num_details=1)
    sheet = comparison_sheet([("a", before), ("b", after)], layout=layout, details=[Box(8, 8, 24, 24)])
    detail = before[8:24, 8:24].repeat(4, axis=0).repeat(4, axis=1)
    bottom = sheet.shape[0] - 8
    np.testing.assert_array_equal(sheet[bottom - 64 : bottom, 8 : 8 + 64], detail)


def test_pictures_smaller_than_a_detail() -> None:
    small = np.zeros((5, 7, 3), np.uint8)
    assert comparison_sheet([("a", small), ("b", small + 1)]).ndim == 3


def test_smaller_pictures_are_enlarged_by_whole_ratios_and_that_is_said() -> None:
    rng = np.random.default_rng(0)
    small, large, third = (rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((5, 7), (10, 14), (10, 7)))
    (label, enlarged), kept, left = in_one_size([("before", small), ("after", large), ("third", third)])
    assert label == "before (enlarged 2 times, pixels repeated)"
    np.testing.assert_array_equal(enlarged[::2, ::2], small)
    np.testing.assert_array_equal(enlarged[1::2, 1::2], small)
    assert kept == ("after", large)
    assert left == ("third", third)
    assert comparison_sheet(in_one_size([("before", small), ("after", large)])).ndim == 3


def test_what_cannot_be_compared() -> None:
    one = np.zeros((5, 7, 3), np.uint8)
    with pytest.raises(InputError, match="two or more"):
        comparison_sheet([("a", one)])
    with pytest.raises(InputError, match="one size"):
        comparison_sheet([("a", one), ("b", np.zeros((6, 7, 3), np.uint8))])
    with pytest.raises(ConfigError):
        SheetLayout(magnification=0)
