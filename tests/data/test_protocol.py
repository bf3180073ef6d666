"""The protocol's rows against SciPy, Pillow and their own words."""

from __future__ import annotations

import io
import math
import tomllib
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from acutance.config.presets import preset_path
from acutance.data.protocol import ROWS, Mixture, degrade, drawn, find_row, load_psfs, true_psf
from acutance.errors import ConfigError, InputError
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf

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
    assert [row.name for row in ROWS] == [
        *("gauss-1.0", "gauss-1.6", "gauss-2.0", "gauss-3.0", "gauss-4.0"),
        *("gauss-1.6-n2", "defocus-2", "defocus-4", "camera-shake", "jpeg-50", "mix", "none"),
    ]
    assert all(row.description for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("size", [(40, 36), (5, 3), (1, 1)])
def test_every_row_keeps_shape_and_type_and_is_a_function_of_its_arguments(row, size):
    reference = photo(*size) if size != (1, 1) else np.full((1, 1, 3), 77, np.uint8)
    before = reference.copy()
    first, second = (degrade(reference, row, index=3, psfs=PSFS) for _ in range(2))
    assert first.dtype == np.uint8
    assert first.shape == reference.shape
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


def test_none_leaves_the_picture():
    np.testing.assert_array_equal(degrade(photo(), find_row("none"), index=0), photo())
    assert true_psf(find_row("none"), 0) is None


# --- the mixture ------------------------------------------------------------------------------------------

MIX = find_row("mix")
DRAWS = [drawn(MIX, index) for index in range(4000)]


def test_the_mixture_is_that_of_the_blind_preset():
    """Should the preset change, row mix stays what it was, or its figures mean nothing: then change its docstring."""
    config = tomllib.loads(preset_path("fast").read_text(encoding="utf-8"))["degradation"]
    blur, noise, jpeg = config["stages"]
    assert Mixture() == Mixture(
        sigma_px=tuple(blur["choices"][0]["sigma_px"]),
        noise_share=noise["probability"],
        noise_sigma=tuple(noise["noise_sigma"]),
        signal_gain=tuple(noise["signal_gain"]),
        jpeg_share=jpeg["probability"],
        jpeg_quality=tuple(jpeg["quality"]),
    )
    assert blur["choices"][0]["spacing"] == "log"
    assert len(blur["choices"]) == 1


def test_the_mixtures_draws_have_the_stated_shares_and_ranges():
    def share(rows):
        return pytest.approx(len(rows) / len(DRAWS), abs=0.025)

    noisy = [row for row in DRAWS if row.noise_sigma > 0]
    jpeg = [row for row in DRAWS if row.jpeg_quality is not None]
    assert share(noisy) == 0.12
    assert share(jpeg) == 0.1
    assert len([row for row in jpeg if row.jpeg_subsampling == "4:2:0"]) / len(jpeg) == pytest.approx(0.7, abs=0.06)
    assert len([row for row in jpeg if row in noisy]) / len(jpeg) == pytest.approx(0.12, abs=0.06)
    sigmas = np.array([row.blur.sigma_px for row in DRAWS])
    assert (sigmas.min(), sigmas.max()) == (pytest.approx(0.3, abs=0.01), pytest.approx(4.0, abs=0.01))
    assert np.median(sigmas) == pytest.approx(math.sqrt(0.3 * 4.0), rel=0.1)  # even in the logarithm
    for values, (low, high) in (
        ([row.noise_sigma for row in noisy], (0.0, 0.012)),
        ([row.signal_gain for row in noisy], (0.0, 0.0001)),
        ([row.jpeg_quality for row in jpeg], (40, 95)),
    ):
        assert low <= min(values) <= max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, rel=0.1)
    assert all(row.noise_sigma == row.signal_gain == 0 for row in DRAWS if row not in noisy)


def test_a_draw_depends_on_the_index_alone_and_other_rows_are_not_drawn():
    assert [drawn(MIX, index) for index in (7, 3)] == [DRAWS[7], DRAWS[3]]
    assert len(set(DRAWS)) == len(DRAWS)
    for row in ROWS:
        if row is not MIX:
            assert drawn(row, 5) is row
    assert all(drawn(row, 1) is row for row in DRAWS[:10])


def test_a_drawn_image_is_blurred_then_gets_noise_then_8_bits_then_jpeg():
    """Step by step with SciPy and Pillow, on a draw that has everything."""
    index, row = next(
        (index, row) for index, row in enumerate(DRAWS) if row.noise_sigma > 0 and row.jpeg_subsampling == "4:4:4"
        if row.jpeg_quality is not None
    )  # fmt: skip
    reference, sigma = photo(), row.blur.sigma_px
    radius = math.ceil(4 * sigma)
    values = ndimage.gaussian_filter(
        reference.astype(float), (sigma, sigma, 0), mode="mirror", radius=(radius, radius, 0)
    )
    deviation = np.sqrt(row.noise_sigma**2 + row.signal_gain * np.clip(values / 255, 0, 1))
    values += 255 * deviation * np.random.default_rng(index).standard_normal(values.shape)
    stream = io.BytesIO()
    Image.fromarray(to_8_bit(values)).save(stream, "JPEG", quality=row.jpeg_quality, subsampling=0)
    expected = np.asarray(Image.open(stream).convert("RGB"))
    np.testing.assert_array_equal(degrade(reference, MIX, index=index), expected)
    np.testing.assert_array_equal(true_psf(MIX, index), gaussian_psf(sigma))


def test_noise_grows_with_brightness_as_drawn():
    index, row = max(enumerate(DRAWS), key=lambda one: one[1].signal_gain)
    dark, bright = (degrade(np.full((150, 150, 3), level, np.uint8), MIX, index=index) for level in (40, 200))
    assert row.jpeg_quality is None
    for pixels, level in ((dark, 40), (bright, 200)):
        variance = 255**2 * (row.noise_sigma**2 + row.signal_gain * level / 255) + 1 / 12  # rounding adds 1/12
        assert pixels.std() == pytest.approx(math.sqrt(variance), rel=0.02)


# --- kernels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [row for row in ROWS if row.blur], ids=lambda row: row.name)
def test_true_psf_is_what_blurred(row):
    psf = true_psf(row, 1, psfs=PSFS)
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    degraded = degrade(point, row, index=1, psfs=PSFS).astype(float)
    expected = convolve_mirror(point, psf)
    tolerance = 12 if row.noise_sigma or row.jpeg_quality else 0.5
    np.testing.assert_allclose(degraded, expected, atol=tolerance)


def test_an_unknown_row_is_answered_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"'gaus-1.6' .*did you mean gauss-1.6\?.*camera-shake"):
        find_row("gaus-1.6")
    with pytest.raises(ConfigError, match="'zzz' is not in the protocol; its rows"):
        find_row("zzz")


def test_kernels_are_read_in_the_files_order_and_scaled_to_unit_sum(tmp_path):
    path = tmp_path / "k.npz"
    np.savez(path, k2=np.full((3, 5), 2.0, np.float32), k10=np.eye(4, dtype=np.uint8), a=np.ones((1, 1)))
    first, second, third = load_psfs(path)
    np.testing.assert_allclose(first, np.full((3, 5), 1 / 15))
    np.testing.assert_allclose(second, np.eye(4) / 4)
    assert third.tolist() == [[1.0]]
    assert first.dtype == second.dtype == third.dtype == np.float64


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones(3), "2-D"),
        (np.ones((2, 2, 2)), "2-D"),
        (np.ones((0, 3)), "2-D"),
        (np.array([["a"]]), "2-D"),
        (np.zeros((3, 3)), "not all zero"),
        (np.array([[2.0, -1.0]]), "not negative"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf]]), "finite"),
    ],
)
def test_what_is_no_kernel_is_refused_by_name(tmp_path, array, reason):
    path = tmp_path / "k.npz"
    np.savez(path, good=np.ones((3, 3)), bad=array)
    with pytest.raises(InputError, match=f"bad.*{reason}"):
        load_psfs(path)


def test_files_that_hold_no_kernels_are_one_clear_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_psfs(tmp_path / "missing.npz")
    with pytest.raises(InputError, match="cannot be read"):
        load_psfs(tmp_path)
    for name, content in {"empty.npz": b"", "text.npz": b"hello", "cut.npz": b"PK\x03\x04rest"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            load_psfs(tmp_path / name)
    np.save(tmp_path / "one.npy", np.ones((3, 3)))
    with pytest.raises(InputError, match="cannot be read"):
        load_psfs(tmp_path / "one.npy")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(InputError, match="no arrays"):
        load_psfs(tmp_path / "none.npz")
    np.savez(tmp_path / "pickled.npz", k=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="cannot be read"):
        load_psfs(tmp_path / "pickled.npz")


def test_an_archive_of_other_files_is_refused(tmp_path):
    path = tmp_path / "k.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"readme.txt.*2-D"):
        load_psfs(path)


def test_a_damaged_archive_is_one_clear_sentence(tmp_path):
    path = tmp_path / "k.npz"
    np.savez_compressed(path, k=np.random.default_rng(0).uniform(0, 1, (25, 25)))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"k.npz.* damaged|cannot be read"):
        load_psfs(path)
