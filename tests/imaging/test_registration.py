"""Where a region lies in another picture: shifts, turns, perspective, noise, other light, and what cannot be found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from acutance.geometry import Box
from acutance.imaging.kernels import convolve_mirror, gaussian_psf
from acutance.imaging.registration import coarse_shift, grid_of, registered, sampled, shift_matrix, smoothed

BOX = Box(40, 50, 110, 150)


def scene(seed: int = 0) -> np.ndarray:
    """Draw blocks and lines, soft enough that cubics follow them."""
    rng = np.random.default_rng(seed)
    values = np.full((150, 200), 0.5)
    for _ in range(60):
        top, left = int(rng.integers(0, 140)), int(rng.integers(0, 190))
        values[top : top + int(rng.integers(4, 30)), left : left + int(rng.integers(4, 30))] = rng.uniform(0.1, 0.9)
    return convolve_mirror(values[..., None], gaussian_psf(1.0)).astype(np.float32)


def seen_as(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the picture in which a place of the image lies where the matrix takes it."""
    x, y, _ = grid_of(Box(0, 0, *image.shape[:2]), scale=1)
    return sampled(image, np.linalg.inv(matrix), x, y)[0]


def off_px(found: np.ndarray, true: np.ndarray) -> float:
    """Return how far the corners of the region are off, at most."""
    corners = np.array([[x, y, 1.0] for x in (BOX.left, BOX.right) for y in (BOX.top, BOX.bottom)]).T
    places = [(matrix @ corners)[:2] / (matrix @ corners)[2] for matrix in (found, true)]
    return float(np.hypot(*(places[0] - places[1])).max())


@pytest.mark.parametrize("shift", [(0, 0), (7, -5), (-30, 20), (41, 3)])
def test_a_shift_by_whole_pixels_is_found_in_noise(shift):
    rng = np.random.default_rng(1)
    image = scene()
    moved = seen_as(image, shift_matrix(*shift)) + rng.normal(0, 0.05, image.shape)
    assert coarse_shift(smoothed(image[..., 0]), smoothed(moved[..., 0])) == shift


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_shift_is_found_to_a_part_of_a_pixel(noise):
    rng = np.random.default_rng(2)
    image, true = scene(), shift_matrix(3.37, -2.61)
    moved = 0.8 * seen_as(image, true) + 0.1 + rng.normal(0, noise, image.shape)
    found = registered(smoothed(image[..., 0]), smoothed(moved[..., 0]), BOX, shift_matrix(2, -2))
    assert found is not None
    assert off_px(found.matrix, true) < (0.02 if noise == 0 else 0.12)
    assert found.shift_at(BOX) == pytest.approx((3.37, -2.61), abs=0.05)


def test_a_turn_and_a_zoom_are_found():
    angle, zoom = math.radians(3), 1.04
    turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    true = np.eye(3)
    true[:2, :2], true[:2, 2] = turn, np.array([100, 75]) - turn @ np.array([100, 75]) + np.array([1.5, 0.5])
    image = scene()
    moved = seen_as(image, true)
    found = registered(smoothed(image[..., 0]), smoothed(moved[..., 0]), BOX, shift_matrix(1, 1))
    assert found is not None
    assert found.model in {"affine", "homography"}
    assert off_px(found.matrix, true) < 0.12
    only = registered(smoothed(image[..., 0]), smoothed(moved[..., 0]), BOX, shift_matrix(1, 1), largest="translation")
    assert only is not None
    assert only.correlation < found.correlation


def test_perspective_is_found_in_a_large_region():
    true = np.array([[1.01, 0.01, -1.0], [0.0, 0.99, 1.0], [2e-4, -1.5e-4, 1.0]])
    image = np.kron(scene()[..., 0], np.ones((2, 2)))[..., None]
    image = convolve_mirror(image, gaussian_psf(1.5)).astype(np.float32)
    box = Box(60, 80, 240, 320)
    moved = seen_as(image, true)
    found = registered(smoothed(image[..., 0]), smoothed(moved[..., 0]), box, np.eye(3))
    assert found is not None
    assert found.model == "homography"
    corner = np.array([320, 240, 1.0])
    here, there = (matrix @ corner for matrix in (found.matrix, true))
    assert np.hypot(*(here[:2] / here[2] - there[:2] / there[2])) < 0.1


def test_noise_alone_turns_nothing():
    """More than a shift must explain more than chance does."""
    rng = np.random.default_rng(3)
    image = scene()
    models = []
    for _ in range(6):
        noisy = image + rng.normal(0, 0.06, image.shape)
        found = registered(smoothed(image[..., 0]), smoothed(noisy[..., 0]), BOX, np.eye(3))
        assert found is not None
        models.append(found.model)
    assert models.count("translation") >= 5


def test_a_region_that_left_the_picture_is_not_found():
    image = scene()
    assert registered(smoothed(image[..., 0]), smoothed(image[..., 0]), BOX, shift_matrix(120, 0)) is None


def test_places_between_pixels_are_those_of_a_cubic():
    y, x = np.mgrid[:8, :9].astype(np.float32)
    plane = (0.1 * x**2 + 0.05 * y * x)[..., None].astype(np.float32)
    at_x, at_y = np.array([3.25, 4.5]), np.array([2.75, 3.5])
    values, inside = sampled(plane, np.eye(3), at_x, at_y)
    np.testing.assert_allclose(values[:, 0], 0.1 * at_x**2 + 0.05 * at_y * at_x, atol=1e-5)
    assert inside.all()
    assert not sampled(plane, np.eye(3), np.array([-0.5]), np.array([1.0]))[1].any()


def test_a_finer_grid_keeps_the_corners():
    x, y, size = grid_of(Box(2, 3, 5, 7), scale=2)
    assert size == (6, 8)
    assert (x[0, 0], y[0, 0], x[-1, -1], y[-1, -1]) == (2.75, 1.75, 6.25, 4.25)
