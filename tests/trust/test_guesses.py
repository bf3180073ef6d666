"""The map of guesses: how far a result may be off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.engines.fake import FAKE_SPEC
from acutance.errors import ConfigError, InputError
from acutance.imaging.kernels import convolve_mirror, gaussian_psf
from acutance.inference.sharpener import Sharpener
from acutance.trust.conditions import CONDITIONS, at_blocks, conditions_of
from acutance.trust.features import FEATURES, features_of
from acutance.trust.guesses import GUESS_LEVELS, GuessMap, heat, map_of_guesses
from acutance.trust.traces import traces_of
from acutance.zoo.catalogue import DEFAULT_MODEL

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.ascontiguousarray(np.asarray(Image.open(PHOTO).convert("RGB"))[40:260, 120:340])


def blurred(pixels: np.ndarray, sigma_px: float, noise_levels: float = 0.0) -> np.ndarray:
    noise = noise_levels * np.random.default_rng(0).standard_normal(pixels.shape)
    return np.clip(np.rint(convolve_mirror(pixels.astype(float), gaussian_psf(sigma_px)) + noise), 0, 255).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def sharpener():
    with Sharpener(DEFAULT_MODEL, engine="onnxruntime") as opened:
        yield opened


@pytest.mark.parametrize(("sigma_px", "noise_levels"), [(1.0, 0.0), (1.6, 0.0), (3.0, 0.0), (1.6, 6.0)])
def test_the_truth_lies_within_the_distance_nine_times_in_ten(sharp, sharpener, sigma_px, noise_levels):
    seen = blurred(sharp, sigma_px, noise_levels)
    result = sharpener.sharpen_pixels(seen)
    told = map_of_guesses(seen, result, model=sharpener.spec)
    off = np.abs(result.astype(int) - sharp).max(axis=2)
    assert told.is_calibrated
    assert 0.8 <= (off <= told.distance).mean() <= 1.0
    assert told.distance.mean() < 6 * off.mean()
    assert np.corrcoef(told.distance.ravel(), off.ravel())[0, 1] > 0.25
    flat = off <= np.quantile(off, 0.3)
    assert told.distance[flat].mean() < told.distance[~flat].mean()


def test_more_blur_leaves_more_to_guess(sharp, sharpener):
    shares = []
    for sigma_px in (
        1.3,
        2.0,
        3.0,
    ):  # blur that is hardly there is told too large a distance: docs/explanation/trust.md
        seen = blurred(sharp, sigma_px)
        shares.append(map_of_guesses(seen, sharpener.sharpen_pixels(seen), model=sharpener.spec).share)
    assert shares == sorted(shares)


def test_the_way_from_the_answer_to_the_result_is_added(sharp, sharpener):
    seen = blurred(sharp, 1.6)
    whole, half = (sharpener.sharpen_pixels(seen, strength=strength) for strength in (1.0, 0.5))
    full = map_of_guesses(seen, whole, model=sharpener.spec).distance
    part = map_of_guesses(seen, half, model=sharpener.spec, strength=0.5).distance
    aside = np.abs(whole.astype(float) - half).max(axis=2)
    assert np.median(np.abs(part - full - aside)) < 2.0


def test_models_without_figures_of_their_own_are_said_to_be_so(sharp):
    seen = blurred(sharp, 1.6)
    for model in (None, replace(FAKE_SPEC, weights_sha256="00")):
        told = map_of_guesses(seen, sharp, model=model)
        assert not told.is_calibrated
        assert "not calibrated" in str(told)


def test_between_the_fitted_fidelities_distances_are_blended(sharp, sharpener):
    seen = blurred(sharp, 1.6)
    crisp, half, faithful = (
        map_of_guesses(seen, seen, model=sharpener.spec, fidelity=fidelity) for fidelity in (0.0, 0.5, 1.0)
    )
    assert crisp.is_calibrated
    assert half.is_calibrated
    assert np.abs(crisp.distance - faithful.distance).max() > 1
    low, high = np.minimum(crisp.distance, faithful.distance), np.maximum(crisp.distance, faithful.distance)
    assert (half.distance >= low - 0.5).all()
    assert (half.distance <= high + 0.5).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 300), (141, 200), (260, 150), (257, 700)])
def test_any_size_has_a_map(size, photo):
    pixels = photo(*size)
    told = map_of_guesses(pixels, pixels[::-1, ::-1])
    assert told.distance.shape == size
    assert np.isfinite(told.distance).all()
    assert told.picture.shape == (*size, 3)


def test_grey_and_deep_pictures_have_a_map(sharp):
    seen = blurred(sharp, 1.6)
    eight = map_of_guesses(seen, sharp).distance
    sixteen = map_of_guesses(seen.astype(np.uint16) * 257, sharp.astype(np.uint16) * 257).distance
    assert np.abs(np.maximum(sixteen, 1) - eight).max() < 0.1
    assert map_of_guesses(seen[..., :1], sharp[..., :1]).distance.shape == seen.shape[:2]


def test_features_and_conditions_cover_the_picture(sharp):
    maps = features_of(sharp[:101, :63], sharp[:101, :63])
    assert maps.shape == (len(FEATURES), 51, 32)
    grid = conditions_of(sharp)
    assert grid.shape[0] == len(CONDITIONS)
    spread = at_blocks(grid, (220, 220), (110, 110))
    assert spread.shape == (len(CONDITIONS), 110, 110)
    for low, high, own in zip(grid.min(axis=(1, 2)), grid.max(axis=(1, 2)), spread, strict=True):
        assert low - 1e-4 <= own.min() <= own.max() <= high + 1e-4


def test_jpeg_and_noise_leave_traces(sharp, tmp_path):
    Image.fromarray(sharp).save(tmp_path / "a.jpg", quality=40)
    with Image.open(tmp_path / "a.jpg") as opened:
        coded = np.asarray(opened.convert("RGB"))
    plain, blocks = (traces_of(pixels.astype(np.float32) / 255) for pixels in (sharp, coded))
    assert blocks[0] > plain[0] + 1
    noise = np.random.default_rng(0).standard_normal(sharp.shape).astype(np.float32) * 8 / 255
    white, grain = (traces_of(sharp.astype(np.float32) / 255 + one) for one in (noise, noise[..., :1]))
    assert white[2] > grain[2] + 1
    assert grain[1] > plain[1] + 1


def test_the_colours_go_from_black_to_yellow():
    colours = heat(np.array([[0, 4, 24, 96, 500]], np.float32))[0].astype(int)
    assert colours[0].tolist() == [0, 0, 0]
    assert (np.diff(colours.sum(axis=1)) >= 0).all()
    assert colours[3].tolist() == colours[4].tolist() == [255, 255, 160]
    told = GuessMap(is_calibrated=True, distance=np.array([[GUESS_LEVELS, 1, 1, 1]], np.float32))
    assert told.share == 0.25


def test_what_cannot_be_mapped_is_refused(sharp):
    with pytest.raises(InputError, match="same size"):
        map_of_guesses(sharp, sharp[1:])
    with pytest.raises(ConfigError, match="nothing to map"):
        map_of_guesses(sharp, sharp, strength=0.0)
