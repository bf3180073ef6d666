"""The rows for what photos suffer outside of the laboratory, against SciPy, Pillow and their own words."""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from acutance.data.blurs import (
    PATH_POINTS,
    AnisotropicBlur,
    DefocusBlur,
    GaussianBlur,
    HandMotion,
    LineBlur,
    PathBlur,
    blur_psf,
    drawn_path,
)
from acutance.data.camera import developed, sensor_light
from acutance.data.protocol import brightened, degrade, drawn, find_row, true_psf
from acutance.data.ramps import ramp_picture
from acutance.data.rows import MOTION_LENGTHS_PX, REAL_BLUR_ROWS
from acutance.data.scenes import MotionScene, _rolling, _turned, moving_scene, random_mask
from acutance.geometry import Size
from acutance.imaging.kernels import convolve_mirror, temporal_midpoint, trajectory_psf

HAND = HandMotion(length_px=(6.0, 20.0), inertia=0.95)


def photo(height=48, width=56, *, seed=0):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.uniform(0, 1, (height, width, 3)), (2, 2, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return np.clip(255 * smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def to_8_bit(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def gaussian(values, sigma=1.6):
    radius = math.ceil(4 * sigma)
    return ndimage.gaussian_filter(values, (sigma, sigma, 0), mode="mirror", radius=(radius, radius, 0))


def convolved(values, psf):
    return np.dstack([ndimage.convolve(values[:, :, c], psf, mode="mirror") for c in range(3)])


def linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4)


def gamma(light):
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


# --- motion -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", MOTION_LENGTHS_PX)
def test_straight_motion_has_its_length_and_an_angle_of_its_own_stream(length):
    row = find_row(f"motion-{length}")
    for index in range(4):
        angle = math.pi * np.random.default_rng([index, 2]).random()
        assert drawn(row, index).blur == LineBlur(length, angle)
        reference = photo()
        expected = to_8_bit(convolved(reference.astype(float), true_psf(row, index)))
        np.testing.assert_array_equal(degrade(reference, row, index=index), expected)
    angles = [drawn(row, index).blur.angle for index in range(300)]
    assert 0 <= min(angles) < 0.1 < math.pi - 0.1 < max(angles) < math.pi


def test_noise_may_follow_motion():
    row, reference = find_row("motion-8-n2"), photo()
    blurred = convolved(reference.astype(float), true_psf(find_row("motion-8"), 5))
    expected = to_8_bit(blurred + np.random.default_rng(5).normal(0, 2, blurred.shape))
    np.testing.assert_array_equal(degrade(reference, row, index=5), expected)


def test_a_hands_path_has_half_of_its_light_before_the_origin_and_half_behind():
    row, lengths = find_row("motion-path"), []
    for index in range(100):
        blur = drawn(row, index).blur
        assert isinstance(blur, PathBlur)
        path = np.array(blur.points)
        assert len(path) == PATH_POINTS
        lengths.append(np.ptp(path, axis=0).max())
        middle = np.array(temporal_midpoint(blur.points))
        np.testing.assert_allclose(middle, (path[63] + path[64]) / 2)
        psf = true_psf(row, index)
        # The centre of mass lies from the origin as the mean position lies from that at half of the time.
        mean_in_time = (path[:-1] + path[1:]).mean(axis=0) / 2
        centre = np.array(ndimage.center_of_mass(psf)) - psf.shape[0] // 2
        np.testing.assert_allclose(centre, mean_in_time - middle, atol=1e-9)
    assert 6 <= min(lengths) < 7
    assert 19 < max(lengths) <= 20


def test_noise_of_every_strength_is_that_of_the_first_row():
    reference = photo()
    for levels in (6, 12, 20):
        expected = to_8_bit(gaussian(reference.astype(float)) + np.random.default_rng(3).normal(0, levels, (48, 56, 3)))
        np.testing.assert_array_equal(degrade(reference, find_row(f"gauss-1.6-n{levels}"), index=3), expected)


# --- scenes -----------------------------------------------------------------------------------------------


def test_a_scene_in_which_nothing_moves_is_the_photo():
    still = MotionScene(path=HandMotion(length_px=(0.0, 0.0), inertia=0.95), roll_degrees=0.0)
    values = photo() / 255
    np.testing.assert_allclose(moving_scene(values, still, np.random.default_rng(0)), values, atol=1e-9)


def test_without_roll_the_background_is_blurred_by_its_whole_path():
    path = drawn_path(HAND, np.random.default_rng(3)).points
    light = photo() / 255
    whole = trajectory_psf(path, origin=temporal_midpoint(path))
    np.testing.assert_allclose(_rolling(light, path, 0.0), convolve_mirror(light, whole), atol=4e-3)


def test_turning_is_scipys_about_the_middle_and_from_right_to_down():
    values, angle = photo(30, 41).astype(float), math.radians(7)
    y, x = np.mgrid[:30, :41].astype(float)
    y, x = y - 14.5, x - 20
    rows = math.cos(angle) * y - math.sin(angle) * x + 14.5
    columns = math.sin(angle) * y + math.cos(angle) * x + 20
    expected = np.dstack(
        [ndimage.map_coordinates(values[:, :, c], (rows, columns), order=1, mode="mirror") for c in range(3)]
    )
    np.testing.assert_allclose(_turned(values, angle), expected, atol=1e-9)
    point = np.zeros((21, 21, 1))
    point[10, 18] = 1  # right of the middle: it comes down
    assert ndimage.center_of_mass(_turned(point, math.radians(10)))[0] > 11


def test_roll_turns_one_way_before_and_the_other_way_after_half_of_the_exposure():
    point = np.zeros((101, 101, 1))
    point[50, 95] = 1
    still = ((0.0, 0.0),) * PATH_POINTS
    streak = _rolling(point, still, math.radians(4))
    rows = np.flatnonzero(streak.sum(axis=(1, 2)) > 1e-6) - 50
    assert rows.min() == -rows.max() == -2  # 45 px away, 2° are 1.6 px, and the bilinear splat is one more
    assert ndimage.center_of_mass(streak)[0] == pytest.approx(50, abs=1e-6)


def test_the_mask_is_about_half_of_the_photo_and_smooth():
    mask = random_mask(Size(80, 100), np.random.default_rng(0))
    assert mask.shape == (80, 100, 1)
    assert mask.min() >= -1e-9
    assert mask.max() <= 1 + 1e-9
    assert mask.mean() == pytest.approx(0.5, abs=0.03)
    assert np.abs(np.diff(mask, axis=0)).max() < 0.5  # a soft edge
    assert ((mask < 0.01) | (mask > 0.99)).mean() > 0.5  # but an edge


def test_a_scene_is_two_layers_in_linear_light():
    """Put together by hand: its own mask, and either layer by its own motion."""
    row, reference = find_row("motion-scene"), photo()
    random = np.random.default_rng([4, 2])
    ours, behind = (drawn_path(HAND, random) for _ in range(2))
    roll = math.radians(2) * (2 * random.random() - 1)
    light = linear(reference / 255)
    mask, psf = random_mask(Size(48, 56), random), blur_psf(ours)
    cover = ndimage.convolve(mask[:, :, 0], psf, mode="mirror")[:, :, None]
    composite = convolved(mask * light, psf) + (1 - cover) * _rolling(light, behind.points, roll)
    np.testing.assert_array_equal(degrade(reference, row, index=4), to_8_bit(255 * gamma(composite)))
    assert true_psf(row, 4) is None  # no one kernel


# --- grain ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gauss-1.6-grain8", "grain-only"])
def test_grain_has_its_strength_and_size_and_is_grey(name):
    grey = np.full((300, 300, 3), 128, np.uint8)
    grain = degrade(grey, find_row(name), index=7).astype(float) - 128
    np.testing.assert_array_equal(grain[:, :, 0], grain[:, :, 1])
    np.testing.assert_array_equal(grain[:, :, 0], grain[:, :, 2])
    plane = grain[:, :, 0]
    assert plane.std() == pytest.approx(8, rel=0.02)
    # Noise blurred with σ is like itself d px further by exp(−d²/4σ²).
    for distance in (1, 2):
        likeness = (plane[:, distance:] * plane[:, :-distance]).mean() / plane.var()
        assert likeness == pytest.approx(math.exp(-(distance**2) / (4 * 0.7**2)), abs=0.02)
    assert (grain != degrade(grey, find_row(name), index=8).astype(float) - 128).any()


# --- little light, linear light ---------------------------------------------------------------------------


@pytest.mark.parametrize("divisor", [4, 8, 16])
def test_dark_rows_are_16_bits_of_a_share_of_the_light(divisor):
    reference, row = photo(), find_row(f"gauss-1.6-dark{divisor}")
    dark = degrade(reference, row, index=0)
    assert dark.dtype == np.uint16
    np.testing.assert_array_equal(dark, np.rint(gaussian(257.0 * reference / divisor)).astype(np.uint16))
    light = degrade(reference, find_row("gauss-1.6"), index=0)
    difference = np.abs(brightened(dark, row).astype(int) - light)  # only ties may fall to the other side
    assert difference.max() <= 1
    assert difference.mean() < 0.05
    np.testing.assert_array_equal(brightened(np.full((1, 1, 3), 65535, np.uint16), row), 255)


def test_pictures_of_8_bits_are_measured_as_they_are():
    reference = photo()
    np.testing.assert_array_equal(brightened(reference, find_row("none")), reference)


def test_linear_light_is_srgbs_curve():
    reference = photo()
    expected = to_8_bit(255 * gamma(gaussian(linear(reference / 255))))
    np.testing.assert_array_equal(degrade(reference, find_row("gauss-1.6-linear"), index=0), expected)


# --- the camera -------------------------------------------------------------------------------------------

CAMERA = find_row("camera")
SHOTS = [drawn(CAMERA, index) for index in range(1000)]


def test_the_camera_draws_every_kind_of_blur_and_always_noise_and_jpeg():
    kinds = Counter(type(shot.blur) for shot in SHOTS)
    shares = {GaussianBlur: 0.2, AnisotropicBlur: 0.15, DefocusBlur: 0.2, PathBlur: 0.25, LineBlur: 0.2}
    assert {kind: count / 1000 for kind, count in kinds.items()} == pytest.approx(shares, abs=0.05)
    assert all(shot.blur.origin == "midpoint" for shot in SHOTS if isinstance(shot.blur, PathBlur))
    assert all(4 <= shot.blur.length_px <= 20 for shot in SHOTS if isinstance(shot.blur, LineBlur))
    assert {shot.jpeg_quality for shot in SHOTS} == set(range(85, 96))
    assert {shot.jpeg_subsampling for shot in SHOTS} == {"4:2:0"}
    assert all(shot.noise_sigma > 0 and shot.signal_gain > 0 and shot.rescale == 1 for shot in SHOTS)


def test_a_shot_is_blurred_and_noisy_in_light_then_developed_then_a_jpeg():
    index, shot = 3, SHOTS[3]
    reference = photo()
    light = convolved(sensor_light(reference / 255), true_psf(CAMERA, index))
    variance = shot.noise_sigma**2 + shot.signal_gain * np.clip(light, 0, 1)
    light = light + np.sqrt(variance) * np.random.default_rng(index).standard_normal(light.shape)
    stream = io.BytesIO()
    values = to_8_bit(255 * developed(light, shot.camera))
    Image.fromarray(values).save(stream, "JPEG", quality=shot.jpeg_quality, subsampling=2)
    expected = np.asarray(Image.open(stream).convert("RGB"))
    np.testing.assert_array_equal(degrade(reference, CAMERA, index=index), expected)


def test_a_camera_makes_a_flat_photo_of_its_own_light():
    levels = np.arange(256, dtype=float)[:, None, None] / 255
    for level in levels[::15]:
        flat = np.broadcast_to(level, (5, 6, 3))
        np.testing.assert_allclose(developed(sensor_light(flat), CAMERA.camera), flat, atol=1e-9)


def test_noise_reduction_calms_noise_and_keeps_edges_and_sharpening_sharpens():
    edge = np.where(np.arange(40) < 20, 0.3, 0.7)[None, :, None] * np.ones((40, 40, 3))
    noise = np.random.default_rng(0).normal(0, 0.01, edge.shape)
    calm = developed(sensor_light(edge + noise), replace(CAMERA.camera, sharpening_amount=0.0))
    assert (calm - edge)[:, :18].std() < 0.6 * noise[:, :18].std()
    assert np.abs(calm.mean(axis=(0, 2)) - edge[0, :, 0]).max() < 0.01
    sharp = developed(sensor_light(edge), CAMERA.camera)
    assert sharp.min() < 0.3 - 0.03  # the halo of an unsharp mask
    assert sharp.max() > 0.7 + 0.03


# --- ramps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(12))
def test_ramps_are_smooth_and_of_a_few_or_many_levels(index):
    picture = ramp_picture(Size(200, 260), index)
    assert (picture.dtype, picture.shape) == (np.uint8, (200, 260, 3))
    for axis in (0, 1):
        assert np.abs(np.diff(picture.astype(int), axis=axis)).max() <= 3
    spans = np.ptp(picture.astype(int), axis=(0, 1))
    assert spans.min() >= 4
    assert spans.max() <= 201
    # Straight ramps have one second difference, skies have another: both are zero but for rounding.
    assert np.abs(np.diff(picture.astype(int), n=2, axis=1)).mean() < 1


def test_the_row_of_ramps_takes_only_the_size_of_the_photo():
    row = find_row("ramps")
    for index in (0, 1):
        made = degrade(photo(), row, index=index)
        np.testing.assert_array_equal(made, degrade(255 - photo(), row, index=index))
        np.testing.assert_array_equal(made, ramp_picture(Size(48, 56), index))
    assert (degrade(photo(), row, index=0) != degrade(photo(), row, index=2)).any()


def test_rows_say_how_they_are_measured():
    kept = {row.name for row in REAL_BLUR_ROWS if row.is_kept}
    special = {row.name for row in REAL_BLUR_ROWS if row.is_measured_specially}
    assert kept == {"ramps", "grain-only"}
    assert special - kept == {"gauss-1.6-dark4", "gauss-1.6-dark8", "gauss-1.6-dark16"}
    shifted = {row.name for row in REAL_BLUR_ROWS if row.may_shift}
    motions = {name for row in REAL_BLUR_ROWS if (name := row.name).startswith("motion")}
    assert shifted == motions | {"camera"}
    assert find_row("camera-shake").may_shift
