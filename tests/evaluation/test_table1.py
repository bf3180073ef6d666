"""The findings of Table 1, and the rows beside it."""

from __future__ import annotations

import pytest

from acutance.evaluation.table1 import (
    FINDINGS,
    PLAIN_STACK,
    STAND_IN,
    STAND_IN_LABEL,
    TABLE_1,
    default_models,
    extra_models,
    find_paper_model,
    label_of,
)


def test_findings_are_those_of_the_table():
    assert [
        (finding.measure, finding.loser, finding.winner, finding.paper_difference)
        for finding in FINDINGS
        if not finding.margin and finding.paper_difference is not None
    ] == [
        ("psnr_db", "stacked-g", "res-g", 0.71),
        ("psnr_db", "res-g", "nonbn-res-g", 2.72),
        ("psnr_db", "nonbn-res-g-l", "nonbn-res-g", 0.15),
        ("ssim", "stacked-g", "res-g", 0.086),
        ("ssim", "res-g", "nonbn-res-g", 0.027),
        ("ssim", "nonbn-res-g", "nonbn-res-g-l", 0.016),
    ]


def test_the_default_models_depend_on_the_layers_at_hand():
    assert default_models(("pool2", "pool5"))[-1] == "nonbn-res-g-l"
    assert default_models(("pool2", "pool3"))[-1] == default_models(())[-1] == STAND_IN
    assert default_models(())[:-1] == ("stacked-g", "res-g", "nonbn-res-g")


def test_labels():
    assert [label_of(row.preset) for row in TABLE_1] == ["StackedG", "ResG", "NonBN-ResG", "NonBN-ResG-L"]
    assert label_of(STAND_IN) == STAND_IN_LABEL
    assert label_of("fast") == "fast"
    assert find_paper_model("fast") is None
    assert find_paper_model(STAND_IN) == find_paper_model("nonbn-res-g-l") == TABLE_1[-1]


def test_extra_rows_change_one_setting_of_a_model_of_the_paper():
    models = default_models(())
    assert extra_models("activation", models) == (
        "nonbn-res-g@generator.activation=relu",
        "nonbn-res-g@generator.activation=leaky-relu",
    )
    assert extra_models("content", models) == ("nonbn-res-g@objective.content_loss.kind=l1",)
    assert [name.split("@")[0] for name in extra_models("terms", models)] == [STAND_IN] * 3
    assert extra_models("terms", ("nonbn-res-g-l",))[1] == "nonbn-res-g-l@objective.texture=0"
    assert label_of("nonbn-res-g-l@objective.texture=0") == "NonBN-ResG-L with objective.texture=0"
    assert find_paper_model("nonbn-res-g-l@objective.texture=0") is None


def test_rows_of_ours_are_settings():
    pytest.importorskip("torch", reason="needs the extra `train`")
    from acutance.training.config import load_config

    first, second = extra_models("ours", default_models(()))
    assert first.startswith(f"{STAND_IN}@")
    judged, weighed = (load_config(*_split(model)) for model in (first, second))
    assert judged.adversary.discriminator.kind == "unet"
    assert judged.objective == load_config(STAND_IN).objective
    assert weighed.objective.frequency == 1.0
    assert weighed.adversary == load_config(STAND_IN).adversary


def _split(model):
    preset, *changes = model.split("@")
    return preset, changes


def test_rows_on_skips_start_and_depth():
    models = (*default_models(()), "fast")
    assert extra_models("skips", models) == ("stacked-g@generator.long_skip=false", PLAIN_STACK)
    assert extra_models("start", models) == tuple(f"{name}@branch_gain=1.0" for name in default_models(()))
    assert extra_models("depth", models) == tuple(
        f"{name}@generator.num_blocks=16" for name in ("stacked-g", "res-g", "nonbn-res-g")
    )
    assert label_of(PLAIN_STACK) == "plain stack (no BN, PReLU)"
