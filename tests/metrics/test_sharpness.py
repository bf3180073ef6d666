"""Gradient energy against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from acutance.errors import InputError
from acutance.metrics.sharpness import gradient_energy, gradient_energy_ratio

NOISE = np.random.default_rng(0).integers(0, 256, (30, 26, 3), dtype=np.uint8)


def test_energy_is_the_sum_over_both_neighbours():
    total = 0
    for y in range(30):
        for x in range(26):
            for c in range(3):
                here = int(NOISE[y, x, c])
                total += (int(NOISE[y + 1, x, c]) - here) ** 2 if y < 29 else 0
                total += (int(NOISE[y, x + 1, c]) - here) ** 2 if x < 25 else 0
    assert gradient_energy(NOISE) == pytest.approx(total / NOISE.size)


def test_ratio_is_one_for_the_truth_below_for_blur_above_for_contrast():
    soft = ndimage.gaussian_filter(NOISE.astype(float), (1, 1, 0))
    reference = soft.astype(np.uint8)
    assert gradient_energy_ratio(reference, reference) == 1
    blurred = ndimage.gaussian_filter(soft, (1, 1, 0)).astype(np.uint8)
    assert gradient_energy_ratio(blurred, reference) < 0.5
    assert gradient_energy_ratio(NOISE, reference) > 5


def test_doubled_contrast_is_four_times_the_energy():
    reference = NOISE // 4
    assert gradient_energy_ratio(reference * np.uint8(2), reference) == pytest.approx(4)


def test_a_reference_of_one_colour():
    flat = np.full((5, 5, 3), 9, np.uint8)
    assert gradient_energy_ratio(flat, flat) == 1
    assert gradient_energy_ratio(NOISE[:5, :5], flat) == math.inf
    assert gradient_energy_ratio(flat, NOISE[:5, :5]) == 0
    assert gradient_energy(flat[:1, :1]) == 0


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match="cannot be compared"):
        gradient_energy_ratio(NOISE, NOISE[1:])
