"""The findings of Table 1, and when measured scores reproduce them."""

from __future__ import annotations

import pytest

from acutance.evaluation.scores import Scores
from acutance.evaluation.table1 import (
    FINDINGS,
    STAND_IN,
    STAND_IN_LABEL,
    TABLE_1,
    default_models,
    extra_models,
    find_paper_model,
    judge,
    label_of,
)


def scores(psnr_db=25.0, ssim=0.8, gmsd=0.1):
    return Scores(psnr_db=psnr_db, ssim=ssim, ms_ssim=None, gmsd=gmsd, gradient_energy=1.0)


def as_in_the_paper(seeds=(0,), *, shift=0.0):
    return {
        row.preset: {seed: scores(row.psnr_db + shift + seed, row.ssim, 0.1 - row.ssim / 20) for seed in seeds}
        for row in TABLE_1
    }


def verdicts(measured):
    return {judgement.words: judgement.verdict for judgement in judge(measured)}


def test_findings_are_those_of_the_table():
    assert [
        (finding.measure, finding.loser, finding.winner, finding.paper_difference)
        for finding in FINDINGS
        if not finding.margin and finding.paper_difference is not None
    ] == [
        ("psnr_db", "stacked-g", "res-g", 0.71),
        ("psnr_db", "res-g", "nonbn-res-g", 2.72),
        ("psnr_db", "paper", "nonbn-res-g", 0.15),
        ("ssim", "stacked-g", "res-g", 0.086),
        ("ssim", "res-g", "nonbn-res-g", 0.027),
        ("ssim", "nonbn-res-g", "paper", 0.016),
    ]


@pytest.mark.parametrize("shift", [0.0, 7.0])
def test_the_papers_own_figures_reproduce_everything_wherever_they_lie(shift):
    assert set(verdicts(as_in_the_paper((0, 1), shift=shift)).values()) == {"reproduced"}


def test_a_turned_order_is_not_reproduced():
    measured = as_in_the_paper()
    measured["res-g"] = {0: scores(25.0, 0.95, 0.06)}
    found = verdicts(measured)
    assert found["PSNR: ResG better than StackedG"] == "not reproduced"
    assert found["PSNR: NonBN-ResG better than ResG"] == "reproduced"
    assert found["SSIM: ResG better than StackedG"] == "reproduced"
    assert found["SSIM: NonBN-ResG better than ResG"] == "not reproduced"


def test_equal_scores_are_no_order():
    measured = {row.preset: {0: scores()} for row in TABLE_1}
    found = verdicts(measured)
    assert found.pop("PSNR: NonBN-ResG-L at most 0.5 dB below NonBN-ResG") == "reproduced"
    assert set(found.values()) == {"not reproduced"}


@pytest.mark.parametrize(("price", "expected"), [(-0.4, "reproduced"), (0.2, "reproduced"), (-0.6, "not reproduced")])
def test_the_price_in_psnr_may_be_half_a_decibel(price, expected):
    measured = as_in_the_paper()
    measured["paper"] = {0: scores(28.54 + price)}
    assert verdicts(measured)["PSNR: NonBN-ResG-L at most 0.5 dB below NonBN-ResG"] == expected


def test_lower_gmsd_is_better():
    measured = {"nonbn-res-g": {0: scores(gmsd=0.05)}, "paper": {0: scores(gmsd=0.04)}}
    assert verdicts(measured)["GMSD: NonBN-ResG-L better than NonBN-ResG"] == "reproduced"
    measured["paper"] = {0: scores(gmsd=0.06)}
    assert verdicts(measured)["GMSD: NonBN-ResG-L better than NonBN-ResG"] == "not reproduced"


def test_seeds_are_compared_one_by_one():
    """The means would say `reproduced`; the seeds do not agree."""
    measured = {
        "stacked-g": {0: scores(25.0), 1: scores(26.0), 7: scores(99.0)},
        "res-g": {0: scores(26.5), 1: scores(25.9)},
    }
    judgement = judge(measured)[0]
    assert judgement.verdict == "undecided"
    assert judgement.advantages == pytest.approx((1.5, -0.1))
    assert judgement.mean == pytest.approx(0.7)
    assert judgement.deviation == pytest.approx(1.6 / 2**0.5)


def test_missing_models_are_said_to_be_missing():
    measured = as_in_the_paper()
    del measured["res-g"]
    found = verdicts(measured)
    assert found["PSNR: ResG better than StackedG"] == "not measured"
    assert found["PSNR: NonBN-ResG better than NonBN-ResG-L"] == "reproduced"
    assert judge({})[0].mean is None
    assert set(verdicts({}).values()) == {"not measured"}


def test_the_stand_in_is_judged_under_its_own_name():
    measured = as_in_the_paper()
    measured[STAND_IN] = measured.pop("paper")
    found = verdicts(measured)
    assert found[f"SSIM: {STAND_IN_LABEL} better than NonBN-ResG"] == "reproduced"
    assert not any("NonBN-ResG-L better" in words for words in found)
    measured["paper"] = {0: scores()}
    assert verdicts(measured)["SSIM: NonBN-ResG-L better than NonBN-ResG"] == "not reproduced"


def test_the_default_models_depend_on_the_layers_at_hand():
    assert default_models(("pool2", "pool5"))[-1] == "paper"
    assert default_models(("pool2", "pool3"))[-1] == default_models(())[-1] == STAND_IN
    assert default_models(())[:-1] == ("stacked-g", "res-g", "nonbn-res-g")


def test_labels():
    assert [label_of(row.preset) for row in TABLE_1] == ["StackedG", "ResG", "NonBN-ResG", "NonBN-ResG-L"]
    assert label_of(STAND_IN) == STAND_IN_LABEL
    assert label_of("fast") == "fast"
    assert find_paper_model("fast") is None
    assert find_paper_model(STAND_IN) == find_paper_model("paper") == TABLE_1[-1]


def test_extra_rows_change_one_setting_of_a_model_of_the_paper():
    models = default_models(())
    assert extra_models("activation", models) == (
        "nonbn-res-g@generator.activation=relu",
        "nonbn-res-g@generator.activation=leaky-relu",
    )
    assert extra_models("content", models) == ("nonbn-res-g@objective.content_loss.kind=l1",)
    assert [name.split("@")[0] for name in extra_models("terms", models)] == [STAND_IN] * 3
    assert extra_models("terms", ("paper",))[1] == "paper@objective.texture=0"
    assert label_of("paper@objective.texture=0") == "NonBN-ResG-L with objective.texture=0"
    assert find_paper_model("paper@objective.texture=0") is None
