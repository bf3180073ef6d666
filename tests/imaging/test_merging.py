"""Pictures of one thing made into one."""

from __future__ import annotations

import numpy as np

from acutance.imaging.merging import merged

SHAPE = (40, 50, 3)


def noisy(count: int, noise: float = 0.05) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.8, SHAPE).astype(np.float32)
    return truth, [(truth + rng.normal(0, noise, SHAPE)).astype(np.float32) for _ in range(count)]


def everywhere(count: int) -> list[np.ndarray]:
    return [np.ones(SHAPE[:2], bool)] * count


def test_noise_falls_with_the_root_of_their_number():
    truth, pictures = noisy(16)
    mean, used = merged(pictures, everywhere(16), np.ones(16))
    assert np.std(mean - truth) < 1.15 * 0.05 / 4
    assert used.min() > 0.8


def test_what_passes_in_front_is_left_out():
    truth, pictures = noisy(9, noise=0.02)
    pictures[3][10:25, 10:30] = 0.0
    mean, used = merged(pictures, everywhere(9), np.ones(9))
    assert np.abs(mean - truth)[14:21, 14:26].max() < 0.05
    assert used[3] == used.min()


def test_weights_count():
    _, pictures = noisy(2)
    mean, _ = merged(pictures, everywhere(2), np.array([1.0, 0.0]))
    np.testing.assert_allclose(mean, pictures[0], atol=1e-6)


def test_a_place_that_some_do_not_show_comes_from_the_others():
    truth, pictures = noisy(6, noise=0.02)
    inside = [one.copy() for one in everywhere(6)]
    for one, picture in zip(inside[:3], pictures[:3], strict=True):
        one[:, :10] = False
        picture[:, :10] = 7.0
    mean, _ = merged(pictures, inside, np.ones(6))
    assert np.abs(mean - truth)[:, :10].max() < 0.06


def test_one_picture_is_itself():
    _, pictures = noisy(1)
    mean, used = merged(pictures, everywhere(1), np.ones(1))
    np.testing.assert_allclose(mean, pictures[0], atol=1e-6)
    assert used == [1.0]
