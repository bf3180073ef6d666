from __future__ import annotations

import numpy as np
import pytest

from acutance.deconvolution.psfs import (
    at_centre_of_mass,
    centred,
    lens_likeness,
    path_midpoint,
    similarity,
    spread_px,
    trimmed,
    without_specks,
)
from acutance.imaging.kernels import disk_psf, gaussian_psf, trajectory_psf


def line(length: int, *, size: int = 31, row: int = 15, left: int = 0) -> np.ndarray:
    psf = np.zeros((size, size))
    psf[row, left : left + length] = 1 / length
    return psf


def test_centred_puts_the_box_of_the_light_into_the_middle():
    moved = centred(line(9, row=3, left=20))
    assert np.argwhere(moved > 0).tolist() == [[15, column] for column in range(11, 20)]
    assert moved.sum() == pytest.approx(1)


def test_faint_ends_do_not_move_the_box():
    psf = line(9, left=11)
    psf[15, 25] = 0.01
    np.testing.assert_array_equal(centred(psf) > 0.05, line(9, left=11) > 0.05)


def test_at_centre_of_mass():
    moved = at_centre_of_mass(line(9, row=3, left=20))
    y, x = np.indices(moved.shape)
    assert ((moved * y).sum(), (moved * x).sum()) == pytest.approx((15, 15))


def test_the_midpoint_is_where_half_of_the_light_is_behind():
    # Slowly down, then fast to the right: half of the time is over on the way down.
    path = [(float(y), 0.0) for y in range(10)] + [(9.0, float(4 * x)) for x in range(1, 5)]
    y, x = path_midpoint(trajectory_psf(path))
    middle_of_the_box = np.array([4.5, 8.0])
    assert (y, x) == pytest.approx(tuple(np.array([6.5, 0.0]) - middle_of_the_box), abs=0.5)


def test_the_midpoint_of_what_has_no_order_is_the_centre_of_mass():
    turn = np.linspace(0, 2 * np.pi, 60)
    assert path_midpoint(trajectory_psf(np.stack([6 * np.sin(turn), 6 * np.cos(turn)], 1))) == pytest.approx(
        (0, 0), abs=0.2
    )
    assert path_midpoint(gaussian_psf(1.0)) == pytest.approx((0, 0), abs=0.2)


def test_the_midpoint_of_parts_that_do_not_touch():
    psf = line(5, left=3) + line(5, left=23)
    y, x = path_midpoint(psf / psf.sum())
    assert y == pytest.approx(0)
    assert abs(x) < 10


def test_trimmed_keeps_the_middle():
    small = trimmed(line(9, row=13, left=11))
    assert small.shape == (9, 9)
    assert np.argwhere(small > 0).tolist() == [[2, column] for column in range(9)]
    assert trimmed(line(1, left=15)).shape == (1, 1)


def test_light_that_would_leave_the_array_is_dropped():
    psf = np.zeros((5, 5))
    psf[0, 0], psf[0, 4] = 0.9, 0.1
    assert at_centre_of_mass(psf).sum() == pytest.approx(1)


def test_specks_are_dropped_and_diagonals_belong_together():
    psf = np.zeros((9, 9))
    psf[1, 1] = psf[2, 2] = psf[3, 3] = 0.3
    psf[7, 7] = 0.1
    assert np.argwhere(without_specks(psf, least=0.2)).tolist() == [[1, 1], [2, 2], [3, 3]]
    np.testing.assert_array_equal(without_specks(psf, least=0.05), psf)
    assert without_specks(np.zeros((3, 3))).sum() == 0


def test_similarity_does_not_depend_on_where_a_psf_lies():
    assert similarity(line(9, left=2), line(9, row=4, left=18)) == pytest.approx(1)
    assert similarity(line(21, left=5), line(21, left=5).T) < 0.3


def test_spread():
    assert spread_px(line(13, left=5)) == pytest.approx((np.sqrt((13**2 - 1) / 12), 0), abs=1e-9)
    assert spread_px(gaussian_psf(2.0)) == pytest.approx((2, 2), rel=1e-3)


def test_lenses_are_told_from_hands():
    assert lens_likeness(gaussian_psf(1.7)) > 0.99
    assert lens_likeness(disk_psf(3.2)) > 0.97
    assert lens_likeness(trajectory_psf([(0.0, 0.0), (2.0, 7.0), (0.0, 12.0)])) < 0.75
