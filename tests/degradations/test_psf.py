"""Kernels against their definition, the NumPy oracle, SciPy, and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations import psf as psfs
from acutance.imaging import kernels


def gaussian(major, minor=None, angle=0.0, *, radius_px=16):
    minor = major if minor is None else minor
    psf = psfs.gaussian_psf(torch.tensor([major]), torch.tensor([minor]), torch.tensor([angle]), radius_px=radius_px)
    return psf[0].numpy()


def shakes(count, length_px, *, inertia=0.9, radius_px=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.full((count,), float(length_px))
    return psfs.shake_psf(lengths, inertia=inertia, radius_px=radius_px, generator=generator).numpy()


def grown(psf, radius_px):
    """Lay a smaller odd psf in the middle of a larger one."""
    missing = radius_px - psf.shape[0] // 2
    return np.pad(psf, missing)


# --- Gaussians --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 1.6, 2.5, 4.0])
def test_gaussian_is_scipys(sigma):
    point = np.zeros((33, 33))
    point[16, 16] = 1
    expected = ndimage.gaussian_filter(point, sigma, radius=16)
    np.testing.assert_allclose(gaussian(sigma), expected, atol=3e-7)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.6, 4.0])
def test_gaussian_is_the_oracles(sigma):
    oracle = kernels.gaussian_psf(sigma)
    np.testing.assert_allclose(gaussian(sigma, radius_px=oracle.shape[0] // 2), oracle, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.5])
@pytest.mark.parametrize(("major", "minor"), [(3.0, 1.0), (2.0, 0.7), (1.5, 1.5)])
def test_anisotropic_gaussian_is_the_oracles(major, minor, angle):
    oracle = kernels.anisotropic_gaussian_psf(major, minor, angle)
    np.testing.assert_allclose(gaussian(major, minor, angle, radius_px=oracle.shape[0] // 2), oracle, atol=1e-6)


def test_anisotropic_gaussian_is_the_density_of_its_covariance():
    """By another road than turning the axes: exp(−½ vᵀ Σ⁻¹ v) with Σ = R diag(σ²) Rᵀ, in a loop."""
    major, minor, angle, radius = 3.0, 1.2, 0.6, 10
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])  # of (x, y)
    inverse = np.linalg.inv(turn @ np.diag([major**2, minor**2]) @ turn.T)
    expected = np.zeros((2 * radius + 1, 2 * radius + 1))
    for row in range(2 * radius + 1):
        for column in range(2 * radius + 1):
            v = np.array([column - radius, row - radius])
            expected[row, column] = math.exp(-0.5 * v @ inverse @ v)
    np.testing.assert_allclose(gaussian(major, minor, angle, radius_px=radius), expected / expected.sum(), atol=1e-7)


def test_the_long_axis_points_right_then_down():
    flat = gaussian(4.0, 1.0, 0.0)
    assert flat[16, 22] > 100 * flat[22, 16]
    diagonal = gaussian(4.0, 1.0, math.pi / 4)
    assert diagonal[20, 20] > 100 * diagonal[20, 12]


def test_every_image_of_a_batch_gets_its_own():
    sigma = torch.tensor([0.5, 1.0, 3.0])
    batch = psfs.gaussian_psf(sigma, sigma / 2, torch.tensor([0.0, 1.0, 2.0]), radius_px=8)
    for index, angle in enumerate((0.0, 1.0, 2.0)):
        alone = gaussian(float(sigma[index]), float(sigma[index] / 2), angle, radius_px=8)
        np.testing.assert_array_equal(batch[index].numpy(), alone)


# --- disks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("radius", "tolerance"), [(1.0, 0.05), (2.0, 0.06), (3.3, 0.03), (4.0, 0.02), (8.0, 0.01)])
def test_disk_is_near_the_exact_area(radius, tolerance):
    """The edge that falls off over one pixel stands for the exact area: total difference, of a sum of 1."""
    psf = psfs.disk_psf(torch.tensor([radius]), radius_px=10)[0].numpy()
    assert np.abs(psf - grown(kernels.disk_psf(radius), 10)).sum() < tolerance
    assert kernels.psf_sigma_px(psf) == pytest.approx(kernels.psf_sigma_px(kernels.disk_psf(radius)), rel=0.03)


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.5])
def test_disk_inside_one_pixel_does_nothing(radius):
    psf = psfs.disk_psf(torch.tensor([radius]), radius_px=3)
    assert torch.equal(psf, psfs.delta_psf(1, radius_px=3, device=torch.device("cpu")))


# --- camera shake -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("inertia", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("length", [0.5, 3.0, 8.0, 15.0])
def test_shake_is_as_long_as_asked(length, inertia):
    for psf in shakes(20, length, inertia=inertia):
        rows, columns = np.nonzero(psf)
        extent = max(np.ptp(rows), np.ptp(columns))
        # A point between pixels touches one more on each side, and the softening another.
        assert length + 2 <= extent <= length + 4


@pytest.mark.parametrize("inertia", [0.0, 0.9, 0.98, 0.999])
@pytest.mark.parametrize("length", [0.5, 3.0, 15.0, 29.0])
def test_the_box_of_the_shake_lies_in_the_middle(length, inertia):
    """As measured kernels do, whose sharp picture is where the middle of their box is: softening moves no middle."""
    for psf in shakes(20, length, inertia=inertia):
        for touched in np.nonzero(psf):
            assert abs((touched.min() + touched.max()) / 2 - 16) <= 0.5


def test_the_centroid_of_the_shake_lies_off_the_middle_to_any_side():
    centroids = np.array([ndimage.center_of_mass(psf) for psf in shakes(200, 20.0, inertia=0.98)])
    assert np.hypot(*(centroids - 16).T).mean() > 0.5
    np.testing.assert_allclose(centroids.mean(axis=0), 16, atol=0.5)


def test_a_path_longer_than_the_kernel_stays_inside():
    psf = shakes(50, 128.0, inertia=0.95, radius_px=5)
    np.testing.assert_allclose(psf.sum(axis=(1, 2)), 1, atol=1e-5)
    assert psf.min() >= 0
    np.testing.assert_allclose(
        psf, shakes(50, 8.0, inertia=0.95, radius_px=5), atol=1e-6
    )  # the longest with its softness


def test_shakes_are_softened_more_or_less():
    """A path without extent is a point: what is left is how far it was spread, evenly from not at all to fully."""
    psf = shakes(500, 0.0, radius_px=2)
    softness = (1 - psf[:, 2, 2]) / 0.75
    assert softness.min() < 0.02
    assert softness.max() > 0.98
    assert softness.max() <= 1 + 1e-6
    assert softness.mean() == pytest.approx(0.5, abs=0.06)
    spread = np.outer([0, 1, 2, 1, 0], [0, 1, 2, 1, 0]) / 16
    for share, kernel in zip(softness, psf, strict=True):
        expected = share * spread
        expected[2, 2] += 1 - share
        np.testing.assert_allclose(kernel, expected, atol=1e-6)


def test_softening_is_scipys():
    psf = np.pad(np.random.default_rng(0).uniform(0, 1, (2, 5, 5)), ((0, 0), (1, 1), (1, 1)))
    psf /= psf.sum(axis=(1, 2), keepdims=True)
    spread = np.outer([1, 2, 1], [1, 2, 1]) / 16
    softened = psfs._softened(torch.from_numpy(psf)).numpy()
    for kernel, result in zip(psf, softened, strict=True):
        np.testing.assert_allclose(result, ndimage.convolve(kernel, spread, mode="constant"), atol=1e-12)


def test_softening_that_is_cut_at_the_edge_still_sums_to_one():
    corner = torch.zeros(1, 3, 3)
    corner[0, 0, 0] = 1
    expected = np.array([[4, 2, 0], [2, 1, 0], [0, 0, 0]]) / 9
    np.testing.assert_allclose(psfs._softened(corner)[0].numpy(), expected, atol=1e-6)


def test_inertia_straightens_the_path():
    """The straighter a path of the same extent, the fewer pixels it visits."""
    wild = (shakes(40, 12.0, inertia=0.0) > 0).sum(axis=(1, 2)).mean()
    calm = (shakes(40, 12.0, inertia=0.97) > 0).sum(axis=(1, 2)).mean()
    assert calm < 0.8 * wild


def test_walk_is_the_sum_of_decaying_velocities():
    random = np.random.default_rng(0)
    accelerations = random.normal(size=psfs.PATH_POINTS)
    velocity = position = 0.0
    expected = []
    for acceleration in accelerations:
        velocity = 0.7 * velocity + acceleration
        position += velocity
        expected.append(position)
    walked = psfs._walk_matrix(0.7).double().numpy() @ accelerations
    np.testing.assert_allclose(walked, expected, atol=1e-4)


def test_splat_is_bilinear():
    random = np.random.default_rng(1)
    path = random.uniform(-3.9, 3.9, (2, 2, 30))
    drawn = psfs._splat(torch.from_numpy(path), 5).numpy()
    for image in range(2):
        expected = np.zeros((11, 11))
        for y, x in path[image].T + 5:
            row, column = math.floor(y), math.floor(x)
            for down in (0, 1):
                for across in (0, 1):
                    weight = (1 - abs(y - row - down)) * (1 - abs(x - column - across))
                    expected[row + down, column + across] += weight
        np.testing.assert_allclose(drawn[image], expected / 30, atol=1e-6)


def test_shake_is_seeded():
    np.testing.assert_array_equal(shakes(4, 9.0, seed=5), shakes(4, 9.0, seed=5))
    assert not np.array_equal(shakes(4, 9.0, seed=5), shakes(4, 9.0, seed=6))


# --- all --------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    sigma=st.floats(0.05, 8), ratio=st.floats(1, 8), angle=st.floats(0, 4), disk=st.floats(0, 12), path=st.floats(0, 60)
)
def test_psfs_sum_to_one_and_are_not_negative(sigma, ratio, angle, disk, path):
    generator = torch.Generator().manual_seed(0)
    for psf in (
        gaussian(sigma, sigma / ratio, angle, radius_px=9),
        psfs.disk_psf(torch.tensor([disk]), radius_px=9).numpy(),
        psfs.shake_psf(torch.tensor([path]), inertia=0.8, radius_px=9, generator=generator).numpy(),
    ):
        assert np.isfinite(psf).all()
        assert psf.min() >= 0
        assert psf.sum() == pytest.approx(1, abs=1e-5)


def test_angles_cover_half_a_turn():
    angles = psfs.uniform_angle(2000, torch.Generator().manual_seed(0))
    assert angles.min() >= 0
    assert angles.max() < math.pi
    assert angles.mean() == pytest.approx(math.pi / 2, abs=0.08)


# --- straight paths, and where the sharp picture lies ------------------------------------------------------


def lines(length, angle, *, radius_px=16):
    return psfs.line_psf(torch.tensor(length), torch.tensor(angle), radius_px=radius_px).numpy()


def test_lines_are_the_oracles():
    lengths, angles = [0.0, 1.3, 7.0, 20.0, 31.0], [0.4, 0.0, math.pi / 2, 2.5, 1.1]
    for psf, length, angle in zip(lines(lengths, angles), lengths, angles, strict=True):
        expected = grown(kernels.line_psf(length, angle), 17)[1:-1, 1:-1]
        np.testing.assert_allclose(psf, expected, atol=2e-5)


def test_a_line_longer_than_the_kernel_is_shortened_to_it():
    (psf,) = lines([80.0], [0.0], radius_px=5)
    assert psf.shape == (11, 11)
    assert psf.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(psf[5], [0.05, *[0.1] * 9, 0.05], atol=2e-3)


def paths_from_midpoint(count, length_px, *, radius_px, inertia=0.95):
    return psfs.shake_psf(
        torch.full((count,), float(length_px)),
        inertia=inertia,
        radius_px=radius_px,
        generator=torch.Generator().manual_seed(0),
        origin="midpoint",
    ).numpy()


def test_at_half_of_the_time_a_path_is_on_the_middle_pixel(monkeypatch):
    """What is drawn, of a path as it is: the temporal midpoint, to the distance of two samples."""
    drawn = []

    def splat(path, radius_px):
        drawn.append(path)
        return render(path, radius_px)

    render = psfs._splat
    monkeypatch.setattr(psfs, "_splat", splat)
    paths_from_midpoint(40, 12.0, radius_px=16)
    (paths,) = drawn
    extent = np.ptp(paths.numpy(), axis=-1).max(axis=1)
    np.testing.assert_allclose(extent, 12.0, rtol=1e-4)  # none of these had to be scaled down
    for path in paths.double().numpy():
        np.testing.assert_allclose(kernels.temporal_midpoint(path.T), (0.0, 0.0), atol=1e-5)


def test_from_the_midpoint_a_path_is_the_oracles(monkeypatch):
    """The kernel of a path, as `data.blurs` makes it from its vertices, softening left out."""
    vertices, lerp = [], torch.lerp
    monkeypatch.setattr(psfs.torch, "lerp", lambda sharp, soft, share: lerp(sharp, soft, 0.0 * share))
    interpolate = psfs.functional.interpolate

    def seen(path, **settings):
        vertices.append(path)
        return interpolate(path, **settings)

    monkeypatch.setattr(psfs.functional, "interpolate", seen)
    made = paths_from_midpoint(8, 12.0, radius_px=16)
    for psf, path in zip(made, vertices[0].double().numpy(), strict=True):
        points = path.T * (12.0 / np.ptp(path, axis=1).max())
        expected = kernels.trajectory_psf(points, origin=kernels.temporal_midpoint(points))
        expected = grown(expected, 16)
        # The vertices of the one are ends, those of the other are steps: a sample or two at either end.
        assert np.abs(psf - expected).sum() < 0.06
        assert np.abs(psf - expected).max() < 0.01


def test_a_path_from_its_midpoint_stays_inside_the_kernel():
    for psf in paths_from_midpoint(60, 30.0, radius_px=16, inertia=0.98):
        assert psf.sum() == pytest.approx(1.0, abs=1e-5)
        ys, xs = np.nonzero(psf > 1e-7)
        assert max(np.abs(ys - 16).max(), np.abs(xs - 16).max()) <= 16
    reach = [np.abs(np.argwhere(psf > 1e-5) - 16).max() for psf in paths_from_midpoint(60, 30.0, radius_px=16)]
    assert max(reach) >= 15  # those that would leave it are scaled to it, no further
