"""When measured scores reproduce a finding, when not, and when nothing can be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acutance.evaluation.scores import Scores
from acutance.evaluation.table1 import PLAIN_STACK, STAND_IN, STAND_IN_LABEL, TABLE_1
from acutance.evaluation.verdicts import changes, judge

NUM_PHOTOS = 12
SEEDS = (0, 1, 2)


def scores(psnr_db=25.0, ssim=0.8, gmsd=0.1, lpips=None):
    return Scores(psnr_db=psnr_db, ssim=ssim, ms_ssim=None, gmsd=gmsd, gradient_energy=1.0, lpips=lpips)


def photos(psnr_db=25.0, ssim=0.8, gmsd=0.1, *, noise_db=0.0, seed=0, lpips=None):
    """Give the scores of photos that differ much from each other, and by chance a little between runs."""
    own = np.linspace(-4, 4, NUM_PHOTOS)
    chance = np.random.default_rng(seed).normal(0, noise_db, NUM_PHOTOS)
    return [scores(psnr_db + a + b, ssim, gmsd, lpips) for a, b in zip(own, chance, strict=True)]


UNTOUCHED = photos(20.0)


def as_in_the_paper(seeds=SEEDS, *, shift=0.0):
    return {
        row.preset: {seed: photos(row.psnr_db + shift + 0.01 * seed, row.ssim, 0.1 - row.ssim / 20) for seed in seeds}
        for row in TABLE_1
    }


def verdicts(measured, untouched=UNTOUCHED):
    return {judgement.words: judgement.verdict for judgement in judge(measured, untouched=untouched)}


@pytest.mark.parametrize("shift", [0.0, 7.0])
def test_the_papers_own_figures_reproduce_everything_wherever_they_lie(shift):
    found = verdicts(as_in_the_paper(shift=shift))
    for name in ("LPIPS", "DISTS"):
        assert found.pop(f"{name}: NonBN-ResG-L better than NonBN-ResG") == "not measured"
    assert set(found.values()) == {"reproduced"}


def test_a_turned_order_is_not_reproduced():
    measured = as_in_the_paper()
    measured["res-g"] = {seed: photos(25.0, 0.95, 0.06) for seed in SEEDS}
    found = verdicts(measured)
    assert found["PSNR: ResG better than StackedG"] == "not reproduced"
    assert found["PSNR: NonBN-ResG better than ResG"] == "reproduced"
    assert found["SSIM: ResG better than StackedG"] == "reproduced"
    assert found["SSIM: NonBN-ResG better than ResG"] == "not reproduced"


def test_equal_scores_are_no_order():
    measured = {row.preset: {seed: photos() for seed in SEEDS} for row in TABLE_1}
    found = verdicts(measured)
    assert found.pop("PSNR: NonBN-ResG-L at most 0.5 dB below NonBN-ResG") == "reproduced"
    for name in ("LPIPS", "DISTS"):
        assert found.pop(f"{name}: NonBN-ResG-L better than NonBN-ResG") == "not measured"
    assert set(found.values()) == {"not reproduced"}


@pytest.mark.parametrize(("price", "expected"), [(-0.4, "reproduced"), (0.2, "reproduced"), (-0.6, "not reproduced")])
def test_the_price_in_psnr_may_be_half_a_decibel(price, expected):
    measured = as_in_the_paper()
    measured["nonbn-res-g-l"] = {seed: photos(28.54 + price) for seed in SEEDS}
    assert verdicts(measured)["PSNR: NonBN-ResG-L at most 0.5 dB below NonBN-ResG"] == expected


@pytest.mark.parametrize("measure", ["gmsd", "lpips"])
def test_of_distances_the_lower_is_better(measure):
    words = f"{measure.upper()}: NonBN-ResG-L better than NonBN-ResG"
    measured = {"nonbn-res-g": {seed: photos(**{measure: 0.05}) for seed in SEEDS}}
    measured["nonbn-res-g-l"] = {seed: photos(**{measure: 0.04}) for seed in SEEDS}
    assert verdicts(measured)[words] == "reproduced"
    measured["nonbn-res-g-l"] = {seed: photos(**{measure: 0.06}) for seed in SEEDS}
    assert verdicts(measured)[words] == "not reproduced"


def test_fewer_than_three_seeds_decide_nothing():
    (first, *_) = judge(as_in_the_paper((0, 1)), untouched=UNTOUCHED)
    assert (first.verdict, first.why) == ("undecided", "2 seeds, at least 3 are needed")
    assert first.interval.mean == pytest.approx(0.71)


def test_seeds_that_disagree_leave_it_undecided():
    """The mean says ResG, and so do all photos of two seeds; the third does not."""
    measured = {
        "stacked-g": {seed: photos(25.0) for seed in SEEDS},
        "res-g": {0: photos(26.5), 1: photos(26.0), 2: photos(24.6), 9: photos(99.0)},
    }
    first = judge(measured, untouched=UNTOUCHED)[0]
    assert first.verdict == "undecided"
    assert "more seeds or longer runs would decide" in first.why
    assert first.interval.mean == pytest.approx(0.7)
    assert first.interval.low < 0 < first.interval.high


def test_photos_that_disagree_leave_it_undecided():
    measured = {name: {seed: photos(25.0) for seed in SEEDS} for name in ("stacked-g", "res-g")}
    better = np.where(np.arange(NUM_PHOTOS) % 2, 1.2, -1.0)
    of_photos = [scores(one.psnr_db + by) for one, by in zip(photos(25.0), better, strict=True)]
    measured["res-g"] = {seed: of_photos for seed in SEEDS}
    assert judge(measured, untouched=UNTOUCHED)[0].verdict == "undecided"


def test_models_below_their_input_get_no_verdict():
    """Models trained for ten steps once had five findings "reproduced"."""
    judged = judge(as_in_the_paper(), untouched=photos(25.5))
    by_words = {judgement.words: judgement for judgement in judged}
    first = by_words["PSNR: ResG better than StackedG"]
    assert (first.verdict, first.why) == ("no verdict", "StackedG below the input")
    assert by_words["SSIM: ResG better than StackedG"].verdict == "no verdict"
    assert by_words["PSNR: NonBN-ResG better than ResG"].verdict == "reproduced"
    all_of_them = judge(as_in_the_paper(), untouched=photos(40.0))
    assert {judgement.verdict for judgement in all_of_them} == {"no verdict", "not measured"}


def test_one_run_below_the_input_is_enough():
    measured = as_in_the_paper()
    measured["res-g"] = {**measured["res-g"], 1: photos(19.0)}
    assert verdicts(measured)["PSNR: NonBN-ResG better than ResG"] == "no verdict"


def test_missing_models_are_said_to_be_missing():
    measured = as_in_the_paper()
    del measured["res-g"]
    found = verdicts(measured)
    assert found["PSNR: ResG better than StackedG"] == "not measured"
    assert found["PSNR: NonBN-ResG better than NonBN-ResG-L"] == "reproduced"
    assert judge({}, untouched=UNTOUCHED)[0].interval is None
    assert set(verdicts({}).values()) == {"not measured"}


def test_the_stand_in_is_judged_under_its_own_name():
    measured = as_in_the_paper()
    measured[STAND_IN] = measured.pop("nonbn-res-g-l")
    found = verdicts(measured)
    assert found[f"SSIM: {STAND_IN_LABEL} better than NonBN-ResG"] == "reproduced"
    assert not any("NonBN-ResG-L better" in words for words in found)
    measured["nonbn-res-g-l"] = {seed: photos() for seed in SEEDS}
    assert verdicts(measured)["SSIM: NonBN-ResG-L better than NonBN-ResG"] == "not reproduced"


def test_findings_are_judged_again_under_every_change_that_both_models_have():
    start, deep = "branch_gain=1.0", "generator.num_blocks=16"
    measured = as_in_the_paper()
    for name, psnr_db in (("res-g", 24.0), ("nonbn-res-g", 22.0)):
        measured[f"{name}@{start}"] = {seed: photos(psnr_db) for seed in SEEDS}
    measured[f"stacked-g@{deep}"] = {seed: photos(25.0) for seed in SEEDS}
    found = verdicts(measured)
    assert found[f"PSNR: NonBN-ResG with {start} better than ResG with {start}"] == "not reproduced"
    assert not any(deep in words for words in found)


def test_changes_are_compared_with_what_was_changed():
    plain = as_in_the_paper()
    changed = "nonbn-res-g@objective.content_loss.kind=l1"
    measured = {
        **plain,
        changed: {seed: photos(28.9, 0.93) for seed in SEEDS},
        PLAIN_STACK: {0: photos(26.0, 0.8)},
        "res-g@x=1": {7: photos()},
    }
    found = {change.changed: change for change in changes(measured)}
    assert set(found) == {changed, PLAIN_STACK}
    assert found[changed].base == "nonbn-res-g"
    assert found[changed].intervals["psnr_db"].mean == pytest.approx(0.35)
    assert found[changed].intervals["ssim"].mean == pytest.approx(0.013)
    assert (found[PLAIN_STACK].base, found[PLAIN_STACK].num_seeds) == ("stacked-g", 1)


def test_photos_restored_without_an_error_count_as_equal():
    perfect = [replace(one, psnr_db=float("inf")) for one in photos()]
    measured = {name: {seed: perfect for seed in SEEDS} for name in ("stacked-g", "res-g")}
    assert verdicts(measured)["PSNR: ResG better than StackedG"] == "not reproduced"
