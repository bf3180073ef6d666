"""What a network restored, corrected by what was seen: where the blur is even, and nowhere else."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, special

from acutance import Sharpener
from acutance.deconvolution import even_blurs
from acutance.deconvolution.back_projection import corrections
from acutance.geometry import Size
from acutance.inference.back_projecting import Rows, corrected, corrected_rows, is_corrected

EXAMPLES = Path(__file__).parents[2] / "examples"


def leaves(height: int = 300, width: int = 380, *, seed: int = 0) -> np.ndarray:
    """Overlapping disks of all sizes, "dead leaves": edges and spectra like a photo's, sharp to the pixel."""
    draw = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 0.5)
    for _ in range(900):
        radius, y, x = 2.5 / draw.uniform(0.04, 1), draw.uniform(0, height), draw.uniform(0, width)
        colour = np.clip(draw.uniform(0.1, 0.9) + draw.normal(0, 0.05, 3), 0, 1)
        part = tuple(slice(max(0, int(place - radius) - 1), int(place + radius) + 2) for place in (y, x))
        rows, columns = np.ogrid[part]
        share = np.clip(radius - np.hypot(rows[: height - part[0].start] - y, columns - x), 0, 1)[..., np.newaxis]
        seen = picture[part]
        seen += share[: seen.shape[0], : seen.shape[1]] * (colour - seen)
    return picture


def levels(values: np.ndarray) -> np.ndarray:
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)


def psnr(one: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((one / 255 - truth) ** 2)))


def gaussian(truth: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(truth, (sigma, sigma, 0))


def disk(truth: np.ndarray, radius: float) -> np.ndarray:
    fine = (np.arange(9 * 15) + 0.5) / 15 - 4.5
    kernel = (np.hypot(fine[:, None], fine) <= radius).reshape(9, 15, 9, 15).mean((1, 3))
    return np.stack([ndimage.convolve(truth[..., index], kernel / kernel.sum()) for index in range(3)], axis=2)


def two_widths(truth: np.ndarray, long: float, short: float, angle: float) -> np.ndarray:
    """Blur by a Gaussian of one σ along an angle, from x towards y, and another across."""
    y, x = np.mgrid[-9:10, -9:10]
    along, aside = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-((along / long) ** 2 + (aside / short) ** 2) / 2)
    return np.stack([ndimage.convolve(truth[..., index], kernel / kernel.sum()) for index in range(3)], axis=2)


def moved(truth: np.ndarray, length: int) -> np.ndarray:
    return ndimage.uniform_filter(truth, (1, length, 1))


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return leaves()


@pytest.fixture(scope="module")
def both():
    """Give `both(seen)`: the result without and with the correction."""
    with Sharpener("fast", threads=1, back_projection=False) as plain, Sharpener("fast", threads=1) as full:
        yield lambda seen: (plain(seen), full(seen))


@pytest.mark.parametrize(
    ("blur", "strength", "least_db"),
    [(gaussian, 1.0, 0.5), (gaussian, 1.6, 0.15), (gaussian, 2.5, 0.1), (disk, 2.0, 0.3), (disk, 3.5, 0.15)],
)
def test_nearer_to_the_truth_where_the_blur_is_even(both, truth, blur, strength, least_db):
    plain, full = both(levels(blur(truth, strength)))
    assert psnr(full, truth) >= psnr(plain, truth) + least_db


@pytest.mark.parametrize(
    ("long", "short", "angle", "least_db"), [(2.0, 1.0, 0.6, 0.1), (2.0, 1.0, 2.3, 0.3), (1.2, 0.7, np.pi / 2, 0.6)]
)
def test_a_blur_of_two_widths_is_told_with_its_direction(both, long, short, angle, least_db):
    """Short motion and astigmatism make one; told as one of a single width, up to .8 dB are lost."""
    photo = np.asarray(Image.open(EXAMPLES / "astronaut.png").convert("RGB"))[:320, :400] / 255
    plain, full = both(levels(two_widths(photo, long, short, angle)))
    assert psnr(full, photo) >= psnr(plain, photo) + least_db


@pytest.mark.parametrize(("bits", "sigma"), [(8, 1.0), (16, 2.5)])
def test_grey_pictures_and_16_bits_gain_as_well(truth, bits, sigma):
    grey, white = truth.mean(axis=2), 2**bits - 1
    seen = np.round(white * ndimage.gaussian_filter(grey, sigma)).astype(f"uint{bits}")
    results = []
    for wanted in (False, True):
        with Sharpener("fast", threads=1, back_projection=wanted) as sharpener:
            results.append(sharpener(seen))
    plain, full = (psnr(result * (255 / white), grey) for result in results)
    assert full >= plain + 0.3


def test_motion_is_left_to_the_network(both, truth):
    plain, full = both(levels(moved(truth, 15)))
    assert np.abs(plain.astype(int) - full).max() <= 1


def test_sharp_pictures_and_compressed_ones_lose_nothing(both, truth):
    for seen in (levels(truth), jpeg(levels(gaussian(truth, 1.6)), 40)):
        plain, full = both(seen)
        assert psnr(full, truth) >= psnr(plain, truth) - 0.05


def test_enlarged_pictures_are_left_to_the_network(both, truth):
    small = Image.fromarray(levels(gaussian(truth, 1.0))).reduce(2)
    seen = np.asarray(small.resize((2 * small.width, 2 * small.height), Image.Resampling.BICUBIC))
    plain, full = both(seen)
    np.testing.assert_array_equal(plain, full)


def test_blur_of_light_is_told_from_blur_of_what_a_file_holds(truth):
    seen = levels(np.sqrt(gaussian(truth**2, 1.6)))
    results = []
    for wanted in (False, True):
        with Sharpener("night", threads=1, back_projection=wanted) as sharpener:
            results.append(psnr(sharpener(seen), truth))
    assert results[1] >= results[0] + 0.1


def test_the_border_is_no_worse(both, truth):
    """What was blurred into it from beyond is not known, nor how it was made up."""
    cut = levels(gaussian(truth, 1.6)[40:-40, 40:-40])
    plain, full = both(cut)
    edge = np.ones(cut.shape[:2], bool)
    edge[8:-8, 8:-8] = False
    inner = truth[40:-40, 40:-40][edge]
    assert psnr(full[edge], inner) >= psnr(plain[edge], inner) - 0.05


def test_noise_is_not_taken_for_detail(both, truth):
    noise = np.random.default_rng(1).normal(0, 4 / 255, truth.shape)
    plain, full = both(levels(gaussian(truth, 1.6) + noise))
    np.testing.assert_array_equal(plain, full)


def test_each_part_has_a_blur_of_its_own(both):
    """Of what is sharp in front of a blurred background, both are corrected, and not by the blur of the other."""
    wide = leaves(200, 900)
    seen = gaussian(wide, 1.0)
    seen[:, 450:] = gaussian(wide, 2.2)[:, 450:]
    plain, full = both(levels(seen))
    for part in (np.s_[:, :250], np.s_[:, 650:]):
        assert psnr(full[part], wide[part]) >= psnr(plain[part], wide[part]) + 0.05


def test_beside_a_border_of_depth_each_side_has_its_own_blur(both):
    wide = np.concatenate([leaves(400, 300, seed=1), leaves(400, 300, seed=2)], axis=1)
    seen = gaussian(wide, 1.0)
    seen[:, 300:] = gaussian(wide, 2.0)[:, 300:]
    plain, full = both(levels(seen))
    for side in (np.s_[:, :300], np.s_[:, 300:]):
        assert psnr(full[side], wide[side]) >= psnr(plain[side], wide[side])


def test_nothing_rings_between_what_is_sharp_and_a_blurred_background(both):
    """A smooth wall lies between them, on which waves would be seen."""
    truth = np.repeat(np.linspace(0.35, 0.65, 520), 520 * 3).reshape(520, 520, 3)
    truth[:, 300:] = leaves(520, 220, seed=4)
    seen = gaussian(truth, 3.0)
    seen[:, :120] = truth[:, :120] = leaves(520, 520, seed=5)[:, :120]
    plain, full = both(levels(seen))
    assert psnr(full, truth) >= psnr(plain, truth)
    assert np.abs(full.astype(int) - plain)[:, 132:288].max() <= 2


def test_the_same_bits_however_the_rows_come_and_whatever_the_threads(truth):
    wide = np.concatenate([truth] * 4, axis=1)  # more blocks than are worked on at once
    seen = levels(gaussian(wide, 1.2))
    restored = levels(gaussian(wide, 0.4))
    whole = corrected(seen, restored, strength=1.0, threads=1)
    assert not np.array_equal(whole, restored)
    np.testing.assert_array_equal(whole, corrected(seen, restored, strength=1.0, threads=3))
    cuts = [0, 1, 8, 200, 201, 290, 300]
    rows = (Rows(seen[top:bottom], restored[top:bottom]) for top, bottom in pairwise(cuts))
    parts = list(corrected_rows(Size(*seen.shape[:2]), rows, strength=1.0, threads=2))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_strength_blends_what_is_corrected(truth):
    seen, restored = levels(gaussian(truth, 1.2)), levels(gaussian(truth, 0.4))
    full = corrected(seen, restored, strength=1.0, threads=1)
    half = corrected(seen, restored, strength=0.5, threads=1)
    within = (full > 0) & (full < 255)
    assert np.abs((seen.astype(float) + full) / 2 - half)[within].max() <= 1
    np.testing.assert_array_equal(corrected(seen, restored, strength=0.0, threads=1), seen)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (5, 129), (64, 64), (65, 127), (151, 153)])
def test_any_size(size):
    draw = np.random.default_rng(0)
    seen, restored = (draw.random(size, dtype=np.float32) for _ in range(2))
    rows = list(corrections(Size(*size), lambda top, bottom: (seen[top:bottom], restored[top:bottom])))
    added = np.concatenate(rows)
    assert added.shape == size
    assert np.isfinite(added).all()


def test_flat_pictures_stay(both):
    flat = np.full((150, 150, 3), 77, np.uint8)
    plain, full = both(flat)
    np.testing.assert_array_equal(plain, full)


def test_transfers_of_disks_are_those_of_the_bessel_function():
    side = 128
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) + 1e-12
    for index in (0, 20, len(even_blurs.RADII_PX) - 1):
        z = 2 * np.pi * even_blurs.RADII_PX[index] * frequency
        found = even_blurs.transfer_on(side, len(even_blurs.SIGMAS_PX) + index)
        np.testing.assert_allclose(found, 2 * special.j1(z) / z, atol=1e-6)


@pytest.mark.parametrize("blur", [even_blurs.OF_TWO_WIDTHS.start + number for number in (0, 203, 477)])
def test_transfers_of_two_widths_are_those_of_their_kernels(blur):
    """The kernel is no wider along any other direction, and its transfer is that of a Gaussian along it."""
    side = 96
    kernel = np.fft.fftshift(np.fft.irfft2(even_blurs.transfer_on(side, blur)))
    y, x = np.indices(kernel.shape) - side // 2
    moments = np.array([[(kernel * y * y).sum(), (kernel * y * x).sum()], [0, (kernel * x * x).sum()]])
    moments[1, 0] = moments[0, 1]
    mean_width = np.sqrt(np.trace(moments) / 2)
    np.testing.assert_allclose(mean_width, even_blurs.blurs().widths_px[blur], rtol=0.1)
    np.testing.assert_allclose(kernel.sum(), 1, atol=1e-6)


def test_which_models_are_corrected():
    with Sharpener("fast", threads=1) as fast, Sharpener("fast-x2", threads=1) as larger:
        assert is_corrected(fast.spec, wanted=None)
        assert not is_corrected(fast.spec, wanted=False)
        assert not is_corrected(larger.spec, wanted=True), "what is enlarged is no blurred picture"
