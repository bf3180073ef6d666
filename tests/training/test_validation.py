"""Validation measures what the protocol says, on photos that are not trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.data.photo_store import PhotoStore, StoredPhoto
from acutance.data.protocol import degrade, find_row
from acutance.errors import ConfigError
from acutance.metrics.psnr import psnr
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.training.validation import HeldOut, check_measures, split_store, validate
from acutance.training.watching import DISTANCES, WatchConfig, goodness

CPU = torch.device("cpu")


def numbered(count, height=20, width=24):
    """Make a store whose photo i is filled with i."""
    photos = tuple(StoredPhoto(f"{i}", 0, height, width, i * height * width * 3) for i in range(count))
    return PhotoStore(photos, np.repeat(np.arange(count, dtype=np.uint8), height * width * 3))


def held(crops):
    return [HeldOut(crop) for crop in crops]


def identity():
    """Build a network that gives its input."""
    generator = Generator(GeneratorConfig(width=4, num_blocks=0, unshuffle=2)).eval()
    torch.nn.init.zeros_(generator.tail.weight)
    return generator


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 60), held_out=st.integers(0, 70))
def test_held_out_photos_are_not_trained_on(count, held_out):
    store = numbered(count)
    rest, crops = split_store(store, WatchConfig(held_out=held_out, crop_px=16))
    held = {int(crop.sharp[0, 0, 0]) for crop in crops}
    trained = {int(rest.photo(index)[0, 0, 0]) for index in range(len(rest.photos))}
    assert len(held) == len(crops) == min(held_out, count - 1)  # at least one is left to train on
    assert held | trained == set(range(count))
    assert not held & trained


def test_held_out_photos_are_spread_over_the_store():
    _, crops = split_store(numbered(100), WatchConfig(held_out=4, crop_px=16))
    assert [int(crop.sharp[0, 0, 0]) for crop in crops] == [12, 38, 62, 88]


def test_crops_are_centred_copies(photo):
    picture = photo(40, 60)
    store = PhotoStore((StoredPhoto("a", 0, 40, 60, 0),) * 2, picture.ravel().copy())
    _, (crop,) = split_store(store, WatchConfig(held_out=1, crop_px=20))
    np.testing.assert_array_equal(crop.sharp, picture[10:30, 20:40])
    store.pixels[:] = 0
    assert crop.sharp.any()
    _, (whole,) = split_store(PhotoStore(store.photos, picture.ravel()), WatchConfig(held_out=1, crop_px=512))
    np.testing.assert_array_equal(whole.sharp, picture)  # smaller than the crop: all of it


def test_scores_of_the_identity_are_those_of_the_input(photo):
    crops = [photo(32, 41, seed=seed) for seed in range(3)]
    rows = ("gauss-1.6", "gauss-1.6-n2", "jpeg-50")
    result = validate(identity(), held(crops), rows, device=CPU)
    assert list(result.psnr_db) == list(rows)
    for name in rows:
        row = find_row(name)
        values = [psnr(degrade(crop, row, index=index), crop) for index, crop in enumerate(crops)]
        assert result.psnr_db[name] == pytest.approx(np.mean(values), abs=1e-9)


def test_the_sheet_shows_input_output_and_truth_of_another_photo_per_row(photo):
    crops = [photo(30, 44, seed=0), photo(36, 40, seed=1)]
    sheet = validate(identity(), held(crops), ("gauss-2.0", "none", "gauss-4.0"), device=CPU).sheet
    assert sheet.shape == (30 + 36 + 30, 3 * 40, 3)
    second = sheet[30:66]
    np.testing.assert_array_equal(second, np.hstack([crops[1]] * 3))
    np.testing.assert_array_equal(sheet[:30, :44], degrade(crops[0], find_row("gauss-2.0"), index=0))


def test_validation_leaves_no_gradients(photo):
    generator = identity()
    validate(generator, held([photo(20, 20)]), ("none",), device=CPU)
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_photos_taken_blurred_are_restored_as_they_are(photo):
    crops = [HeldOut(photo(30, 44, seed=seed), photo(30, 44, seed=seed + 5)) for seed in range(2)]
    result = validate(identity(), crops, ("gauss-2.0",), device=CPU)
    assert result.psnr_db == {"paired": pytest.approx(np.mean([psnr(crop.blurred, crop.sharp) for crop in crops]))}
    np.testing.assert_array_equal(result.sheet, np.hstack([crops[0].blurred, crops[0].blurred, crops[0].sharp]))


def farther_than(reference):
    """Stand for a network that learns of the reference first."""
    return lambda restored: float(np.abs(restored.astype(float) - reference).mean())


def test_measures_by_networks_are_taken_where_they_are_given(photo):
    crops = held([photo(180, 180, seed=seed) for seed in (1, 2)])
    measures = ("psnr_db", "ms_ssim", "lpips")
    result = validate(
        identity(), crops, ("none", "gauss-3.0"), device=CPU, measures=measures, perceptual={"lpips": farther_than}
    )
    assert set(result.by_measure) == set(measures)
    assert result.by_measure["lpips"]["none"] == 0.0 < result.by_measure["lpips"]["gauss-3.0"]
    assert result.by_measure["ms_ssim"]["none"] == pytest.approx(1.0)
    assert result.figures()["gauss-3.0 lpips"] == result.by_measure["lpips"]["gauss-3.0"]


def test_what_cannot_be_measured_is_said_before_the_first_step(photo):
    crops = held([photo(180, 100)])
    with pytest.raises(ConfigError, match=r"lpips needs the weights .* --lpips-backbone FILE --lpips-linear FILE"):
        check_measures(crops, ("psnr_db", "lpips"), {})
    with pytest.raises(ConfigError, match=r"dists needs the weights .* --lpips-backbone FILE --dists FILE"):
        check_measures([], ("dists",), {"lpips": farther_than})
    with pytest.raises(ConfigError, match="100×180 px, and one of these measures needs 176"):
        check_measures(crops, ("ms_ssim",), {})
    for measure, least_px in (("ssim", 11), ("gmsd", 3)):
        with pytest.raises(ConfigError, match=f"20×2 px, and one of these measures needs {least_px}"):
            check_measures(held([photo(2, 20)]), (measure,), {})
    with pytest.raises(ConfigError, match=r"watch\.crop_px = 64: MS-SSIM needs 176 px"):
        WatchConfig(crop_px=64, best_by="ms_ssim")
    check_measures(crops, ("psnr_db", "lpips"), {"lpips": farther_than})


def test_of_distances_the_lower_is_better():
    for measure in DISTANCES:
        assert goodness(measure, {"a": 0.1}) > goodness(measure, {"a": 0.2})


def test_what_is_better_by_each_measure():
    assert goodness("psnr_db", {"a": 30.0, "b": 20.0}) > goodness("psnr_db", {"a": 24.0, "b": 24.0})
    assert goodness("gmsd", {"a": 0.01}) > goodness("gmsd", {"a": 0.02})
    energies = [goodness("gradient_energy", {"a": value}) for value in (1.0, 0.9, 1.2, 0.5)]
    assert energies == sorted(energies, reverse=True)
