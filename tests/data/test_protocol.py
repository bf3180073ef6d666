"""The protocol's rows against SciPy, Pillow and their own words."""

from __future__ import annotations

import io
import math
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from acutance.config.presets import preset_path
from acutance.data.blurs import (
    PATH_POINTS,
    AnisotropicBlur,
    DefocusBlur,
    GaussianBlur,
    HandMotion,
    PathBlur,
    StraightMotion,
)
from acutance.data.mixture import Mixture
from acutance.data.protocol import CLASSIC_ROWS, ROWS, degrade, drawn, find_row, true_psf, whole_cells
from acutance.errors import ConfigError, InputError
from acutance.imaging.kernels import convolve_mirror, disk_psf, psf_sigma_px

PSFS = (np.full((3, 3), 1 / 9), np.eye(5) / 5)


def photo(height=40, width=36, *, seed=0):
    """A photo-like picture: smooth shapes and some texture, all values in use."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.uniform(0, 1, (height, width, 3)), (3, 3, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return np.clip(255 * smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def to_8_bit(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def test_the_rows_are_those_of_the_protocol():
    classic = [
        *("gauss-1.0", "gauss-1.6", "gauss-2.0", "gauss-3.0", "gauss-4.0"),
        *("gauss-1.6-n2", "defocus-2", "defocus-4", "camera-shake", "jpeg-50", "mix", "x2-gauss-1.0", "none"),
    ]
    assert [row.name for row in CLASSIC_ROWS] == classic
    assert [row.name for row in ROWS] == [
        *classic,
        *("motion-4", "motion-8", "motion-12", "motion-16"),
        *("motion-4-n2", "motion-8-n2", "motion-12-n2", "motion-16-n2", "motion-path", "motion-scene"),
        *("gauss-1.6-n6", "gauss-1.6-n12", "gauss-1.6-n20", "gauss-1.6-grain8"),
        *("gauss-1.6-dark4", "gauss-1.6-dark8", "gauss-1.6-dark16", "gauss-1.6-linear"),
        *("camera", "x2", "ramps", "grain-only"),
    ]
    assert all(row.description for row in ROWS)


def through_pillow(values, height, width):
    """Resize `h w 3` floats by Pillow, a channel at a time and without rounding (mode F)."""
    planes = [Image.fromarray(values[:, :, c].astype(np.float32)) for c in range(3)]
    return np.dstack([plane.resize((width, height), Image.Resampling.BICUBIC) for plane in planes])


@pytest.mark.parametrize("index", [3, 103])  # draw 103 of the mixture has everything: shake, noise, rescaling, JPEG
@pytest.mark.parametrize(
    ("row", "size"),
    [(row, size) for row in ROWS for size in ((40, 36), (5, 3), (2, 2), (1, 1)) if min(size) >= row.reduction],
    ids=lambda value: getattr(value, "name", None),
)
def test_every_row_keeps_type_and_size_and_is_a_function_of_its_arguments(row, size, index):
    reference = photo(*size) if size != (1, 1) else np.full((1, 1, 3), 77, np.uint8)
    before = reference.copy()
    first, second = (degrade(reference, row, index=index, psfs=PSFS) for _ in range(2))
    assert first.dtype == (np.uint16 if row.exposure < 1 else np.uint8)
    assert first.shape == (size[0] // row.reduction, size[1] // row.reduction, 3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(reference, before)
    assert not np.shares_memory(first, reference)


@pytest.mark.parametrize("sigma", [1.0, 1.6, 2.0, 3.0, 4.0])
def test_gaussian_rows_are_scipys_blur_and_rounding(sigma):
    reference = photo()
    radius = math.ceil(4 * sigma)
    blurred = ndimage.gaussian_filter(
        reference.astype(float), (sigma, sigma, 0), mode="mirror", radius=(radius, radius, 0)
    )
    np.testing.assert_array_equal(degrade(reference, find_row(f"gauss-{sigma}"), index=0), to_8_bit(blurred))


@pytest.mark.parametrize("radius", [2, 4])
def test_defocus_rows_blur_with_a_disk(radius):
    reference = photo()
    blurred = np.stack(
        [ndimage.convolve(reference[:, :, c].astype(float), disk_psf(radius), mode="mirror") for c in range(3)],
        2,
    )
    np.testing.assert_array_equal(degrade(reference, find_row(f"defocus-{radius}"), index=0), to_8_bit(blurred))


def test_noise_has_the_stated_strength_and_the_index_as_seed():
    grey = np.full((200, 200, 3), 128, np.uint8)
    row = find_row("gauss-1.6-n2")
    noisy = degrade(grey, row, index=5).astype(float)
    assert noisy.mean() == pytest.approx(128, abs=0.05)
    assert noisy.std() == pytest.approx(math.sqrt(2**2 + 1 / 12), rel=0.01)  # rounding adds 1/12
    np.testing.assert_array_equal(noisy, to_8_bit(128 + np.random.default_rng(5).normal(0, 2, grey.shape)))
    assert (noisy != degrade(grey, row, index=6)).any()


def test_noise_comes_before_rounding_and_clipping():
    white = degrade(np.full((50, 50, 3), 255, np.uint8), find_row("gauss-1.6-n2"), index=0)
    assert white.max() == 255
    assert white.min() < 255


def test_camera_shake_takes_kernel_i_mod_n():
    reference, row = photo(), find_row("camera-shake")
    for index in (0, 1, 2, 5):
        psf = PSFS[index % 2]
        expected = to_8_bit(convolve_mirror(reference, psf))
        np.testing.assert_array_equal(degrade(reference, row, index=index, psfs=PSFS), expected)
        np.testing.assert_array_equal(true_psf(row, index, psfs=PSFS), psf)


def test_camera_shake_without_kernels_is_one_clear_sentence():
    with pytest.raises(InputError, match=r"camera-shake .* \.npz file"):
        degrade(photo(), find_row("camera-shake"), index=0)


def test_jpeg_row_is_pillows_round_trip_of_the_blurred_picture():
    reference = photo()
    stream = io.BytesIO()
    Image.fromarray(degrade(reference, find_row("gauss-1.0"), index=0)).save(stream, "JPEG", quality=50)
    np.testing.assert_array_equal(
        degrade(reference, find_row("jpeg-50"), index=0), np.asarray(Image.open(stream).convert("RGB"))
    )


def blurred_by_scipy(reference, sigma):
    radius = math.ceil(4 * sigma)
    return ndimage.gaussian_filter(
        reference.astype(float), (sigma, sigma, 0), mode="mirror", radius=(radius, radius, 0)
    )


def test_x2_row_is_scipys_blur_and_pillows_half_size():
    reference = photo()
    expected = to_8_bit(through_pillow(blurred_by_scipy(reference, 1.0), 20, 18))
    np.testing.assert_array_equal(degrade(reference, find_row("x2-gauss-1.0"), index=0), expected)
    clean = to_8_bit(through_pillow(reference.astype(float), 20, 18))
    np.testing.assert_array_equal(degrade(reference, find_row("x2"), index=0), clean)


@pytest.mark.parametrize("size", [(41, 36), (40, 37), (41, 37), (3, 2)])
def test_what_is_left_over_of_odd_sizes_is_cut_before_anything_else(size):
    row, reference = find_row("x2-gauss-1.0"), photo(*size)
    cells = whole_cells(reference, row)
    np.testing.assert_array_equal(cells, reference[: size[0] // 2 * 2, : size[1] // 2 * 2])
    np.testing.assert_array_equal(degrade(reference, row, index=0), degrade(cells, row, index=0))
    np.testing.assert_array_equal(whole_cells(reference, find_row("mix")), reference)


def test_half_of_one_pixel_is_one_clear_sentence():
    with pytest.raises(InputError, match=r"x2-gauss-1\.0 makes photos 2 times smaller; 1×9 px .* at least 2 px"):
        degrade(photo(9, 4)[:, :1], find_row("x2-gauss-1.0"), index=0)


def test_none_leaves_the_picture():
    np.testing.assert_array_equal(degrade(photo(), find_row("none"), index=0), photo())
    assert true_psf(find_row("none"), 0) is None


# --- the mixture ------------------------------------------------------------------------------------------

MIX = find_row("mix")
DRAWS = [drawn(MIX, index) for index in range(4000)]
KINDS = (GaussianBlur, AnisotropicBlur, DefocusBlur, PathBlur)


def test_the_mixture_has_the_steps_and_ranges_of_the_blind_preset():
    """Should they change, row mix stays what it was, or its figures mean nothing: then change its docstring.

    Of the shares, of shake, of noise and of what came to be drawn besides, that has happened.
    """
    config = tomllib.loads(preset_path("fast").read_text(encoding="utf-8"))["degradation"]
    mix = Mixture()
    isotropic, anisotropic, defocus, *shakes = mix.kinds
    assert sum(mix.kinds) == pytest.approx(1)
    assert sum(choice["weight"] for choice in config["stages"][0]["choices"]) == pytest.approx(1)
    gaussian = {"kind": "gaussian", "spacing": "log"}
    blurs = [
        gaussian | {"weight": isotropic, "sigma_px": [*mix.sigma_px]},
        gaussian | {"weight": anisotropic, "sigma_px": [*mix.long_sigma_px], "anisotropy": mix.anisotropy},
        {"kind": "defocus", "weight": defocus, "disk_radius_px": [*mix.disk_radius_px]},
        *(
            {"kind": "shake", "weight": weight, "length_px": [*mix.length_px], "inertia": inertia}
            for weight, inertia in zip(shakes, mix.inertia, strict=True)
        ),
    ]
    assert without_what_changed(config["stages"]) == without_what_changed(
        [
            {"kind": "blur", "radius_px": 16, "choices": blurs},
            {"kind": "noise"},
            {"kind": "rescale", "probability": mix.rescale_share, "factor": [*mix.rescale]},
            {"kind": "jpeg", "probability": mix.jpeg_share, "quality": [*mix.jpeg_quality]},
        ]
    )


def without_what_changed(values):
    """Return the values without what is new, how often each happens, how strong noise is, and how shake is drawn."""
    if isinstance(values, list):
        news = ("line", "grain", "unsharp")
        return [
            without_what_changed(value) for value in values if not (isinstance(value, dict) and value["kind"] in news)
        ]
    if not isinstance(values, dict):
        return values
    if values["kind"] == "noise":
        return {"kind": "noise"}
    changed = ("weight", "probability", "length_px", "origin", "linear_share")
    return {key: without_what_changed(value) for key, value in values.items() if key not in changed}


def test_what_the_preset_leaves_to_the_defaults_is_the_same_too():
    pytest.importorskip("torch", reason="needs the extra `train`")
    from acutance.degradations import psf
    from acutance.degradations.stages import Jpeg

    assert Mixture().subsampled == Jpeg().subsampled
    assert psf.PATH_POINTS == PATH_POINTS


def share_of(part, whole, expected):
    """Compare a share of the draws with its probability, within four standard deviations of chance."""
    limit = 4 * math.sqrt(expected * (1 - expected) / len(whole))
    return len(part) / len(whole) == pytest.approx(expected, abs=limit)


def check_even(values, low, high):
    """Check that values fill their range, and evenly: by their mean and spread."""
    values = np.asarray(values)
    length, error = high - low, 4 / math.sqrt(len(values))
    assert low <= values.min() < low + error * length
    assert high - error * length < values.max() <= high
    assert values.mean() == pytest.approx((low + high) / 2, abs=error * length / math.sqrt(12))
    assert values.std() == pytest.approx(length / math.sqrt(12), rel=error)


def test_the_mixtures_draws_have_the_stated_shares():
    of_kind = {kind: [row for row in DRAWS if isinstance(row.blur, kind)] for kind in KINDS}
    for kind, share in zip(KINDS, (0.5, 0.08, 0.17, 0.25), strict=True):
        assert share_of(of_kind[kind], DRAWS, share), kind
    noisy = [row for row in DRAWS if row.noise_sigma > 0]
    rescaled = [row for row in DRAWS if row.rescale > 1]
    jpeg = [row for row in DRAWS if row.jpeg_quality is not None]
    for part, share in ((noisy, 0.2), (rescaled, 0.08), (jpeg, 0.2)):
        assert share_of(part, DRAWS, share)
        for kind in KINDS:  # whatever the blur
            assert share_of([row for row in part if isinstance(row.blur, kind)], of_kind[kind], share)
    assert share_of([row for row in jpeg if row.jpeg_subsampling == "4:2:0"], jpeg, 0.7)
    assert share_of([row for row in jpeg if row.noise_sigma > 0], jpeg, 0.2)
    assert share_of([row for row in jpeg if row.rescale > 1], jpeg, 0.08)
    assert all(row.reduction == 1 and row.mixture is None for row in DRAWS)
    assert all(row.signal_gain == 0 for row in DRAWS if row.noise_sigma == 0)


def test_the_mixtures_draws_fill_their_ranges():
    gaussian, anisotropic, defocus, paths = (
        [row.blur for row in DRAWS if isinstance(row.blur, kind)] for kind in KINDS
    )
    check_even([math.log(blur.sigma_px) for blur in gaussian], math.log(0.3), math.log(4.2))
    check_even([math.log(blur.sigma_px) for blur in anisotropic], math.log(0.8), math.log(4.2))
    check_even([blur.ratio for blur in anisotropic], 1, 3)
    check_even([blur.angle for blur in anisotropic], 0, math.pi)
    check_even([blur.radius_px for blur in defocus], 0.5, 4.5)
    check_even([np.ptp(blur.points, axis=0).max() for blur in paths], 3, 26)
    check_even([blur.softness for blur in paths], 0, 1)
    noisy = [row for row in DRAWS if row.noise_sigma > 0]
    check_even([row.noise_sigma for row in noisy], 0, 0.015)
    check_even([row.signal_gain for row in noisy], 0, 0.0002)
    check_even([row.rescale for row in DRAWS if row.rescale > 1], 1, 2)
    qualities = [row.jpeg_quality for row in DRAWS if row.jpeg_quality is not None]
    assert {type(quality) for quality in qualities} == {int}
    check_even(qualities, 35, 95)


def test_paths_are_walks_of_either_inertia():
    """Without its inertia, the velocity of a walk is white: which of the two leaves less behind was its own."""
    shares, whiteness = [], []
    for blur in (row.blur for row in DRAWS if isinstance(row.blur, PathBlur)):
        velocity = np.diff(blur.points, axis=0)
        left = {inertia: velocity[1:] - inertia * velocity[:-1] for inertia in (0.9, 0.98)}
        inertia = min(left, key=lambda one: (left[one] ** 2).sum())
        shares.append(inertia == 0.9)
        rest = left[inertia] / left[inertia].std()
        whiteness.append((rest[1:] * rest[:-1]).mean())
        assert len(blur.points) == PATH_POINTS
    assert np.mean(shares) == pytest.approx(0.6, abs=0.06)
    assert np.mean(whiteness) == pytest.approx(0, abs=0.02)


def test_a_draw_depends_on_the_index_alone_and_other_rows_are_not_drawn():
    assert [drawn(MIX, index) for index in (7, 3)] == [DRAWS[7], DRAWS[3]]
    assert len(set(DRAWS)) == len(DRAWS)
    for row in ROWS:
        if row.mixture is None and not isinstance(row.blur, StraightMotion | HandMotion):
            assert drawn(row, 5) is row
    assert all(drawn(row, 1) is row for row in DRAWS[:10])


def test_draws_stay_what_they_were():
    """Written down when the row was first measured: its old figures can be compared only with the same draws."""
    assert DRAWS[0].blur == DefocusBlur(pytest.approx(2.9750666450309424))
    assert DRAWS[2].blur == GaussianBlur(pytest.approx(0.3342216282459603))
    assert DRAWS[4].blur == AnisotropicBlur(
        *map(pytest.approx, (2.773305917272541, 1.2035406362522287, 2.012585002361688))
    )
    assert (DRAWS[4].rescale, DRAWS[4].jpeg_quality) == (pytest.approx(1.7337354498936164), 79)
    row = DRAWS[103]
    assert row.blur.points[64] == pytest.approx((-4.625167412384683, -3.0394720361454315))
    assert (row.blur.softness, row.blur.origin) == (pytest.approx(0.8618395069054965), "box")
    figures = (row.noise_sigma, row.signal_gain, row.rescale)
    assert figures == pytest.approx((0.010920488593107099, 6.79632141176909e-05, 1.8096818682322415))
    assert (row.jpeg_quality, row.jpeg_subsampling) == (58, "4:4:4")


def first_draw(kind, *, jpeg="4:4:4"):
    """Find a draw that has everything: a blur of some kind, noise, rescaling and JPEG."""
    return next(
        (index, row)
        for index, row in enumerate(DRAWS)
        if isinstance(row.blur, kind) and row.noise_sigma > 0 and row.rescale > 1
        if row.jpeg_quality is not None and row.jpeg_subsampling == jpeg
    )


@pytest.mark.parametrize("kind", [GaussianBlur, PathBlur])
def test_a_drawn_image_is_blurred_then_gets_noise_then_is_rescaled_then_rounded_then_a_jpeg(kind):
    """Step by step with SciPy and Pillow, on a draw that has everything."""
    index, row = first_draw(kind)
    reference, psf = photo(), true_psf(MIX, index)
    height, width = reference.shape[:2]
    values = np.dstack([ndimage.convolve(reference[:, :, c].astype(float), psf, mode="mirror") for c in range(3)])
    deviation = np.sqrt(row.noise_sigma**2 + row.signal_gain * np.clip(values / 255, 0, 1))
    values += 255 * deviation * np.random.default_rng(index).standard_normal(values.shape)
    small = through_pillow(values, round(height / row.rescale), round(width / row.rescale))
    assert small.shape < values.shape
    values = through_pillow(small, height, width)
    stream = io.BytesIO()
    Image.fromarray(to_8_bit(values)).save(stream, "JPEG", quality=row.jpeg_quality, subsampling=0)
    expected = np.asarray(Image.open(stream).convert("RGB"))
    np.testing.assert_array_equal(degrade(reference, MIX, index=index), expected)


def test_halved_chroma_is_pillows():
    index, row = next((index, row) for index, row in enumerate(DRAWS) if row.jpeg_quality is not None)
    assert row.jpeg_subsampling == "4:2:0"
    stream = io.BytesIO()
    before = degrade(photo(), replace(row, jpeg_quality=None), index=index)
    Image.fromarray(before).save(stream, "JPEG", quality=row.jpeg_quality, subsampling=2)
    np.testing.assert_array_equal(degrade(photo(), MIX, index=index), np.asarray(Image.open(stream).convert("RGB")))


def test_rescaling_loses_detail_and_keeps_size_and_brightness():
    row = replace(find_row("none"), rescale=2.0)
    reference = photo(41, 37)
    rescaled = degrade(reference, row, index=0)
    expected = to_8_bit(
        through_pillow(through_pillow(reference.astype(float), 20, 18), 41, 37)
    )  # 20.5 and 18.5, to even
    np.testing.assert_array_equal(rescaled, expected)
    assert rescaled.astype(float).mean() == pytest.approx(reference.mean(), abs=0.5)


def test_noise_grows_with_brightness_as_drawn():
    plain = [(index, row) for index, row in enumerate(DRAWS) if row.jpeg_quality is None and row.rescale == 1]
    index, row = max(plain, key=lambda one: one[1].signal_gain)
    dark, bright = (degrade(np.full((150, 150, 3), level, np.uint8), MIX, index=index) for level in (40, 200))
    for pixels, level in ((dark, 40), (bright, 200)):
        variance = 255**2 * (row.noise_sigma**2 + row.signal_gain * level / 255) + 1 / 12  # rounding adds 1/12
        assert pixels.std() == pytest.approx(math.sqrt(variance), rel=0.02)


# --- kernels ----------------------------------------------------------------------------------------------


def only_blur(row):
    plain = replace(row, reduction=1, noise_sigma=0.0, signal_gain=0.0, rescale=1.0, jpeg_quality=None)
    return replace(plain, grain_sigma=0.0, exposure=1.0, light="gamma")


@pytest.mark.parametrize(
    "row",
    [*(row for row in ROWS if row.blur), *(next(row for row in DRAWS if isinstance(row.blur, kind)) for kind in KINDS)],
    ids=lambda row: f"{row.name}-{type(row.blur).__name__}",
)
def test_true_psf_is_what_blurred(row):
    psf = true_psf(row, 1, psfs=PSFS)
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    degraded = degrade(point, only_blur(row), index=1, psfs=PSFS).astype(float)
    np.testing.assert_allclose(degraded, convolve_mirror(point, psf), atol=0.5)


def test_the_mixtures_kernels_are_their_formulas():
    index, row = next((index, row) for index, row in enumerate(DRAWS) if isinstance(row.blur, AnisotropicBlur))
    psf = true_psf(MIX, index)
    radius = psf.shape[0] // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    turned = np.array(
        [[np.cos(row.blur.angle), -np.sin(row.blur.angle)], [np.sin(row.blur.angle), np.cos(row.blur.angle)]]
    )
    covariance = turned @ np.diag([row.blur.sigma_px**2, (row.blur.sigma_px / row.blur.ratio) ** 2]) @ turned.T
    offsets = np.stack([x.ravel(), y.ravel()])
    weights = np.exp(-0.5 * (offsets * np.linalg.solve(covariance, offsets)).sum(axis=0)).reshape(psf.shape)
    np.testing.assert_allclose(psf, weights / weights.sum(), atol=1e-12)
    index, row = next((index, row) for index, row in enumerate(DRAWS) if isinstance(row.blur, DefocusBlur))
    np.testing.assert_array_equal(true_psf(MIX, index), disk_psf(row.blur.radius_px))


def test_the_middle_of_a_path_is_at_the_origin_and_its_softness_spreads_it():
    """Drawn by hand, a point at a time: the straight lines between the vertices, then 1 2 1 on both axes."""
    for index, row in [(index, row) for index, row in enumerate(DRAWS) if isinstance(row.blur, PathBlur)][:20]:
        psf = true_psf(MIX, index)
        path = np.array(row.blur.points)
        path -= (path.min(axis=0) + path.max(axis=0)) / 2
        moments = np.linspace(0, PATH_POINTS - 1, 40_001)
        y, x = (np.interp(moments, np.arange(PATH_POINTS), path[:, axis]) + psf.shape[0] // 2 for axis in (0, 1))
        line = np.zeros(psf.shape)
        for down in (0, 1):
            for right in (0, 1):
                rows, columns = np.floor(y).astype(int) + down, np.floor(x).astype(int) + right
                np.add.at(line, (rows, columns), (1 - np.abs(y - rows)) * (1 - np.abs(x - columns)))
        line /= line.sum()
        spread = ndimage.convolve(line, np.outer([1, 2, 1], [1, 2, 1]) / 16, mode="constant")
        expected = (1 - row.blur.softness) * line + row.blur.softness * spread
        np.testing.assert_allclose(psf, expected, atol=2e-3 * expected.max())
        assert psf.sum() == pytest.approx(1)
        touched = np.nonzero(psf)
        assert max(np.ptp(axis) for axis in touched) <= np.ptp(path, axis=0).max() + 4


def test_drawn_paths_are_those_of_training():
    """The two halves of the house render their own random paths: alike on the average."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    from acutance.degradations.psf import shake_psf

    for inertia in Mixture().inertia:
        mixture = Mixture(kinds=(0, 0, 0, 1), inertia=(inertia,), length_px=(16.0, 16.0))
        ours = [true_psf(replace(MIX, mixture=mixture), index) for index in range(400)]
        source = torch.Generator().manual_seed(0)
        theirs = shake_psf(torch.full((400,), 16.0), inertia=inertia, radius_px=12, generator=source).double().numpy()
        spreads = [[psf_sigma_px(psf) for psf in psfs] for psfs in (ours, theirs)]
        assert np.mean(spreads[0]) == pytest.approx(np.mean(spreads[1]), rel=0.04)
        peaks = [[psf.max() for psf in psfs] for psfs in (ours, theirs)]
        assert np.mean(peaks[0]) == pytest.approx(np.mean(peaks[1]), rel=0.12)


def test_an_unknown_row_is_answered_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"'gaus-1.6' .*did you mean gauss-1.6\?.*camera-shake"):
        find_row("gaus-1.6")
    with pytest.raises(ConfigError, match="'zzz' is not in the protocol; its rows"):
        find_row("zzz")
