"""`acutance ablate`, from end to end: tiny models, a few steps."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
import typer
from PIL import Image
from safetensors.numpy import load_file
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import save_file

from acutance.cli.ablate import ablate
from acutance.cli.ablate_jobs import Device
from acutance.config.settings import read_toml
from acutance.data.photo_store import open_store
from acutance.errors import ConfigError, InputError
from acutance.evaluation.table1 import STAND_IN, STAND_IN_LABEL
from acutance.networks.vgg19_weights import VGG19
from acutance.networks.vgg_weights import METADATA_KEY, VGG_GROUP
from acutance.training.config import load_config
from acutance.training.device import Device as LibraryDevice
from acutance.training.device import open_fabric
from acutance.training.loop import train

SMALL = [
    "generator.width=8",
    "generator.num_blocks=1",
    "generator.head_kernel=3",
    "generator.tail_kernel=3",
    "batch=2",
    "watch.crop_px=32",
    "watch.held_out=1",
    'watch.rows=["gauss-1.6"]',
    "adversary.discriminator.width=8",
    "adversary.discriminator.hidden=16",
]


@pytest.fixture(autouse=True)
def no_downloads_of_the_users_own(monkeypatch, tmp_path):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.fixture(scope="module")
def vgg19(tmp_path_factory):
    """Give random weights of VGG-19 up to pool3."""
    random = torch.Generator().manual_seed(0)
    state, in_channels = {}, 3
    for name in VGG19.convolutions[: VGG19.convolutions.index("conv3_4") + 1]:
        channels = VGG19.stages[int(name[4]) - 1][1]
        state[f"{name}.weight"] = torch.randn(channels, in_channels, 3, 3, generator=random) / (3 * in_channels**0.5)
        state[f"{name}.bias"] = torch.zeros(channels)
        in_channels = channels
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(state, path, {METADATA_KEY: VGG_GROUP.statement})
    return path


@pytest.fixture(scope="module")
def test_folder(photo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharp")
    for index in range(2):
        Image.fromarray(photo(72, 80, seed=40 + index)).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def run_ablate(photo_folder, test_folder, tmp_path):
    """Give the verb as a user runs it; errors that the program turns into words are raised."""
    app = typer.Typer()
    app.command()(ablate)

    def run(*arguments, data=photo_folder, test=test_folder, out=tmp_path / "out"):
        settings = [part for setting in SMALL for part in ("--set", setting)]
        photos = [part for name, folder in (("--data", data), ("--test", test)) if folder for part in (name, folder)]
        options = [*photos, "--out", out, "--device", "cpu", *settings, *arguments]
        result = CliRunner().invoke(app, list(map(str, options)))
        if result.exception is not None:
            raise result.exception
        return result

    return run


def steps_of(run):
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    return [line["iteration"] for line in lines if line["kind"] == "train"]


def weights_of(out):
    """Return every run's trained numbers; not the files' bytes, in which safetensors orders its metadata at random."""
    return {
        run.name: {name: array.tobytes() for name, array in load_file(run / "generator.safetensors").items()}
        for run in sorted((out / "runs").iterdir())
    }


def test_four_models_are_trained_measured_and_drawn(run_ablate, vgg19, tmp_path):
    out = tmp_path / "out"
    result = run_ablate("--iterations", 3, "--vgg19", vgg19, "--set", "watch.log_every=1")
    assert f"the fourth model is {STAND_IN_LABEL}" in result.stderr
    names = ["stacked-g", "res-g", "nonbn-res-g", STAND_IN]
    assert sorted(run.name for run in (out / "runs").iterdir()) == sorted(f"{name}-seed0" for name in names)
    for name in names:
        assert steps_of(out / "runs" / f"{name}-seed0") == [1, 2, 3]
        assert (out / "runs" / f"{name}-seed0" / "generator.onnx").exists()
    lines = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [line["model"] for line in lines] == ["input", *names]
    assert {line["iterations"] for line in lines[1:]} == {"3"}
    assert len({line["psnr_db"] for line in lines}) == 5
    assert result.stdout == (out / "table.md").read_text()
    assert f"| {STAND_IN_LABEL} | " in result.stdout
    assert f"--models {','.join(names)} --seeds 0 --iterations 3 --vgg19 {vgg19}" in result.stdout
    assert "--set generator.width=8" in result.stdout
    assert STAND_IN_LABEL in (out / "table.tex").read_text()
    measurements = list(csv.DictReader((out / "measurements.csv").read_text().splitlines()))
    assert len(measurements) == 2 * 5
    with Image.open(out / "figure.png") as figure:
        assert figure.width > 6 * 300


def test_an_interrupted_ablation_goes_on_and_keeps_what_is_finished(run_ablate, photo_folder, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    common = ("--models", "stacked-g,res-g", "--iterations", 4, "--set", "watch.log_every=1")
    run_ablate(*common, out=whole)

    # What is left when the second of the runs is interrupted after its second step.
    shutil.copytree(whole, out, ignore=shutil.ignore_patterns("res-g-*", "table.*", "*.csv", "figure.png"))
    finished, interrupted = out / "runs" / "stacked-g-seed0", out / "runs" / "res-g-seed0"
    train_two_steps("res-g", photo_folder, interrupted, iterations=4)
    assert steps_of(interrupted) == [1, 2]
    exported = (finished / "generator.onnx").stat()

    result = run_ablate(*common, out=out)
    assert os.path.samestat((finished / "generator.onnx").stat(), exported), "exported again"
    assert re.search(r"stacked-g-seed0: 4 steps in \d+ s, kept\n", result.stderr)
    assert re.search(r"res-g-seed0: 4 steps in \d+ s\n", result.stderr)
    assert steps_of(finished) == steps_of(interrupted) == [1, 2, 3, 4]
    assert weights_of(out) == weights_of(whole)
    tables = [list(csv.DictReader((folder / "table.csv").read_text().splitlines())) for folder in (out, whole)]
    timeless = [[{**line, "seconds": ""} for line in table] for table in tables]
    assert timeless[0] == timeless[1]


def train_two_steps(model, photos, run, *, iterations):
    """Begin a run as the verb does, and stop after two steps."""
    steps = []
    train(
        load_config(model, [*SMALL, f"schedule.iterations={iterations}", "watch.log_every=1", "seed=0"]),
        open_store(photos, run.parent.parent / "store"),
        run,
        fabric=open_fabric("cpu"),
        on_tick=lambda tick: steps.append(tick.progress.iteration),
        should_stop=lambda: len(steps) == 1,
    )


def test_ctrl_c_saves_and_says_how_to_go_on(run_ablate, tmp_path):
    out = tmp_path / "out"
    first = out / "runs" / "stacked-g-seed0"

    def interrupt_when_training():
        while not (first / "stats.jsonl").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_training, daemon=True).start()
    result = run_ablate("--models", "stacked-g,res-g", "--iterations", 1_000_000)
    assert "stopped and saved; the same command goes on" in result.stderr
    assert result.stdout == ""
    assert (first / "checkpoint.safetensors").exists()
    assert not (out / "runs" / "res-g-seed0").exists()
    assert not (out / "table.md").exists()


def test_seeds_and_models_may_be_added_later(run_ablate, tmp_path):
    common = ("--models", "stacked-g", "--iterations", 2)
    run_ablate(*common)
    before = weights_of(tmp_path / "out")
    exported = tmp_path / "out" / "runs" / "stacked-g-seed0" / "generator.onnx"
    content = exported.read_bytes()
    exported.write_bytes(content[:1000])
    result = run_ablate(*common, "--seeds", "0,5")
    assert exported.read_bytes() == content, "a damaged model is exported anew"
    after = weights_of(tmp_path / "out")
    assert list(after) == ["stacked-g-seed0", "stacked-g-seed5"]
    assert after["stacked-g-seed0"] == before["stacked-g-seed0"] != after["stacked-g-seed5"]
    assert "Seeds 0, 5: mean ± standard deviation" in result.stdout
    (_, line) = csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines())
    assert (line["num_seeds"], float(line["psnr_db_deviation"]) > 0) == ("2", True)


def test_extra_rows_differ_in_the_setting_that_they_name(run_ablate, tmp_path):
    out = tmp_path / "out"
    result = run_ablate("--iterations", 2, "--models", "nonbn-res-g", "--extra", "content, activation")
    configs = {run.name: read_toml(run / "config.toml") for run in (out / "runs").iterdir()}
    plain = configs.pop("nonbn-res-g-seed0")
    assert {name: config["generator"]["activation"] for name, config in configs.items()} == {
        "nonbn-res-g-generator.activation-relu-seed0": "relu",
        "nonbn-res-g-generator.activation-leaky-relu-seed0": "leaky-relu",
        "nonbn-res-g-objective.content_loss.kind-l1-seed0": "prelu",
    }
    assert plain["objective"]["content_loss"]["kind"] == "l2"
    assert "| NonBN-ResG with generator.activation=relu | " in result.stdout
    assert len({weights["tail.weight"] for weights in weights_of(out).values()}) == 4
    with pytest.raises(ConfigError, match=r"--extra loss: must be one of activation, content, .*, start, depth"):
        run_ablate("--extra", "loss", out=tmp_path / "other")
    with pytest.raises(ConfigError, match=r"^--models nonbn-res-g@generator\.activaton=relu: unknown setting 'activ"):
        run_ablate("--iterations", 2, "--models", "nonbn-res-g@generator.activaton=relu", out=tmp_path / "other")


def test_runs_side_by_side_give_what_runs_in_turn_give(run_ablate, tmp_path):
    common = ("--models", "stacked-g,res-g,nonbn-res-g", "--iterations", 3)
    in_turn = run_ablate(*common, out=tmp_path / "turn")
    beside = run_ablate(*common, "--jobs", 2, out=tmp_path / "beside")
    assert weights_of(tmp_path / "beside") == weights_of(tmp_path / "turn")
    assert beside.stderr.count("3 steps in") == 3
    findings = [result.stdout.split("**Findings")[1].split("Made by")[0] for result in (in_turn, beside)]
    assert findings[0] == findings[1]
    assert "below the input" in findings[0], "three steps teach nothing, and no verdict is given"


def test_ctrl_c_stops_all_runs_side_by_side(run_ablate, tmp_path):
    out = tmp_path / "out"
    runs = [out / "runs" / name for name in ("stacked-g-seed0", "res-g-seed0")]

    def interrupt_when_training():
        while not all((run / "stats.jsonl").exists() for run in runs):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_training, daemon=True).start()
    result = run_ablate("--models", "stacked-g,res-g,nonbn-res-g", "--iterations", 1_000_000, "--jobs", 2)
    assert "stopped and saved; the same command goes on" in result.stderr
    assert all((run / "checkpoint.safetensors").exists() for run in runs)
    assert not (out / "runs" / "nonbn-res-g-seed0").exists()


def processes_of(folder):
    """Return the processes whose command line or open files name a folder, whoever started them."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            names = [(process / "cmdline").read_bytes().decode(errors="replace")]
            names += [os.readlink(link) for link in (process / "fd").iterdir()]
            if any(str(folder) in name for name in names):
                found.add(int(process.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_run_outlives_the_first_process(photo_folder, test_folder, tmp_path):
    out = tmp_path / "out"
    runs = [out / "runs" / name for name in ("stacked-g-seed0", "res-g-seed0")]
    settings = [part for setting in SMALL for part in ("--set", setting)]
    options = ["--data", photo_folder, "--test", test_folder, "--out", out, "--device", "cpu", *settings]
    options += ["--models", "stacked-g,res-g", "--iterations", 1_000_000, "--jobs", 2]
    first = subprocess.Popen(
        [sys.executable, "-m", "acutance", "ablate", *map(str, options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: all((run / "stats.jsonl").exists() for run in runs))
        assert len(processes_of(out) - {first.pid}) >= len(runs), "each run keeps its log open"
    finally:
        first.kill()
        first.wait()
    wait_until(lambda: not processes_of(out))


def wait_until(holds):
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_goes_wrong_in_a_process_is_said_here(run_ablate, photo, tmp_path):
    """Photos too small for a patch are found out only by the run itself."""
    (tmp_path / "small").mkdir()
    for index in range(3):
        Image.fromarray(photo(30, 30, seed=index)).save(tmp_path / "small" / f"{index}.png")
    with pytest.raises(InputError, match="photos is at least 38 px"):
        run_ablate("--models", "stacked-g,res-g", "--iterations", 2, "--jobs", 2, data=tmp_path / "small")


def test_one_start_for_all_but_where_a_row_shows_another(run_ablate, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('extends = "res-g"\nname = "own"\nbranch_gain = 1.0\n')
    with pytest.raises(ConfigError, match=r"own\.toml: has another branch_gain than stacked-g"):
        run_ablate("--models", f"stacked-g,{own}", "--iterations", 1)
    result = run_ablate("--models", "res-g", "--extra", "start", "--iterations", 1)
    assert "| ResG with branch_gain=1.0 | " in result.stdout
    configs = [read_toml(run / "config.toml")["branch_gain"] for run in sorted((tmp_path / "out" / "runs").iterdir())]
    assert configs == [1.0, 0.1]


def test_other_terms_in_the_same_folder_are_refused(run_ablate, photo, photo_folder, tmp_path):
    common = ("--models", "stacked-g")
    run_ablate(*common, "--iterations", 1)
    before = weights_of(tmp_path / "out")
    with pytest.raises(ConfigError, match="has other settings than asked for"):
        run_ablate(*common, "--iterations", 1, "--set", "generator.num_blocks=2")
    with pytest.raises(ConfigError, match="has other settings than asked for"):
        run_ablate(*common, "--iterations", 1, "--set", "optimizer.learning_rate=1e-3")
    with pytest.raises(ConfigError, match="holds an ablation with the budget"):
        run_ablate(*common, "--iterations", 2)
    others = tmp_path / "others"
    shutil.copytree(photo_folder, others)
    Image.fromarray(photo(96, 96, seed=9)).save(others / "new.png")
    with pytest.raises(ConfigError, match="trained on other photos"):
        run_ablate(*common, "--iterations", 1, data=others)
    assert weights_of(tmp_path / "out") == before


def test_models_that_are_not_trained_alike_are_refused(run_ablate, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('extends = "res-g"\nname = "own"\npatch_px = 32\n')
    with pytest.raises(ConfigError, match=r"own\.toml: has another patch_px than stacked-g"):
        run_ablate("--models", f"stacked-g,{own}", "--iterations", 1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--models", "stacked"), "did you mean 'stacked-g'"),
        (("--models", "stacked-g,stacked-g"), "stacked-g-seed0 twice"),
        (("--models", ","), "at least one model"),
        (("--models", "stacked-g", "--seeds", "a"), "--seeds a: must be whole numbers"),
        (("--models", "stacked-g", "--seeds", "-1"), "seed = -1"),
        (("--models", "stacked-g", "--set", "batch"), "key=value"),
        (("--models", "stacked-g", "--set", "generator.scale=2"), "scale = 2: must be by how much"),
        (("--models", "stacked-g", "--iterations", 0), r"schedule\.iterations = 0"),
        (("--photo", 2), "there are 2 test photos"),
        (("--models", "nonbn-res-g-l-pool2-pool3"), "needs its trained weights, and none are given"),
    ],
)
def test_mistakes_are_said_before_anything_begins(run_ablate, tmp_path, arguments, expected):
    with pytest.raises(ConfigError, match=expected):
        run_ablate(*arguments)
    assert not (tmp_path / "out").exists()


def test_a_layer_that_the_weights_lack_is_named_before_anything_begins(run_ablate, vgg19, tmp_path):
    with pytest.raises(ConfigError, match="layer pool5 of VGG-19 needs conv4_1"):
        run_ablate("--models", "stacked-g,nonbn-res-g-l", "--vgg19", vgg19)
    with pytest.raises(InputError, match=r"none\.pth: no such file"):
        run_ablate("--vgg19", tmp_path / "none.pth")
    assert not (tmp_path / "out").exists()


def test_pairs_are_trained_and_measured_on(photo, run_ablate, tmp_path):
    """GoPro's layout to train on, RealBlur's to measure on; the command that it names gives the same."""
    for number in range(4):
        for kind, seed in (("sharp", number), ("blur", number + 50)):
            path = tmp_path / "train" / "GOPR1" / kind / f"{number:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo(48, 56, seed=seed)).save(path)
    for kind, seed in (("gt", 90), ("blur", 91)):
        path = tmp_path / "test" / "scene001" / kind / f"{kind}_1.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(photo(48, 56, seed=seed)).save(path)
    train, test, out = tmp_path / "train", tmp_path / "test", tmp_path / "out"
    given = ("--paired", train, train, "--test-paired", test, test)
    asked = (*given, "--models", "res-g,nonbn-res-g", "--iterations", 2, "--set", "objective.adversarial=0")
    result = run_ablate(*asked, "--jobs", 2, data=None, test=None)
    assert "test, 1 photo, row paired" in result.stdout
    assert f"--paired {train} {train} --test-paired {test} {test}" in result.stdout
    assert read_toml(out / "runs" / "res-g-seed0" / "config.toml")["paired"] is True
    lines = list(csv.DictReader((out / "measurements.csv").read_text().splitlines()))
    assert [(line["row"], line["restorer"]) for line in lines] == [
        ("paired", name) for name in ("input", "res-g-seed0", "nonbn-res-g-seed0")
    ]
    again = run_ablate(*asked, data=None, test=None)
    assert again.stdout == result.stdout
    for options, words in (
        (("--paired", train, train, "--test-paired", train / "GOPR1", train / "GOPR1"), "it would be trained on"),
        (("--paired", train, train), "neither is given"),
        (("--test-paired", test, test), "--data FOLDER or of --paired BLURRED SHARP; neither is given"),
    ):
        with pytest.raises(ConfigError, match=words):
            run_ablate(*options, data=None, test=None)


def test_photos_are_kept_apart(run_ablate, photo_folder, test_folder):
    with pytest.raises(ConfigError, match="would be trained on"):
        run_ablate(test=photo_folder / "below")
    with pytest.raises(ConfigError, match="would be measured on"):
        run_ablate(out=test_folder / "out")
    with pytest.raises(ConfigError, match="pictures of the run would be trained on"):
        run_ablate("--models", "stacked-g", out=photo_folder / "out")


def test_the_devices_are_those_of_the_library():
    assert get_args(Device) == get_args(LibraryDevice)
