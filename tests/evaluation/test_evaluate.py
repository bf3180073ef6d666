"""Measuring: the right photos, degraded as they should be, the right figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from acutance.data.protocol import ROWS, brightened, degrade, drawn, find_row
from acutance.errors import ConfigError, InputError, UnknownModel
from acutance.evaluation.baselines import BASELINES
from acutance.evaluation.evaluate import evaluate, open_test_set
from acutance.evaluation.restorers import BlindRestorer, open_models
from acutance.evaluation.scores import Perception, score
from acutance.inference.sharpener import Sharpener
from acutance.metrics.gmsd import gmsd
from acutance.metrics.grain import grain_in_flat_places
from acutance.metrics.psnr import psnr
from acutance.metrics.sharpness import gradient_energy_ratio
from acutance.metrics.ssim import ms_ssim, ssim

INPUT = BASELINES[:1]
BLUR, NOISE, NONE, X2 = (find_row(name) for name in ("gauss-1.0", "gauss-1.6-n2", "none", "x2-gauss-1.0"))


def save_photos(folder, count, *, size=(24, 20)):
    folder.mkdir()
    photos = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        photos.append(pixels)
    return photos


def test_figures_are_those_of_the_metrics(tmp_path):
    photos = save_photos(tmp_path / "set", 2)
    evaluation = evaluate([open_test_set(tmp_path / "set")], [BLUR, NOISE], INPUT)
    assert [(one.row, one.photo, one.index) for one in evaluation.measurements] == [
        ("gauss-1.0", "00.png", 0),
        ("gauss-1.0", "01.png", 1),
        ("gauss-1.6-n2", "00.png", 0),
        ("gauss-1.6-n2", "01.png", 1),
    ]
    for one in evaluation.measurements:
        reference = photos[one.index]
        degraded = degrade(reference, find_row(one.row), index=one.index)
        assert one.scores.psnr_db == psnr(degraded, reference)
        assert one.scores.ssim == ssim(degraded, reference)
        assert one.scores.gmsd == gmsd(degraded, reference)
        assert one.scores.gradient_energy == gradient_energy_ratio(degraded, reference)
        assert one.scores.ms_ssim is None
        assert (one.test_set, one.restorer) == ("set", "input")
        assert one.seconds >= 0


def test_means_are_over_the_photos_of_each_cell(tmp_path):
    save_photos(tmp_path / "a", 3)
    save_photos(tmp_path / "b", 1)
    evaluation = evaluate([open_test_set(tmp_path / name) for name in "ab"], [BLUR, NOISE], BASELINES[:2])
    means = evaluation.means
    assert [(mean.test_set, mean.row, mean.restorer, mean.count) for mean in means] == [
        (name, row, restorer, count)
        for name, count in (("a", 3), ("b", 1))
        for row in ("gauss-1.0", "gauss-1.6-n2")
        for restorer in ("input", "unsharp")
    ]
    values = [one.scores for one in evaluation.measurements if (one.test_set, one.row) == ("a", "gauss-1.0")]
    assert means[0].scores.psnr_db == pytest.approx(np.mean([one.psnr_db for one in values[::2]]))
    assert means[1].scores.ssim == pytest.approx(np.mean([one.ssim for one in values[1::2]]))


def test_ms_ssim_is_measured_where_photos_are_large_enough():
    rng = np.random.default_rng(0)
    restored, reference = rng.integers(0, 256, (2, 176, 180, 3), dtype=np.uint8)
    assert score(restored, reference).ms_ssim == ms_ssim(restored, reference)
    assert score(restored[1:], reference[1:]).ms_ssim is None


def test_a_restorer_sees_the_degraded_photo_and_cannot_change_it_for_the_next(tmp_path):
    (reference,) = save_photos(tmp_path / "set", 1)
    seen = []

    def spoil(degraded):
        seen.append(degraded.copy())
        with pytest.raises(ValueError, match="read-only"):
            degraded[:] = 0
        return degraded

    fakes = [BlindRestorer("one", spoil), BlindRestorer("two", spoil)]
    first, second = evaluate([open_test_set(tmp_path / "set")], [BLUR], fakes).measurements
    np.testing.assert_array_equal(seen[0], degrade(reference, BLUR, index=0))
    assert first.scores == second.scores


def test_row_none_measures_the_damage_to_a_sharp_photo(tmp_path):
    save_photos(tmp_path / "set", 1)
    brighter = BlindRestorer("brighter", lambda degraded: np.where(degraded < 255, degraded + 1, 255).astype(np.uint8))
    evaluation = evaluate([open_test_set(tmp_path / "set")], [NONE], [*BASELINES, brighter])
    assert [one.restorer for one in evaluation.measurements] == ["input", "brighter"]
    untouched, spoiled = evaluation.measurements
    assert untouched.scores.psnr_db == math.inf
    assert spoiled.scores.psnr_db == pytest.approx(48.1, abs=0.1)


@pytest.mark.parametrize("size", [(24, 20), (25, 21), (12, 13)])
def test_a_row_that_reduces_is_measured_on_whole_cells_against_bicubic_enlargement(tmp_path, size):
    (photo,) = save_photos(tmp_path / "set", 1, size=size)
    evaluation = evaluate([open_test_set(tmp_path / "set")], [X2], BASELINES)
    (only,) = evaluation.measurements  # the other filters have nothing to say
    assert (only.row, only.restorer) == ("x2-gauss-1.0", "input")
    reference = photo[: size[0] // 2 * 2, : size[1] // 2 * 2]
    height, width = reference.shape[:2]
    degraded = Image.fromarray(degrade(reference, X2, index=0))
    assert degraded.size == (width // 2, height // 2)
    enlarged = np.asarray(degraded.resize((width, height), Image.Resampling.BICUBIC))
    assert only.scores == score(enlarged, reference)


def test_a_restorer_sees_the_small_photo(tmp_path):
    (photo,) = save_photos(tmp_path / "set", 1)
    seen = []

    def double(degraded):
        seen.append(degraded)
        return degraded.repeat(2, axis=0).repeat(2, axis=1)

    (one,) = evaluate([open_test_set(tmp_path / "set")], [X2], [BlindRestorer("double", double)]).measurements
    np.testing.assert_array_equal(seen[0], degrade(photo, X2, index=0))
    assert one.scores == score(double(seen[0]), photo)
    with pytest.raises(ConfigError, match=r"same made 10×12 px of 20×24 px; measure restorers whose results have its"):
        evaluate([open_test_set(tmp_path / "set")], [X2], [BlindRestorer("same", lambda degraded: degraded)])


def test_a_part_of_the_set_is_degraded_as_in_the_whole(tmp_path):
    save_photos(tmp_path / "set", 7)
    whole = evaluate([open_test_set(tmp_path / "set")], [NOISE], INPUT).measurements
    third = open_test_set(tmp_path / "set", every=3)
    assert [photo.index for photo in third.photos] == [0, 3, 6]
    part = evaluate([third], [NOISE], INPUT).measurements
    assert [one.scores for one in part] == [whole[index].scores for index in (0, 3, 6)]
    assert [photo.index for photo in open_test_set(tmp_path / "set", every=3, limit=2).photos] == [0, 3]


def test_grey_photos_count_as_rgb(tmp_path):
    (tmp_path / "set").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "set" / "grey.png")
    (one,) = evaluate([open_test_set(tmp_path / "set")], [BLUR], INPUT).measurements
    rgb = np.repeat(pixels[:, :, None], 3, axis=2)
    assert one.scores == score(degrade(rgb, BLUR, index=0), rgb)


def test_every_filter_is_told_the_draw_of_each_photo_of_the_mixture(tmp_path):
    save_photos(tmp_path / "set", 3)
    mix, test_set = find_row("mix"), open_test_set(tmp_path / "set")
    evaluation = evaluate([test_set], [mix], BASELINES)
    assert {mean.count for mean in evaluation.means} == {3}
    assert all(math.isfinite(mean.scores.psnr_db) for mean in evaluation.means)
    for index in range(3):
        plain = evaluate([test_set], [drawn(mix, index)], BASELINES).measurements
        expected = [one.scores for one in plain if one.index == index]
        assert [one.scores for one in evaluation.measurements if one.index == index] == expected


def test_lpips_is_measured_where_it_is_handed_in(tmp_path):
    (reference, _) = save_photos(tmp_path / "set", 2)
    references = []

    def fake(truth):
        references.append(truth)
        return lambda restored: None if len(references) == 4 else float(np.abs(restored.astype(int) - truth).mean())

    evaluation = evaluate(
        [open_test_set(tmp_path / "set")], [NONE, BLUR], BASELINES[:2], perception=Perception(lpips=fake)
    )
    assert len(references) == 4  # one per row and photo, not per restorer
    np.testing.assert_array_equal(references[0], reference)
    sharp, blurred, unsharp = evaluation.means
    assert sharp.scores.lpips == 0.0
    assert evaluation.measurements[2].scores.lpips > 0
    assert blurred.scores.lpips is None  # one photo was too small for it
    assert unsharp.scores.lpips is None
    without = evaluate([open_test_set(tmp_path / "set")], [BLUR], INPUT)
    assert all(one.scores.lpips is None for one in without.measurements)


def test_both_measures_by_networks_may_be_asked_for(tmp_path):
    save_photos(tmp_path / "set", 1)
    perception = Perception(lpips=lambda truth: lambda restored: 0.25, vgg=lambda truth: lambda restored: 0.5)
    (mean,) = evaluate([open_test_set(tmp_path / "set")], [BLUR], INPUT, perception=perception).means
    assert (mean.scores.lpips, mean.scores.vgg) == (0.25, 0.5)


def test_progress_grows_to_one(tmp_path):
    save_photos(tmp_path / "set", 3)
    shares = []
    evaluate([open_test_set(tmp_path / "set")], [BLUR, NONE], INPUT, progress=shares.append)
    assert shares == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_what_makes_a_figure_meaningless_is_refused(tmp_path):
    save_photos(tmp_path / "set", 1)
    test_set = open_test_set(tmp_path / "set")
    with pytest.raises(ConfigError, match=r"rows named gauss-1\.0 are given twice"):
        evaluate([test_set], [BLUR, BLUR], INPUT)
    with pytest.raises(ConfigError, match="test sets named set"):
        evaluate([test_set, test_set], [BLUR], INPUT)
    with pytest.raises(ConfigError, match="restorers named input"):
        evaluate([test_set], [BLUR], [*INPUT, *INPUT])
    with pytest.raises(ConfigError, match=r"half made 10×12 px of 20×24 px"):
        evaluate([test_set], [BLUR], [BlindRestorer("half", lambda degraded: degraded[::2, ::2])])


def test_missing_kernels_are_said_before_anything_is_measured(tmp_path):
    save_photos(tmp_path / "set", 1)
    shares = []
    with pytest.raises(InputError, match="camera-shake"):
        evaluate([open_test_set(tmp_path / "set")], [BLUR, find_row("camera-shake")], INPUT, progress=shares.append)
    assert not shares


def test_photos_that_cannot_be_measured_end_it_by_name(tmp_path):
    save_photos(tmp_path / "small", 1, size=(10, 20))
    with pytest.raises(InputError, match=r"00.png has 20×10 px; SSIM needs at least 11 px"):
        evaluate([open_test_set(tmp_path / "small")], [BLUR], INPUT)
    save_photos(tmp_path / "odd", 1, size=(11, 20))
    assert evaluate([open_test_set(tmp_path / "odd")], [BLUR], INPUT).measurements
    with pytest.raises(
        InputError, match=r"00.png has 20×11 px; SSIM needs at least 12 px"
    ):  # of which 10 would be left
        evaluate([open_test_set(tmp_path / "odd")], [X2], INPUT)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"x\.png"):
        evaluate([open_test_set(tmp_path / "broken")], [BLUR], INPUT)


def test_folders_without_photos_and_odd_choices_are_refused(tmp_path):
    with pytest.raises(InputError, match="missing"):
        open_test_set(tmp_path / "missing")
    with pytest.raises(InputError, match="no pictures"):
        open_test_set(tmp_path)
    for choice in ({"every": 0}, {"limit": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            open_test_set(tmp_path, **choice)


def test_no_models_need_no_engine():
    with open_models([]) as models:
        assert models == ()


def test_a_model_is_measured_as_sharpener_runs_it(tmp_path):
    (reference,) = save_photos(tmp_path / "set", 1)
    with open_models(["fast"], threads=1) as models:
        (one,) = evaluate([open_test_set(tmp_path / "set")], [BLUR], models).measurements
    assert one.restorer == "fast"
    with Sharpener("fast", precision="float32", threads=1) as sharpener:
        restored = sharpener.sharpen_pixels(degrade(reference, BLUR, index=0))
    assert one.scores == score(restored, reference)


def test_an_unknown_model_is_refused():
    with pytest.raises(UnknownModel, match="no-such-model"), open_models(["no-such-model"]):
        pass


# --- rows with measures of their own ----------------------------------------------------------------------

KEPT = ("largest_change", "grain_before", "grain_after")


def test_motion_is_measured_at_the_best_shift_too(tmp_path):
    (photo,) = save_photos(tmp_path / "set", 1)
    psf = np.zeros((5, 5))
    psf[2, 4] = 1.0  # moves to the right, and blurs nothing
    rows = [find_row(name) for name in ("camera-shake", "motion-4", "gauss-1.0")]
    evaluation = evaluate([open_test_set(tmp_path / "set")], rows, INPUT, psfs=[psf])
    shaken, moved, blurred = (one.scores for one in evaluation.measurements)
    assert shaken.psnr_shifted_db == math.inf
    assert shaken.psnr_db == psnr(degrade(photo, rows[0], index=0, psfs=[psf]), photo)
    assert moved.psnr_shifted_db >= moved.psnr_db
    assert blurred.psnr_shifted_db is None
    assert evaluation.means[0].scores.psnr_shifted_db == math.inf


def test_what_should_be_kept_is_measured_against_the_input(tmp_path):
    photos = save_photos(tmp_path / "set", 2)
    rows = [find_row(name) for name in ("ramps", "grain-only", "gauss-1.0")]

    def brighter(degraded):
        return np.where(degraded < 250, degraded + 5, degraded).astype(np.uint8)

    restorers = [*BASELINES, BlindRestorer("brighter", brighter)]
    evaluation = evaluate([open_test_set(tmp_path / "set")], rows[:2], restorers)
    assert {one.restorer for one in evaluation.measurements} == {"input", "brighter"}
    for one in evaluation.measurements:
        degraded = degrade(photos[one.index], find_row(one.row), index=one.index)
        if one.restorer == "input":
            assert (one.scores.psnr_db, one.scores.largest_change) == (math.inf, 0)
        else:
            assert one.scores.psnr_db == psnr(brighter(degraded), degraded)
            assert one.scores.largest_change == 5
        if one.row == "grain-only":
            expected = grain_in_flat_places(degraded, photos[one.index])
            assert one.scores.grain_before == expected
            assert one.restorer == "brighter" or one.scores.grain_after == expected
        else:
            assert one.scores.grain_before is one.scores.grain_after is None
    (plain,) = evaluate([open_test_set(tmp_path / "set", limit=1)], rows[2:], INPUT).measurements
    assert all(getattr(plain.scores, name) is None for name in KEPT)


def test_the_largest_change_of_a_set_is_the_largest_of_all(tmp_path):
    save_photos(tmp_path / "set", 3)
    changes = iter((2, 7, 4))
    spoil = BlindRestorer(
        "spoil", lambda degraded: np.clip(degraded.astype(int) + next(changes), 0, 255).astype(np.uint8)
    )
    (mean,) = evaluate([open_test_set(tmp_path / "set")], [find_row("ramps")], [spoil]).means
    assert mean.scores.largest_change == 7


def test_dark_photos_are_restored_in_16_bits_and_measured_with_all_their_light(tmp_path):
    (reference,) = save_photos(tmp_path / "set", 1)
    row, seen = find_row("gauss-1.6-dark8"), []

    def keep(degraded):
        seen.append(degraded)
        return degraded

    test_set = open_test_set(tmp_path / "set")
    evaluation = evaluate([test_set], [row], [*BASELINES, BlindRestorer("keep", keep)])
    assert seen[0].dtype == np.uint16
    np.testing.assert_array_equal(seen[0], degrade(reference, row, index=0))
    found = {one.restorer: one.scores.psnr_db for one in evaluation.measurements}
    full = {
        one.restorer: one.scores.psnr_db
        for one in evaluate([test_set], [find_row("gauss-1.6")], BASELINES).measurements
    }
    assert found["keep"] == found["input"] == pytest.approx(full["input"], abs=0.02)
    assert found["unsharp"] == pytest.approx(full["unsharp"], abs=0.1)  # of 16 bits, which lose nothing to rounding
    assert found["Wiener, true kernel"] > full["Wiener, true kernel"] - 0.1


def test_a_model_restores_dark_photos_in_their_own_type(tmp_path):
    (reference,) = save_photos(tmp_path / "set", 1)
    row = find_row("gauss-1.6-dark4")
    with open_models(["fast"], threads=1) as models:
        (one,) = evaluate([open_test_set(tmp_path / "set")], [row], models).measurements
    with Sharpener("fast", precision="float32", threads=1) as sharpener:
        restored = sharpener.sharpen_pixels(degrade(reference, row, index=0))
    assert restored.dtype == np.uint16
    assert one.scores == score(brightened(restored, row), reference)


@pytest.mark.parametrize("row", [row for row in ROWS if row.name != "camera-shake"], ids=lambda row: row.name)
def test_every_row_is_measured(tmp_path, row):
    save_photos(tmp_path / "set", 1)
    evaluation = evaluate([open_test_set(tmp_path / "set")], [row], BASELINES)
    assert evaluation.means[0].restorer == "input"
