"""A run: exact resume, what it writes, and how it ends when it cannot go on."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.config.settings import from_values, read_toml
from acutance.data.pairs import open_paired_store
from acutance.data.patches import PatchSampler
from acutance.errors import ConfigError, CorruptWeights, InputError, JobError
from acutance.networks.checkpoint_file import load_generator
from acutance.training.batches import batch_generator
from acutance.training.config import TrainConfig
from acutance.training.loop import (
    CHECKPOINT_FILE,
    GENERATOR_FILE,
    SKIPPED_LIMIT,
    train,
)
from acutance.training.players import new_generator
from acutance.training.run_folder import CONFIG_FILE, check_said, prepare_folder


def state_of(run):
    """Read every tensor of a run's checkpoint: weights, averages, moments."""
    return load_file(run / CHECKPOINT_FILE)


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def lines_of(run, kind=None):
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    return [line for line in lines if kind in (None, line["kind"])]


def stop_after(iteration):
    """Ask to stop after a step, as Ctrl-C does."""
    asked = []

    def on_tick(tick):
        asked.append(tick.progress.iteration + 1 >= iteration)

    return {"on_tick": on_tick, "should_stop": lambda: bool(asked and asked[-1])}


class Killed(Exception):
    """Stands for a process that dies in the middle of a run."""


def die_after(iteration):
    def on_tick(tick):
        if tick.progress.iteration == iteration:
            raise Killed

    return on_tick


# --- the same weights, bit for bit ------------------------------------------------------------------------

VARIANTS = {
    "adam": [],
    "muon": ["optimizer.kind=muon"],
    "whitening": ["head_start=whitening"],
    "paper-layout": ["generator.unshuffle=1", "generator.global_residual=false"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_and_two_steps_are_four(tmp_path, tiny, store, fabric, variant):
    config = tiny(*VARIANTS[variant])
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    train(config, store, straight, fabric=fabric)
    progress = train(config, store, resumed, fabric=fabric, **stop_after(2))
    assert progress.iteration == 2
    begun = state_of(resumed)
    progress = train(config, store, resumed, fabric=fabric, resume=True)
    assert (progress.iteration, progress.images_seen) == (4, 16)
    assert_same_state(state_of(straight), state_of(resumed))
    assert load_generator(straight / GENERATOR_FILE)[1] == load_generator(resumed / GENERATOR_FILE)[1]  # hash included
    moments = [name for name in begun if name.startswith("optimizer.")]
    assert moments
    assert all(not torch.equal(begun[name], state_of(resumed)[name]) for name in moments)


def test_two_and_two_steps_on_pairs_are_four(tmp_path, tiny, photo, fabric):
    for number in range(3):
        for kind, seed in (("sharp", number), ("blur", number + 10)):
            path = tmp_path / "photos" / "GOPR1" / kind / f"{number:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo(48, 56, seed=seed)).save(path)
    pairs = open_paired_store(tmp_path / "photos", tmp_path / "photos", tmp_path / "store")
    config = tiny("paired=true")
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    train(config, pairs, straight, fabric=fabric)
    assert train(config, pairs, resumed, fabric=fabric, **stop_after(2)).iteration == 2
    train(config, pairs, resumed, fabric=fabric, resume=True)
    assert_same_state(state_of(straight), state_of(resumed))
    assert lines_of(straight, "validation")[-1] == lines_of(resumed, "validation")[-1]
    assert "paired" in lines_of(resumed, "validation")[-1]


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, tiny, store, fabric):
    config = tiny("watch.save_every=2", "schedule.iterations=5")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(config, store, straight, fabric=fabric)
    with pytest.raises(Killed):
        train(config, store, killed, fabric=fabric, on_tick=die_after(3))
    train(config, store, killed, fabric=fabric, resume=True)
    assert_same_state(state_of(straight), state_of(killed))


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path, tiny, store, fabric):
    config = tiny()
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(config, store, straight, fabric=fabric)
    with pytest.raises(Killed):
        train(config, store, killed, fabric=fabric, on_tick=die_after(1))
    train(config, store, killed, fabric=fabric, resume=True)
    assert_same_state(state_of(straight), state_of(killed))


def test_weights_are_a_function_of_the_seed(tmp_path, tiny, store, fabric):
    config = tiny("schedule.iterations=2")
    for name in ("a", "b"):
        train(config, store, tmp_path / name, fabric=fabric)
    assert_same_state(state_of(tmp_path / "a"), state_of(tmp_path / "b"))
    train(tiny("schedule.iterations=2", "seed=1"), store, tmp_path / "c", fabric=fabric)
    assert not torch.equal(
        state_of(tmp_path / "a")["generator.tail.weight"], state_of(tmp_path / "c")["generator.tail.weight"]
    )


def test_watching_does_not_change_the_weights(tmp_path, tiny, store, fabric):
    """Validation, logs and checkpoints are only looks: with or without them the run is the same."""
    seldom = tiny("watch.validate_every=100", "watch.log_every=100", "watch.save_every=100")
    often = tiny("watch.validate_every=1", "watch.log_every=1", "watch.save_every=1")
    train(seldom, store, tmp_path / "seldom", fabric=fabric)
    train(often, store, tmp_path / "often", fabric=fabric)
    assert_same_state(state_of(tmp_path / "seldom"), state_of(tmp_path / "often"))


def test_every_step_has_its_own_randomness(tiny):
    def draw(config, iteration):
        return torch.rand(4, generator=batch_generator(config, iteration, torch.device("cpu"))).tolist()

    drawn = [draw(tiny(f"seed={seed}"), iteration) for seed in (0, 1, 2) for iteration in (0, 1, 1000)]
    assert len({tuple(numbers) for numbers in drawn}) == 9
    assert draw(tiny(), 7) == draw(tiny(), 7)


# --- it learns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_loss_falls(tmp_path, tiny, store, fabric, kind):
    """Within a few dozen steps, on photos that are trained on and on those that are not: by 70 % and 20 dB here."""
    config = tiny(
        f"optimizer.kind={kind}",
        "optimizer.learning_rate=2e-3",
        "schedule.iterations=60",
        "watch.log_every=1",
        "watch.validate_every=1",
        "ema_half_life_kimg=0.01",
    )
    train(config, store, tmp_path / "run", fabric=fabric)
    losses = [line["loss"] for line in lines_of(tmp_path / "run", "train")]
    scores = [line["gauss-1.6"] for line in lines_of(tmp_path / "run", "validation")]
    assert len(losses) == len(scores) == 60
    assert np.mean(losses[-15:]) < 0.6 * np.mean(losses[:15])
    assert scores[-1] > scores[0] + 10


# --- what a run writes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny, store, fabric):
    """A finished run of four steps, watched at every second, and what its caller was told."""
    run = tmp_path_factory.mktemp("finished") / "run"
    config = tiny("watch.log_every=2", "watch.validate_every=2", "watch.rows=['gauss-1.0', 'none']", "watch.held_out=2")
    ticks = []
    train(config, store, run, fabric=fabric, on_tick=ticks.append)
    return run, config, ticks


def test_settings_are_written_and_reload_equal(finished):
    run, config, _ = finished
    assert from_values(TrainConfig, read_toml(run / CONFIG_FILE), source="config") == config


def test_figures_are_lines_of_json(finished):
    run, _, _ = finished
    training, validation = lines_of(run, "train"), lines_of(run, "validation")
    assert [line["iteration"] for line in training] == [line["iteration"] for line in validation] == [2, 4]
    assert {"loss", "gradient_norm", "kimg", "elapsed_s", "iterations_per_s"} <= training[0].keys()
    assert training[1]["kimg"] == 0.016
    assert set(validation[0]) == {"kind", "iteration", "gauss-1.0", "none"}
    assert all(10 < line[row] < 60 for line in validation for row in ("gauss-1.0", "none"))


def test_samples_are_sheets_of_input_output_and_truth(finished):
    run, config, _ = finished
    names = sorted(path.name for path in (run / "samples").iterdir())
    assert names == ["0000002.png", "0000004.png"]
    side = config.watch.crop_px
    with Image.open(run / "samples" / names[-1]) as sheet:
        assert sheet.size == (3 * side, 2 * side)  # a strip per row of the protocol
        pixels = np.asarray(sheet)
    none = pixels[side:]  # the row `none`: the input is the truth
    np.testing.assert_array_equal(none[:, :side], none[:, 2 * side :])


def test_curves_and_facts_are_written(finished):
    run, _, _ = finished
    assert list((run / "tensorboard").glob("events*"))
    facts = json.loads((run / "run.json").read_text())
    assert facts["photos"] == 6
    assert facts["torch"] == torch.__version__


def test_the_weights_are_the_average_and_describe_themselves(finished):
    run, config, _ = finished
    generator, spec = load_generator(run / GENERATOR_FILE)
    assert (spec.name, spec.training_data, spec.licence) == (config.name, config.training_data, config.licence)
    state = state_of(run)
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, state[f"average.{name}"])
        assert not torch.equal(tensor, state[f"generator.{name}"])


def test_the_caller_is_told_after_every_step(finished):
    _, _, ticks = finished
    assert [tick.progress.iteration for tick in ticks] == [1, 2, 3, 4]
    assert [tick.share for tick in ticks] == [0.25, 0.5, 0.75, 1.0]
    assert [tick.loss is not None for tick in ticks] == [False, True, False, True]
    assert [tick.psnr_db is not None for tick in ticks] == [False, True, False, True]
    assert ticks[-1].progress.images_seen == 16
    assert not list(finished[0].glob("*.tmp"))


def test_a_finished_run_has_nothing_to_resume(finished, store, fabric):
    run, config, _ = finished
    before = (run / CHECKPOINT_FILE).read_bytes()
    progress = train(config, store, run, fabric=fabric, resume=True)
    assert progress.iteration == 4
    assert (run / CHECKPOINT_FILE).read_bytes() == before


def test_a_resumed_run_appends_to_its_figures(tmp_path, tiny, store, fabric):
    config = tiny("watch.log_every=1", "watch.held_out=0")
    train(config, store, tmp_path / "run", fabric=fabric, **stop_after(2))
    train(config, store, tmp_path / "run", fabric=fabric, resume=True)
    assert [line["iteration"] for line in lines_of(tmp_path / "run", "train")] == [1, 2, 3, 4]


def test_a_resumed_run_asks_for_its_start_no_more(tmp_path, tiny, store, fabric):
    train(tiny("schedule.iterations=1"), store, tmp_path / "first", fabric=fabric)
    start = tmp_path / "start.safetensors"
    (tmp_path / "first" / GENERATOR_FILE).rename(start)
    config = tiny(f"start_from={start}", "watch.held_out=0")
    train(config, store, tmp_path / "whole", fabric=fabric)
    train(config, store, tmp_path / "run", fabric=fabric, **stop_after(2))
    start.unlink()
    train(config, store, tmp_path / "run", fabric=fabric, resume=True)
    whole, resumed = (load_file(tmp_path / name / GENERATOR_FILE) for name in ("whole", "run"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


class Unasked(PatchSampler):
    """Photos that nobody may draw from."""

    def __init__(self):
        pass


def test_a_resumed_run_whitens_nothing(tiny):
    config = tiny("head_start=whitening")
    with pytest.raises(AttributeError):
        new_generator(config, Unasked(), torch.device("cpu"))
    new_generator(config, Unasked(), torch.device("cpu"), is_resumed=True)


def test_a_run_without_held_out_photos_validates_nothing(tmp_path, tiny, store, fabric):
    train(tiny("watch.held_out=0"), store, tmp_path / "run", fabric=fabric)
    assert lines_of(tmp_path / "run", "validation") == []
    assert list((tmp_path / "run" / "samples").iterdir()) == []


# --- length -----------------------------------------------------------------------------------------------


def test_a_resumed_run_may_be_made_longer(tmp_path, tiny, store, fabric):
    train(tiny("schedule.iterations=2"), store, tmp_path / "run", fabric=fabric)
    progress = train(tiny("schedule.iterations=3"), store, tmp_path / "run", fabric=fabric, resume=True)
    assert progress.iteration == 3


def test_minutes_end_a_run_in_order(tmp_path, tiny, store, fabric):
    config = tiny("schedule.iterations=1_000_000", "schedule.minutes=0.002")  # 120 ms
    progress = train(config, store, tmp_path / "run", fabric=fabric)
    assert 1 <= progress.iteration < 10_000
    assert progress.elapsed_s >= 0.12
    assert (tmp_path / "run" / GENERATOR_FILE).exists()


# --- what is refused --------------------------------------------------------------------------------------


def test_an_existing_run_is_not_trained_over(tmp_path, tiny):
    prepare_folder(tmp_path / "run", tiny(), resume=False)
    with pytest.raises(ConfigError, match="holds a run already; give --resume"):
        prepare_folder(tmp_path / "run", tiny(), resume=False)


def test_what_was_never_begun_is_not_resumed(tmp_path, tiny):
    with pytest.raises(ConfigError, match="holds no run to resume"):
        prepare_folder(tmp_path / "run", tiny(), resume=True)


@pytest.mark.parametrize("override", ["batch=5", "generator.width=9", "seed=1", "optimizer.kind=muon"])
def test_other_settings_are_not_resumed(tmp_path, tiny, override):
    prepare_folder(tmp_path / "run", tiny(), resume=False)
    name = override.partition("=")[0].replace(".", r"\.")
    with pytest.raises(ConfigError, match=rf"other settings than asked for \({name} is \S+ there, \S+ asked for\)"):
        prepare_folder(tmp_path / "run", tiny(override), resume=True)
    assert from_values(TrainConfig, read_toml(tmp_path / "run" / CONFIG_FILE), source="config") == tiny()


@pytest.mark.parametrize(
    ("begun", "now", "words"),
    [
        (
            "schedule.minutes=1.5",
            "batch=4",
            r"minutes = 1\.5 and would go on with none.* give --minutes 1\.5,",
        ),
        ("schedule.iterations=9", "batch=4", r"schedule\.iterations = 9 .* give --iterations 9,"),
        ("optimizer.learning_rate=1e-3", "schedule.iterations=7", r"give --set optimizer\.learning_rate=0\.001,"),
    ],
)
def test_what_the_command_leaves_out_does_not_silently_become_the_presets(tmp_path, tiny, begun, now, words):
    prepare_folder(tmp_path / "run", tiny(begun), resume=False)
    with pytest.raises(ConfigError, match=words):
        check_said(tmp_path / "run", tiny(now), [now])


@pytest.mark.parametrize(
    ("begun", "now"),
    [
        ("schedule.minutes=1.5", "schedule.minutes=1.5"),
        ("schedule.minutes=1.5", "schedule.iterations=9"),
        ("schedule.iterations=9", "schedule={iterations=7}"),
        ("watch.log_every=3", "gradient_accumulation=2"),
    ],
)
def test_what_the_command_says_may_change(tmp_path, tiny, begun, now):
    prepare_folder(tmp_path / "run", tiny(begun), resume=False)
    check_said(tmp_path / "run", tiny(now), [now])


@pytest.mark.parametrize("override", ["schedule.iterations=9", "watch.log_every=7"])
def test_length_and_watching_may_change_on_resumption(tmp_path, tiny, override):
    prepare_folder(tmp_path / "run", tiny(), resume=False)
    prepare_folder(tmp_path / "run", tiny(override), resume=True)
    assert from_values(TrainConfig, read_toml(tmp_path / "run" / CONFIG_FILE), source="config") == tiny(override)


def test_a_complaint_is_not_repeated_after_a_resume(tmp_path, tiny, store, fabric):
    """A discriminator that knows nothing is complained of once, not at every resumption."""
    config = tiny(
        "objective.adversarial=0.001",
        "adversary.discriminator.width=2",
        "adversary.discriminator.hidden=4",
        "adversary.optimizer.learning_rate=1e-9",
        "watch.log_every=1",
        "schedule.iterations=6",
    )
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    train(config, store, straight, fabric=fabric)
    train(config, store, resumed, fabric=fabric, **stop_after(3))
    train(config, store, resumed, fabric=fabric, resume=True)
    assert lines_of(straight, "health") == lines_of(resumed, "health") != []
    assert lines_of(resumed, "train")[-1]["iteration"] == 6


def test_weights_are_on_the_disk_before_they_have_their_name(tmp_path, tiny, store, fabric, monkeypatch):
    """A power cut between the two would leave an empty file under the name of the weights of before."""
    flushed = []

    def fsync(descriptor, flush=os.fsync):
        flushed.append((os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    train(tiny("schedule.iterations=1"), store, tmp_path / "run", fabric=fabric)
    for name in (GENERATOR_FILE, CHECKPOINT_FILE):
        facts = (tmp_path / "run" / name).stat()
        assert (facts.st_ino, facts.st_size) in flushed, name


def test_numbered_weights_are_kept_and_the_best_by_a_measure(tmp_path, tiny, store, fabric):
    config = tiny(
        "schedule.iterations=6",
        "watch.validate_every=1",
        "watch.snapshots=3",
        "watch.measures=['ssim', 'gradient_energy']",
        "watch.best_by=gmsd",
    )
    run = tmp_path / "run"
    train(config, store, run, fabric=fabric, **stop_after(3))
    assert sorted(path.name for path in (run / "snapshots").iterdir()) == [f"000000{n}.safetensors" for n in (1, 2, 3)]
    train(config, store, run, fabric=fabric, resume=True)
    assert sorted(path.name for path in (run / "snapshots").iterdir()) == [f"000000{n}.safetensors" for n in (4, 5, 6)]
    assert load_generator(run / "snapshots" / "0000006.safetensors")[1] == load_generator(run / GENERATOR_FILE)[1]
    figures = {line["iteration"]: line for line in lines_of(run, "validation")}
    assert set(figures[1]) >= {"gauss-1.6", "gauss-1.6 ssim", "gauss-1.6 gradient_energy", "gauss-1.6 gmsd"}
    best = min(figures, key=lambda number: figures[number]["gauss-1.6 gmsd"])
    assert (run / "best.safetensors").exists()
    if best > 3:
        name = f"{best:07d}.safetensors"
        assert load_generator(run / "best.safetensors")[1] == load_generator(run / "snapshots" / name)[1]


def test_the_best_weights_stay_the_best_after_a_resume(tmp_path, tiny, store, fabric):
    """A run that gets worse, interrupted when it has: the weights of before are not replaced."""
    rising = ("schedule.iterations=8", "schedule.warmup_iterations=20", "optimizer.learning_rate=0.3")
    config = tiny(*rising, "watch.validate_every=1")
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    train(config, store, straight, fabric=fabric)
    train(config, store, resumed, fabric=fabric, **stop_after(5))
    train(config, store, resumed, fabric=fabric, resume=True)
    values = [line["gauss-1.6"] for line in lines_of(straight, "validation")]
    assert max(values) > values[-1] + 0.01, "the rate is too high on purpose"
    best = [load_generator(run / "best.safetensors")[1].weights_sha256 for run in (straight, resumed)]
    assert best[0] == best[1] != load_generator(straight / GENERATOR_FILE)[1].weights_sha256


def test_the_best_by_another_measure_is_looked_for_anew(tmp_path, tiny, store, fabric):
    """Decibels are never reached by an SSIM: the best weights of before would stay for ever."""
    config = tiny("schedule.iterations=2", "watch.validate_every=1")
    run = tmp_path / "run"
    train(config, store, run, fabric=fabric)
    longer = tiny("schedule.iterations=3", "watch.validate_every=1", "watch.best_by=ssim")
    progress = train(longer, store, run, fabric=fabric, resume=True)
    assert (progress.best_by, progress.best < 1) == ("ssim over gauss-1.6", True)
    assert load_generator(run / "best.safetensors")[1] == load_generator(run / GENERATOR_FILE)[1]


def test_the_best_weights_may_be_chosen_by_a_network(tmp_path, tiny, store, fabric):
    """Whatever it says: here each result is farther than the one before, so the first weights stay the best."""
    asked = []

    def farther_each_time(reference):
        return lambda restored: asked.append(restored.shape) or float(len(asked))

    config = tiny("schedule.iterations=3", "watch.validate_every=1", "watch.best_by=dists", "watch.snapshots=3")
    with pytest.raises(ConfigError, match="dists needs the weights of a network"):
        train(config, store, tmp_path / "run", fabric=fabric)
    train(config, store, tmp_path / "run", fabric=fabric, perceptual={"dists": farther_each_time})
    assert len(asked) == 3
    first = load_generator(tmp_path / "run" / "snapshots" / "0000001.safetensors")[1]
    assert load_generator(tmp_path / "run" / "best.safetensors")[1] == first
    assert [line["gauss-1.6 dists"] for line in lines_of(tmp_path / "run", "validation")] == [1.0, 2.0, 3.0]


def test_a_run_goes_on_at_another_rate(tmp_path, tiny, store, fabric):
    run = tmp_path / "run"
    train(tiny(), store, run, fabric=fabric, **stop_after(2))
    before = state_of(run)
    still = tiny("optimizer.learning_rate=1e-12", "schedule.iterations=3")
    progress = train(still, store, run, fabric=fabric, resume=True)
    assert progress.iteration == 3
    after = state_of(run)
    weights = [name for name in before if name.startswith("generator.")]
    assert all(torch.allclose(before[name], after[name], atol=1e-9) for name in weights)


def test_a_run_that_cannot_begin_leaves_no_run_behind(tmp_path, tiny, store, fabric):
    with pytest.raises(InputError, match="at least 272 px"):
        train(tiny("patch_px=256"), store, tmp_path / "run", fabric=fabric)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip-header", "empty", "foreign"])
def test_a_corrupt_checkpoint_is_refused(tmp_path, tiny, store, fabric, damage):
    config, path = tiny("schedule.iterations=1"), tmp_path / "run" / CHECKPOINT_FILE
    train(config, store, tmp_path / "run", fabric=fabric)
    content = bytearray(path.read_bytes())
    content[12] ^= 255
    new = {"truncate": path.read_bytes()[:-5], "flip-header": content, "empty": b"", "foreign": b"PK\x03\x04" * 50}
    path.write_bytes(new[damage])
    with pytest.raises(CorruptWeights, match="not a checkpoint of this run"):
        train(config, store, tmp_path / "run", fabric=fabric, resume=True)


# --- gradients that are not finite ------------------------------------------------------------------------


def test_a_run_without_finite_gradients_ends(tmp_path, tiny, store, fabric):
    """A weight that overflows in every step: each is skipped, the weights stay, and the run gives up in words."""
    config = tiny("schedule.iterations=200", "objective.content=3e38", "watch.held_out=0", "watch.log_every=1")
    ticks = []
    with pytest.raises(
        JobError, match=rf"{SKIPPED_LIMIT} steps in a row had no finite gradient, up to step {SKIPPED_LIMIT}"
    ):
        train(config, store, tmp_path / "run", fabric=fabric, on_tick=ticks.append)
    assert len(ticks) == SKIPPED_LIMIT - 1
    assert lines_of(tmp_path / "run") == []  # no loss was ever applied
    assert dataclasses.asdict(ticks[-1].progress)["iteration"] == SKIPPED_LIMIT - 1
