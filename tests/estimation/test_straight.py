"""Straight motion, told more exactly: a first estimate that is a little off comes nearer to the truth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.estimation.straight import refined
from acutance.estimation.verdict import BlurVerdict
from acutance.imaging.kernels import convolve_mirror, line_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


def seen_through(length: float, angle: float, *, noise_levels: float = 0.0) -> np.ndarray:
    sharp = np.asarray(Image.open(PHOTO).convert("L"), np.float64)[80:290, 100:310]
    blurred = convolve_mirror(sharp[..., None], line_psf(length, angle))[15:-15, 15:-15, 0]
    blurred += np.random.default_rng(0).normal(0, noise_levels, blurred.shape) if noise_levels else 0
    return (np.clip(np.rint(blurred), 0, 255) / 255).astype(np.float32)


def verdict(length: float, angle: float) -> BlurVerdict:
    return BlurVerdict(kind="line", share=0.8, strength_px=length, angle=angle)


def off_px(told: BlurVerdict, length: float, angle: float) -> float:
    """Return how far the ends lie off."""
    ends = [
        size / 2 * np.array([math.cos(turn), math.sin(turn)])
        for size, turn in ((told.strength_px, told.angle), (length, angle))
    ]
    return float(min(np.hypot(*(ends[0] - ends[1])), np.hypot(*(ends[0] + ends[1]))))


@pytest.mark.parametrize(("by_px", "by_degrees"), [(1.2, 0), (-1.0, 3), (0.6, -5)])
def test_a_wrong_first_estimate_comes_nearer(by_px, by_degrees):
    truth = 10.0, math.radians(35)
    first = verdict(truth[0] + by_px, truth[1] + math.radians(by_degrees))
    told = refined(seen_through(*truth), first)
    assert off_px(told, *truth) < 0.6 * off_px(first, *truth)
    assert off_px(told, *truth) < 0.35
    assert (told.kind, told.share) == ("line", 0.8)


def test_a_right_first_estimate_stays():
    truth = 7.0, 0.02
    told = refined(seen_through(*truth), verdict(*truth))
    assert off_px(told, *truth) < 0.2
    assert 0 <= told.angle < math.pi


def test_where_noise_tells_nothing_the_first_estimate_counts():
    first = verdict(9.0, 1.0)
    assert refined(seen_through(10.0, 1.0, noise_levels=8.0), first) is first
