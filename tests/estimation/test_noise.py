"""Noise in flat places: how much, and whether neighbours have it in common."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.estimation.noise import FlatPlaces, correlation_chance, flat_places, noise_levels
from acutance.imaging.kernels import convolve_mirror, gaussian_psf


def half_flat(noise: np.ndarray) -> np.ndarray:
    """A ramp on the left, hard texture on the right, and noise over both."""
    plane = np.linspace(0.3, 0.7, 192)[:, None] * np.ones((192, 192))
    plane[:, 96:] += 0.2 * np.sign(np.sin(np.arange(96) * 1.9))
    return (plane + noise).astype(np.float32)


def test_white_noise_is_measured_where_it_is_flat() -> None:
    noise = np.random.default_rng(0).normal(0, 5 / 255, (192, 192))
    flat = flat_places([half_flat(noise)])
    assert flat is not None
    assert flat.levels == pytest.approx(5, rel=0.12)
    assert abs(flat.correlation) < 0.1
    assert correlation_chance(flat.correlation) < 0.05


def test_grain_is_told_from_white_noise() -> None:
    psf = gaussian_psf(0.7)
    grain = convolve_mirror(np.random.default_rng(1).normal(size=(192, 192, 1)), psf)[..., 0]
    flat = flat_places([half_flat(grain * 5 / 255 / np.sqrt((psf**2).sum()))])
    assert flat is not None
    assert flat.levels == pytest.approx(5, rel=0.2)
    assert correlation_chance(flat.correlation) > 0.7


def test_a_ramp_is_no_noise() -> None:
    flat = flat_places([half_flat(np.zeros((192, 192)))])
    assert flat is not None
    assert flat.levels < 0.01


def test_nothing_is_said_of_what_is_all_white() -> None:
    assert flat_places([np.ones((100, 100), np.float32)]) is None
    assert flat_places([np.full((20, 20), 0.5, np.float32)]) is None, "too few blocks"


def test_where_neighbours_differ_the_flat_places_count_and_else_the_estimator() -> None:
    assert noise_levels(1.0, FlatPlaces(levels=7.0, correlation=0.0)) == pytest.approx(7.5, abs=0.1)
    assert noise_levels(1.0, FlatPlaces(levels=7.0, correlation=0.7)) == pytest.approx(1.0)
    assert noise_levels(1.0, None) == 1.0
