"""Blur against SciPy, and the psfs against their defining properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from acutance.errors import ConfigError
from acutance.geometry import Size
from acutance.imaging.kernels import (
    anisotropic_gaussian_psf,
    convolve_mirror,
    disk_psf,
    gaussian_psf,
    line_psf,
    optical_transfer,
    psf_sigma_px,
    softened_psf,
    temporal_midpoint,
    trajectory_psf,
    with_unsharp_mask,
)


def picture(height, width, channels=3, *, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, channels))


def centre_of_mass(psf):
    return np.array(ndimage.center_of_mass(psf)) - np.array(psf.shape) // 2


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.6, 2.0, 3.0, 4.0])
def test_gaussian_blur_is_scipys(sigma):
    image = picture(41, 37)
    expected = ndimage.gaussian_filter(
        image, (sigma, sigma, 0), mode="mirror", radius=(math.ceil(4 * sigma),) * 2 + (0,)
    )
    np.testing.assert_allclose(convolve_mirror(image, gaussian_psf(sigma)), expected, atol=1e-11)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0, 4.0])
def test_gaussian_blur_is_scipys_truncate_4_where_that_is_whole(sigma):
    image = picture(41, 37)
    expected = ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="mirror", truncate=4)
    np.testing.assert_allclose(convolve_mirror(image, gaussian_psf(sigma)), expected, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(2, 14), st.integers(2, 14)),
    psf_size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_convolution_is_scipys_for_any_sizes(size, psf_size, seed):
    image = picture(*size, 2, seed=seed)
    psf = np.random.default_rng(seed + 1).uniform(0, 1, psf_size)  # not symmetric: shows the flip
    expected = np.stack([ndimage.convolve(image[:, :, c], psf, mode="mirror") for c in range(2)], axis=2)
    np.testing.assert_allclose(convolve_mirror(image, psf), expected, atol=1e-10)


def test_a_picture_much_smaller_than_the_psf():
    image = picture(3, 5)
    expected = ndimage.gaussian_filter(image, (4, 4, 0), mode="mirror", truncate=4)
    np.testing.assert_allclose(convolve_mirror(image, gaussian_psf(4.0)), expected, atol=1e-11)


def test_a_picture_of_one_pixel_stays():
    np.testing.assert_allclose(convolve_mirror(picture(1, 1), gaussian_psf(2.0)), picture(1, 1), atol=1e-11)


def test_a_point_of_light_becomes_the_psf():
    psf = np.arange(15.0).reshape(3, 5)
    image = np.zeros((9, 11, 1))
    image[4, 5] = 1
    np.testing.assert_allclose(convolve_mirror(image, psf)[3:6, 3:8, 0], psf, atol=1e-12)


def test_uint8_is_taken_as_it_is():
    image = picture(12, 12).astype(np.uint8)
    blurred = convolve_mirror(image, gaussian_psf(1.0))
    assert blurred.dtype == np.float64
    np.testing.assert_array_equal(blurred, convolve_mirror(image.astype(np.float64), gaussian_psf(1.0)))


@pytest.mark.parametrize(
    "psf",
    [
        gaussian_psf(1.6),
        anisotropic_gaussian_psf(3, 1, 0.5),
        disk_psf(2.7),
        trajectory_psf([(0, -2.6), (0, 2.6)]),
        softened_psf(disk_psf(2.7), 0.4),
    ],
    ids=["gaussian", "anisotropic", "disk", "trajectory", "softened"],
)
def test_psfs_are_odd_unit_and_centred(psf):
    assert psf.dtype == np.float64
    assert psf.shape[0] % 2 == 1
    assert psf.shape[0] == psf.shape[1]
    assert psf.min() >= 0
    assert psf.sum() == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(centre_of_mass(psf), 0, atol=1e-12)


@pytest.mark.parametrize("psf", [gaussian_psf(0), disk_psf(0), disk_psf(0.4), trajectory_psf([(5, 8.5)])])
def test_no_blur_is_the_identity(psf):
    image = picture(6, 7)
    np.testing.assert_allclose(convolve_mirror(image, psf), image, atol=1e-12)


def test_gaussian_radius_is_four_sigma_rounded_up():
    assert gaussian_psf(1.6).shape == (15, 15)
    assert gaussian_psf(4.0).shape == (33, 33)


def test_anisotropic_with_equal_sigmas_is_isotropic():
    np.testing.assert_allclose(anisotropic_gaussian_psf(2, 2, 0.7), gaussian_psf(2.0), atol=1e-15)


def test_anisotropic_angle_turns_from_right_to_down():
    flat = anisotropic_gaussian_psf(3, 1, 0)
    middle = flat.shape[0] // 2
    assert flat[middle, middle + 4] > flat[middle + 4, middle]
    np.testing.assert_allclose(anisotropic_gaussian_psf(3, 1, math.pi / 2), flat.T, atol=1e-15)
    diagonal = anisotropic_gaussian_psf(3, 1, math.pi / 4)
    assert diagonal[middle + 3, middle + 3] > diagonal[middle + 3, middle - 3]


@pytest.mark.parametrize("radius", [0.7, 1.0, 2.0, 2.5, 4.0])
def test_disk_is_the_area_of_the_circle(radius):
    psf = disk_psf(radius)
    reach, fine = psf.shape[0] // 2, 200
    offsets = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = (offsets[:, None] ** 2 + offsets[None, :] ** 2 <= radius**2).astype(float)
    areas = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean(axis=(1, 3))
    np.testing.assert_allclose(psf, areas / (math.pi * radius**2), atol=2e-4)


@pytest.mark.parametrize("radius", [1.0, 2.0, 4.0])
def test_the_middle_of_a_disk_is_one_whole_pixel(radius):
    psf = disk_psf(radius)
    assert psf.max() == psf[psf.shape[0] // 2, psf.shape[1] // 2] == pytest.approx(1 / (math.pi * radius**2))


@settings(max_examples=25, deadline=None)
@given(radius=st.floats(0.1, 9))
def test_disk_is_symmetric(radius):
    psf = disk_psf(radius)
    np.testing.assert_allclose(psf, psf.T, atol=1e-15)
    np.testing.assert_allclose(psf, psf[::-1, ::-1], atol=1e-15)


def test_trajectory_of_a_straight_line_is_a_box():
    psf = trajectory_psf([(0, -4), (0, 4)])
    middle = psf.shape[0] // 2
    np.testing.assert_allclose(psf[middle, middle - 3 : middle + 4], 1 / 8, atol=1e-12)
    assert psf[middle].sum() == pytest.approx(1)


def test_trajectory_stays_longer_where_the_vertices_are_denser():
    psf = trajectory_psf([(0, 0), (0, 1), (0, 2), (0, 3), (0, 9)])  # slow at the left, fast at the right
    middle = psf.shape[0] // 2
    columns = np.flatnonzero(psf[middle] > 1e-3)
    assert psf[middle, columns[1]] > 3 * psf[middle, columns[-2]]


def padded(psf, side):
    return np.pad(psf, (side - psf.shape[0]) // 2)


PATHS = st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(PATHS, st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_trajectory_has_its_box_around_the_origin_and_does_not_dim(points, shift):
    """Turned by half, the path is the kernel turned by half, wherever it lies: so its middle is the origin."""
    psf = trajectory_psf(points)
    assert psf.shape[0] % 2 == psf.shape[1] % 2 == 1
    assert psf.sum() == pytest.approx(1)
    assert psf.min() >= 0
    turned, shifted = trajectory_psf(-np.array(points)), trajectory_psf(np.array(points) + shift)
    side = max(one.shape[0] for one in (psf, turned, shifted))
    np.testing.assert_allclose(padded(turned, side)[::-1, ::-1], padded(psf, side), atol=1e-9)
    np.testing.assert_allclose(padded(shifted, side), padded(psf, side), atol=1e-9)
    extent = max(np.ptp(np.array(points), axis=0).max(), 1e-9)
    for touched in np.nonzero(psf > 1e-12):
        assert abs((touched.min() + touched.max()) / 2 - psf.shape[0] // 2) <= 0.5
        assert np.ptp(touched) <= extent + 2


def test_where_the_path_lingers_does_not_move_the_origin():
    """A measured kernel is cut out around its path: how long the light stayed where plays no part in that."""
    short, long = (trajectory_psf([(0, 0), (0, 6), *([(0, 6)] * times)]) for times in (0, 9))
    middle = long.shape[0] // 2
    assert centre_of_mass(short)[1] == pytest.approx(0)
    assert centre_of_mass(long)[1] == pytest.approx(0.9 * 3)
    assert long[middle, middle + 3] > 0.9
    assert (np.flatnonzero(long[middle]) - middle).tolist() == [-3, -2, -1, 0, 1, 2, 3]


def test_trajectory_is_where_the_path_is():
    corner = trajectory_psf([(0, 0), (0, 6), (6, 6)])
    middle = corner.shape[0] // 2
    # The middle of the L's box is (3, 3): its legs lie above and to the right of it.
    assert corner[middle - 3].sum() == pytest.approx(0.5, abs=0.05)
    assert corner[:, middle + 3].sum() == pytest.approx(0.5, abs=0.05)
    assert corner[middle + 3, middle - 3] == corner[middle, middle] == 0


def test_the_origin_of_a_path_may_be_given():
    points = np.array([(0, 0), (0, 6), (6, 6), (7, 9)], dtype=float)
    psf = trajectory_psf(points, origin=(0.0, 6.0))
    middle = psf.shape[0] // 2
    assert psf[middle].sum() > 0.3  # the first leg, of a third of the time
    assert psf[middle, : middle + 1].sum() == pytest.approx(1 / 3, abs=0.05)
    assert psf[middle + 1 :, middle - 3 : middle].sum() == 0
    box = (points.min(axis=0) + points.max(axis=0)) / 2
    np.testing.assert_array_equal(trajectory_psf(points, origin=tuple(box)), trajectory_psf(points))


def test_half_of_the_time_is_a_vertex_or_between_two():
    assert temporal_midpoint([(0, 0), (1, 5), (9, 9)]) == (1.0, 5.0)
    assert temporal_midpoint([(0, 0), (1, 5), (2, 8), (9, 9)]) == (1.5, 6.5)
    assert temporal_midpoint([(3, 4)]) == (3.0, 4.0)


@pytest.mark.parametrize("length", [0.0, 0.7, 4.0, 8.0, 15.3])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.5])
def test_straight_motion_is_512_points_shared_among_four_pixels_each(length, angle):
    psf = line_psf(length, angle)
    middle = psf.shape[0] // 2
    expected = np.zeros_like(psf)
    for sample in range(512):
        place = length * ((sample + 0.5) / 512 - 0.5)
        y, x = place * math.sin(angle), place * math.cos(angle)
        for row in (math.floor(y), math.floor(y) + 1):
            for column in (math.floor(x), math.floor(x) + 1):
                expected[middle + row, middle + column] += (1 - abs(y - row)) * (1 - abs(x - column)) / 512
    np.testing.assert_allclose(psf, expected, atol=1e-12)
    np.testing.assert_allclose(centre_of_mass(psf), 0, atol=1e-9)
    np.testing.assert_allclose(psf, psf[::-1, ::-1], atol=1e-12)
    if length > 4:
        turned = line_psf(length, math.pi / 2 - angle)  # x for y
        np.testing.assert_allclose(padded(turned, 21), padded(psf.T, 21), atol=1e-12)


def test_unsharp_mask_adds_what_blur_takes_away():
    image = picture(20, 22)
    blurred = ndimage.gaussian_filter(image, (1.0, 1.0, 0), mode="mirror", radius=(4, 4, 0))
    sharper = with_unsharp_mask(image, sigma_px=1.0, amount=0.5)
    np.testing.assert_allclose(sharper, 1.5 * image - 0.5 * blurred, atol=1e-9)


@pytest.mark.parametrize("softness", [0.0, 0.3, 1.0])
def test_softening_is_scipys_and_keeps_the_origin(softness):
    psf = np.random.default_rng(0).uniform(0, 1, (5, 7))
    spread = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = (1 - softness) * np.pad(psf, 1) + softness * ndimage.convolve(np.pad(psf, 1), spread, mode="constant")
    softened = softened_psf(psf, softness)
    np.testing.assert_allclose(softened, expected, atol=1e-12)
    assert softened.sum() == pytest.approx(psf.sum())
    np.testing.assert_allclose(centre_of_mass(softened), centre_of_mass(psf), atol=1e-12)


def test_sigma_of_a_psf():
    assert psf_sigma_px(gaussian_psf(3.0)) == pytest.approx(3, rel=2e-3)
    assert psf_sigma_px(disk_psf(8.0)) == pytest.approx(4, rel=1e-2)
    assert psf_sigma_px(np.ones((1, 1))) == 0


@pytest.mark.parametrize("size", [Size(16, 17), Size(3, 4), Size(1, 1)])
def test_optical_transfer_convolves_a_periodic_picture(size):
    psf = np.random.default_rng(3).uniform(0, 1, (5, 7))
    image = picture(*size, 1)[:, :, 0]
    circular = np.fft.irfft2(np.fft.rfft2(image) * optical_transfer(psf, size), s=size)
    np.testing.assert_allclose(circular, ndimage.convolve(image, psf, mode="wrap"), atol=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        lambda: gaussian_psf(-1),
        lambda: gaussian_psf(math.nan),
        lambda: disk_psf(math.inf),
        lambda: anisotropic_gaussian_psf(0, 1, 0),
        lambda: anisotropic_gaussian_psf(1, 1, math.inf),
        lambda: line_psf(-1, 0),
        lambda: line_psf(math.nan, 0),
        lambda: line_psf(3, math.inf),
        lambda: trajectory_psf([]),
        lambda: trajectory_psf([(1, 2, 3)]),
        lambda: trajectory_psf([(1, math.nan)]),
    ],
)
def test_impossible_blurs_are_refused(make):
    with pytest.raises(ConfigError, match="must be"):
        make()
