"""Training's settings: every preset loads and reloads, the schedule is what it says, ranges are kept."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from acutance.config.presets import preset_names
from acutance.config.settings import from_values, read_toml, to_toml
from acutance.errors import ConfigError
from acutance.networks.generators import CoarserScale
from acutance.training.config import ScheduleConfig, TrainConfig, load_config
from acutance.training.watching import WatchConfig

# --- presets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads_and_reloads_equal(tmp_path, name):
    config = load_config(name)
    assert config.name
    path = tmp_path / "resolved.toml"
    path.write_text(to_toml(config), encoding="utf-8", newline="")
    assert from_values(TrainConfig, read_toml(path), source="resolved") == config
    assert load_config(str(path)) == config


def test_the_default_model_is_what_the_design_says():
    config = load_config("fast")
    assert (config.generator.width, config.generator.num_blocks, config.generator.unshuffle) == (48, 4, 2)
    assert config.generator.coarser == (CoarserScale(width=96, num_blocks=4),)
    blur, *others = config.degradation.stages
    assert not config.generator.biases  # a dark picture is restored as a bright one
    assert {row.kind for row in blur.choices} == {"gaussian", "defocus", "shake", "line"}
    assert blur.choices[0].sigma_px == (0.3, 4.2)  # beyond σ = 4 px, the strongest blur that it is measured by
    assert max(row.length_px[1] for row in blur.choices if row.kind == "shake") == 16.0  # longer: the model motion's
    assert sum(row.weight for row in blur.choices) == pytest.approx(1.0)
    assert [stage.kind for stage in others] == ["noise", "grain", "unsharp", "rescale", "jpeg"]
    assert config.degradation.untouched > 0
    assert config.degradation.margin_px == 4 * 4


@pytest.mark.parametrize("name", [name for name in preset_names() if not name.startswith(("fast", "motion"))])
def test_the_papers_networks_have_biases(name):
    """Also where a preset extends one whose network has none."""
    assert load_config(name).generator.biases


# --- coarser scales ---------------------------------------------------------------------------------------


def test_coarser_scales_come_from_a_list_of_tables(tmp_path):
    scales = (CoarserScale(width=8, num_blocks=1), CoarserScale(width=12, num_blocks=0))
    config = load_config(
        "smoke", ["generator.coarser=[{ width = 8, num_blocks = 1 }, { width = 12, num_blocks = 0 }]", "patch_px=24"]
    )
    assert config.generator.coarser == scales
    path = tmp_path / "own.toml"
    path.write_text(to_toml(config), encoding="utf-8", newline="")
    assert load_config(str(path)) == config
    assert load_config(str(path), ["generator.coarser=[]"]).generator.coarser == ()


@pytest.mark.parametrize(
    ("coarser", "message"),
    [
        (
            "[{ widht = 8, num_blocks = 1 }]",
            r"unknown setting 'widht' \(did you mean 'width'\?\) \(at generator\.coarser\[0\]\)",
        ),
        (
            "[{ width = 8, num_blocks = 1, kernel = 2 }]",
            r"unknown setting 'kernel' \(known: width, num_blocks\) \(at generator\.coarser\[0\]\)",
        ),
        ("[{ width = 8 }]", r"'num_blocks' is missing \(at generator\.coarser\[0\]"),
        ("[{ width = 8, num_blocks = 1.5 }]", r"1\.5: must be of type int \(at generator\.coarser\[0\]\.num_blocks\)"),
        (
            "[{ width = 8, num_blocks = 1 }, { width = 0, num_blocks = 1 }]",
            r"width 0 must be at least 1, num_blocks 1 at least 0 \(at generator\.coarser\[1\]\)",
        ),
        ("[8]", r"8: must be a table of settings \(at generator\.coarser\[0\]\)"),
        ("{ width = 8, num_blocks = 1 }", r"coarser = .*: must be a list"),
        ("8", r"coarser = 8: must be a list"),
    ],
)
def test_wrong_coarser_scales_are_refused_by_place(coarser, message):
    with pytest.raises(ConfigError, match=rf"--set generator\.coarser=.*{message}"):
        load_config("smoke", [f"generator.coarser={coarser}"])


@pytest.mark.parametrize("page", ["docs/how-to/train.md", "docs/explanation/mixture.md"])
def test_presets_in_the_documents_load(tmp_path, page):
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "own.toml").write_text(block, encoding="utf-8")
        assert load_config(str(tmp_path / "own.toml")).name == "mine"


def test_patches_fit_the_coarsest_scale():
    with pytest.raises(ConfigError, match="patch_px = 34: must be a multiple of 4"):
        load_config("smoke", ["generator.coarser=[{ width = 8, num_blocks = 1 }]", "patch_px=34"])


# --- settings ---------------------------------------------------------------------------------------------


def test_source_patches_are_larger_by_the_margin():
    config = load_config("smoke", ["patch_px=20"])
    assert config.source_px == 20 + 2 * config.degradation.margin_px == 36


def test_overrides_reach_every_level():
    config = load_config("smoke", ["seed=5", "generator.width=12", "optimizer.betas=[0.8, 0.9]", "training_data=mine"])
    assert (config.seed, config.generator.width) == (5, 12)
    assert config.optimizer.betas == (0.8, 0.9)
    assert config.training_data == "mine"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("generator.widht=3", r"--set \S+: unknown setting 'widht' \(did you mean 'width'\?\) \(at generator\)"),
        ("rounds=false", r"--set \S+: unknown setting 'rounds'"),
        ("batch=2.5", r"2\.5: must be of type int \(at batch\)"),
        ("batch=0", "batch = 0"),
        ("patch_px=33", "patch_px = 33: must be a multiple of 2"),
        ("ema_half_life_kimg=0", r"ema_half_life_kimg = 0\.0"),
        ("seed=-1", "seed = -1"),
        ("precision=16-mixed", "'16-mixed': must be one of '32-true', 'bf16-mixed'"),
        ("generator.head_kernel=4", r"generator\.head_kernel = 4"),
        ("degradation.untouched=2", r"degradation\.untouched = 2"),
        ("watch.rows=['gaus-1.6']", "did you mean gauss-1.6"),
        ("watch.rows=['camera-shake']", "needs measured kernels"),
        *((f"watch.rows=['{row}']", f"'{row}' has a measure of its own") for row in ("ramps", "grain-only")),
        ("watch.rows=['gauss-1.6-dark4']", "'gauss-1.6-dark4' has a measure of its own"),
        ("watch.rows=[]", r"watch\.rows = \[\]"),
        ("optimizer.kind=sgd", "'sgd': must be one of"),
        ("optimizer.learning_rate=nan", r"optimizer\.learning_rate = nan"),
        ("optimizer.learning_rate=0", r"optimizer\.learning_rate = 0"),
        ("optimizer.momentum=1.0", r"momentum = 1\.0"),
        ("optimizer.betas=[0.9, 1.0]", r"betas = \[0\.9, 1\.0\]"),
        ("optimizer.clip_norm=-1", r"clip_norm = -1"),
        ("objective.content=-1", r"objective\.content = -1"),
    ],
)
def test_wrong_settings_are_refused_by_name(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config("smoke", [override])


def test_a_preset_of_ones_own_needs_a_name_and_a_degradation(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("batch = 4")
    with pytest.raises(ConfigError, match=r"own\.toml: .*'name' is missing.*'degradation' is missing"):
        load_config(str(path))
    path.write_text('name = "mine"\n[degradation]\nstages = []')
    assert load_config(str(path)).name == "mine"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScheduleConfig(iterations=0), r"schedule\.iterations = 0"),
        (lambda: ScheduleConfig(warmup_iterations=-1), "warm-up"),
        (lambda: ScheduleConfig(minutes=0.0), r"schedule\.minutes = 0"),
        (lambda: ScheduleConfig(minutes=math.nan), r"schedule\.minutes = nan"),
        (lambda: ScheduleConfig(final_share=1.5), r"schedule\.final_share = 1\.5"),
        (lambda: WatchConfig(log_every=0), "at least 1"),
        (lambda: WatchConfig(held_out=-1), r"watch\.held_out = -1"),
        (lambda: WatchConfig(crop_px=8), "crop_px = 8"),
    ],
)
def test_ranges_are_kept(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# --- schedule ---------------------------------------------------------------------------------------------


def test_rates_rise_over_the_warm_up():
    schedule = ScheduleConfig(iterations=10**9, warmup_iterations=10)
    shares = [schedule.rate_share(iteration, 0.0) for iteration in range(12)]
    assert shares[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert shares[10:] == pytest.approx([1.0, 1.0])


def test_no_warm_up_begins_at_full_height():
    assert ScheduleConfig(iterations=10**9, warmup_iterations=0).rate_share(0, 0.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 1.0), (0.25, 0.8535534), (0.5, 0.5), (1.0, 0.0)])
def test_cosine_falls_from_1_to_the_final_share(progress, expected):
    schedule = ScheduleConfig(iterations=1000, warmup_iterations=0, final_share=0.1)
    assert schedule.rate_share(int(1000 * progress), 0.0) == pytest.approx(0.1 + 0.9 * expected, abs=1e-6)


def test_half_is_the_papers_step():
    schedule = ScheduleConfig(iterations=1000, warmup_iterations=0, decay="half")
    assert [schedule.rate_share(i, 0.0) for i in (0, 499, 500, 999)] == pytest.approx([1.0, 1.0, 0.1, 0.1])


def test_the_nearer_limit_counts():
    schedule = ScheduleConfig(iterations=1000, minutes=2.0, warmup_iterations=0)
    assert schedule.progress(100, 60.0) == 0.5
    assert schedule.progress(700, 60.0) == 0.7
    assert schedule.progress(10, 121.0) == 1.0
    assert schedule.progress(2000, 0.0) == 1.0
    assert schedule.rate_share(100, 60.0) == pytest.approx(0.5, abs=0.01)
    assert ScheduleConfig(iterations=1000).progress(250, 1e9) == 0.25


def test_a_preset_holds_only_what_differs_from_the_one_it_extends(tmp_path):
    (tmp_path / "own.toml").write_text('extends = "stacked-g"\nbatch = 3\n[generator]\nwidth = 12\n')
    own, paper = load_config(str(tmp_path / "own.toml")), load_config("nonbn-res-g-l")
    assert (own.batch, own.generator.width, own.generator.block) == (3, 12, "stacked-bn")
    assert own.generator.head_kernel == paper.generator.head_kernel == 9
    assert own.objective.content_loss.kind == "l2"


def test_presets_that_extend_each_other_in_a_circle_are_refused(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{tmp_path / other}.toml"\n')
    with pytest.raises(ConfigError, match=r"extends itself by way of .*a\.toml"):
        load_config(str(tmp_path / "a.toml"))


def test_the_presets_are_the_papers_four_models():
    """What the paper fixes: blocks, losses, crops, updates of D, and the rate divided by ten after half of the run."""
    stacked, classical, improved, full = (
        load_config(name) for name in ("stacked-g", "res-g", "nonbn-res-g", "nonbn-res-g-l")
    )
    assert [c.generator.block for c in (stacked, classical, improved, full)] == [
        "stacked-bn",
        "classical",
        "improved",
        "improved",
    ]
    assert [c.generator.activation for c in (stacked, classical, improved, full)] == ["relu", "relu", "prelu", "prelu"]
    for config in (stacked, classical, improved, full):
        assert (config.patch_px, config.adversary.updates, config.schedule.iterations) == (24, 2, 500_000)
        assert config.generator.num_blocks == 5
        assert (config.crop_candidates, config.quarter_turns, config.adversary.own_batches) == (1, False, True)
        assert config.optimizer.betas == config.adversary.optimizer.betas == (0.9, 0.999)
        assert config.branch_gain == 0.1
        assert not config.generator.global_residual
        assert config.optimizer.kind == config.adversary.optimizer.kind == "adam"
        rates = [config.schedule.rate_share(iteration, 0.0) for iteration in (0, 249_999, 250_000)]
        assert rates == [1.0, 1.0, pytest.approx(0.1)]
        assert config.objective.adversarial > 0
    assert full.objective.feature_layers == ("pool2", "pool5")
    assert full.objective.content_loss.kind == "l1"
    assert not improved.objective.feature_layers
    stand_in = load_config("nonbn-res-g-l-pool2-pool3")
    assert stand_in.objective.feature_layers == ("pool2", "pool3")
    assert stand_in.objective.weights == full.objective.weights


def test_each_of_the_papers_models_differs_from_the_one_before_in_what_the_ladder_says():
    """One change at a time: skips, then BN (with its ReLU), then the losses."""
    names = ("stacked-g", "res-g", "nonbn-res-g", "nonbn-res-g-l")
    stacked, classical, improved, full = (load_config(name) for name in names)
    assert replace(stacked, name="", generator=classical.generator) == replace(classical, name="")
    assert replace(stacked.generator, block="classical") == classical.generator
    assert replace(classical, name="", generator=improved.generator) == replace(improved, name="")
    assert replace(classical.generator, block="improved", activation="prelu") == improved.generator
    assert replace(improved, name="", objective=full.objective) == replace(full, name="")
    plain = load_config("plain-stack")
    assert replace(plain.generator, block="improved") == improved.generator


def test_the_preset_that_shared_a_name_with_a_model_is_said_to_be_renamed():
    with pytest.raises(ConfigError, match=r"'paper': is called nonbn-res-g-l now; the model of that name"):
        load_config("paper")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("crop_candidates=0", "crop_candidates = 0: must be at least 1"),
        ("branch_gain=-1.0", "branch_gain = -1.0: must be a number from 0 on"),
        ("branch_gain=inf", "branch_gain = inf"),
    ],
)
def test_starts_and_crops_that_cannot_be(override, words):
    with pytest.raises(ConfigError, match=words):
        load_config("smoke", [override])
