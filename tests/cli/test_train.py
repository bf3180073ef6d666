"""`acutance train`, from end to end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import typer
from PIL import Image, ImageFilter
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the extra `train`")

from acutance.cli.ablate import ablate
from acutance.cli.train import train
from acutance.errors import ConfigError, InputError
from acutance.networks.checkpoint_file import load_generator
from acutance.training.config import load_config

SMALL = [
    "generator.width=8",
    "generator.num_blocks=1",
    "batch=2",
    "patch_px=16",
    "watch.crop_px=32",
    "watch.held_out=1",
]


@pytest.fixture
def run_train():
    """Give the verb as a user runs it; errors that the program turns into words are raised."""
    app = typer.Typer()
    app.command()(train)

    def run(*arguments, check=True):
        settings = [part for setting in SMALL for part in ("--set", setting)]
        result = CliRunner().invoke(app, [*settings, *map(str, arguments)])
        if check and result.exception is not None:
            raise result.exception
        return result

    return run


def lines_of(run):
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]


def test_trains_resumes_and_leaves_a_model(run_train, photo_folder, tmp_path):
    out = tmp_path / "run"
    common = ("smoke", "--data", photo_folder, "--out", out, "--set", "watch.log_every=1", "--device", "cpu")
    result = run_train(*common, "--iterations", 2)
    assert result.exit_code == 0
    assert "step 2  PSNR (dB) gauss-1.0 " in result.stderr
    assert f"next: acutance export {out / 'generator.safetensors'}" in result.stderr
    assert result.stdout == ""

    with pytest.raises(ConfigError, match=r"give --iterations 2, or another value"):
        run_train(*common, "--resume")
    run_train(*common, "--iterations", 4, "--resume")
    assert [line["iteration"] for line in lines_of(out) if line["kind"] == "train"] == [1, 2, 3, 4]
    assert (out / "store" / "pixels.u8").exists()
    _, spec = load_generator(out / "generator.safetensors")
    assert spec.name == "smoke"


def test_minutes_are_a_limit(run_train, photo_folder, tmp_path):
    run_train("smoke", "--data", photo_folder, "--out", tmp_path / "run", "--minutes", 0.002)
    assert 1 <= lines_of(tmp_path / "run")[-1]["iteration"] < 10_000


def test_the_store_may_lie_elsewhere_and_serve_again(run_train, photo_folder, tmp_path):
    for name in ("a", "b"):
        run_train(
            "smoke", "--data", photo_folder, "--out", tmp_path / name, "--store", tmp_path / "s", "--iterations", 1
        )
    assert (tmp_path / "s" / "pixels.u8").exists()
    assert not (tmp_path / "a" / "store").exists()


def test_damaged_photos_are_named(run_train, photo, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(3):
        Image.fromarray(photo(64, 64, seed=index)).save(photos / f"{index}.png")
    (photos / "bad.jpg").write_text("not a picture")
    result = run_train("smoke", "--data", photos, "--out", tmp_path / "run", "--iterations", 1)
    assert "skipped bad.jpg: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["smok"], (ConfigError, "did you mean 'smoke'")),
        (["smoke", "--set", "generator.widht=3"], (ConfigError, "did you mean 'width'")),
        (["smoke", "--set", "batch"], (ConfigError, "key=value")),
        (["smoke", "--iterations", "0"], (ConfigError, r"schedule\.iterations = 0")),
        (["smoke", "--resume"], (ConfigError, "holds no run to resume")),
        (["smoke", "--devices", "2", "--set", "batch=3"], (ConfigError, "multiple of 2")),
        (["smoke", "--set", "patch_px=512"], (InputError, "at least 528 px")),
    ],
)
def test_mistakes_are_errors_of_ours(run_train, photo_folder, tmp_path, arguments, expected):
    error, message = expected
    with pytest.raises(error, match=message):
        run_train(*arguments, "--data", photo_folder, "--out", tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--set", "batch=x"], "--set batch=x: 'x': must be of type int (at batch)."),
        (["--set", "bach=3"], "--set bach=3: unknown setting 'bach' (did you mean 'batch'?)."),
        (["--iterations", "0"], "--iterations 0: schedule.iterations = 0: must be at least 1"),
        (
            ["--minutes", "-1", "--set", "generator.width=q"],
            "width=q: 'q': must be of type int (at generator.width); --mi",
        ),
        (["--set", "batch=4", "--set", "batch=4", "--set", "patch_px=15"], "--set patch_px=15: patch_px = 15: must be"),
        (["--set", "seed=-1", "--set", "seed=-1"], "--set batch=2, "),  # neither is it alone
    ],
)
def test_what_was_typed_is_blamed_and_not_the_preset(run_train, photo_folder, tmp_path, arguments, expected):
    with pytest.raises(ConfigError) as caught:
        run_train("fast", *arguments, "--data", photo_folder, "--out", tmp_path / "run")
    assert expected in str(caught.value)
    assert "fast.toml" not in str(caught.value)


def test_pairs_are_blamed_together_with_what_does_not_go_with_them(run_train, photo_folder, tmp_path):
    with pytest.raises(ConfigError, match=r"^--paired, --set ramp_share=0\.5: paired = true"):
        run_train("smoke", "--paired", photo_folder, photo_folder, "--out", tmp_path / "run", "--set", "ramp_share=0.5")


def test_a_file_of_ones_own_is_blamed_for_what_it_lacks(run_train, photo_folder, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('name = "q"\nbatch = 0\n')
    with pytest.raises(ConfigError, match=r"^own\.toml: 'degradation' is missing \(at degradation\)\.$"):
        run_train(path, "--set", "seed=3", "--data", photo_folder, "--out", tmp_path / "run")


def test_a_folder_without_photos_is_an_error_of_ours(run_train, tmp_path):
    with pytest.raises(InputError, match="no such folder of photos"):
        run_train("smoke", "--data", tmp_path / "none", "--out", tmp_path / "run")


def test_the_reason_why_nothing_could_be_read_ends_with_one_full_stop(run_train, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"could be read \(.* is not an image; [^)]*[^.]\)\.$"):
        run_train("smoke", "--data", tmp_path / "photos", "--out", tmp_path / "run")


def test_wrong_usage_ends_with_2(run_train, photo_folder, tmp_path):
    common = ("smoke", "--data", photo_folder, "--out", tmp_path / "run")
    assert run_train(*common, "--device", "tpu", check=False).exit_code == 2
    assert run_train("smoke", "--data", photo_folder, check=False).exit_code == 2


def test_help_names_the_extra(run_train):
    assert "extra train" in " ".join(run_train("--help").stdout.replace("│", " ").split())


def test_two_devices_share_the_work_and_one_speaks(photo_folder, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("from acutance.cli.main import run\nrun()\n")
    settings = [part for setting in SMALL for part in ("--set", setting)]
    arguments = ["train", "smoke", "--data", photo_folder, "--out", tmp_path / "run", "--iterations", "2", *settings]
    result = subprocess.run(
        [sys.executable, program, *map(str, arguments), "--device", "cpu", "--devices", "2"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("averaged weights: ") == 1
    assert result.stderr.count("PSNR (dB)") == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2
    assert load_generator(tmp_path / "run" / "generator.safetensors")[1].name == "smoke"


def test_the_example_in_the_help_is_a_setting():
    """It once named a setting that does not exist."""
    texts = [parameter.help or "" for command in (train, ablate) for parameter in options_of(command)]
    examples = [match for text in texts for match in re.findall(r"key=value, e\.g\. ([\w.]+=[\w-]+)", text)]
    assert len(examples) == 2
    for example in examples:
        load_config("smoke", [example])


def options_of(command):
    app = typer.Typer()
    app.command()(command)
    return typer.main.get_command(app).params


@pytest.fixture(scope="module")
def gopro(photo, tmp_path_factory):
    """Twenty pairs in GoPro's layout."""
    folder = tmp_path_factory.mktemp("gopro")
    for number in range(20):
        sharp = Image.fromarray(photo(48, 56, seed=number))
        for kind, picture in (("sharp", sharp), ("blur", sharp.filter(ImageFilter.GaussianBlur(1.5)))):
            path = folder / f"GOPR{number // 5}" / kind / f"{number:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return folder


def test_pairs_train_validate_and_resume(run_train, gopro, tmp_path):
    common = (
        "fast",
        "--paired",
        gopro,
        gopro,
        "--set",
        "watch.log_every=1",
        "--device",
        "cpu",
        "--set",
        "generator.coarser=[]",
    )
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    result = run_train(*common, "--out", straight, "--iterations", 4)
    assert "step 4  PSNR (dB) paired " in result.stderr
    run_train(*common, "--out", resumed, "--iterations", 4, "--set", "watch.save_every=2")
    (resumed / "checkpoint.safetensors").rename(tmp_path / "whole")
    run_train(*common, "--out", tmp_path / "half", "--iterations", 2)
    run_train(*common, "--out", tmp_path / "half", "--iterations", 4, "--resume")
    validations = [line["paired"] for line in lines_of(straight) if line["kind"] == "validation"]
    assert len(validations) == 1
    assert 5 < validations[0] < 60
    assert lines_of(tmp_path / "half")[-1]["iteration"] == 4
    assert load_generator(straight / "generator.safetensors")[1] == load_generator(resumed / "generator.safetensors")[1]


def test_pairs_of_their_own_validate(run_train, photo_folder, gopro, photo, tmp_path):
    """With pairs as without: GoPro's test scenes, say."""
    held = tmp_path / "held"
    for kind, picture in (("gt", photo(40, 44, seed=70)), ("blur", photo(40, 44, seed=71))):
        (held / "scene001" / kind).mkdir(parents=True)
        Image.fromarray(picture).save(held / "scene001" / kind / f"{kind}_1.png")
    for name, source in (("pairs", ("--paired", gopro, gopro)), ("photos", ("--data", photo_folder))):
        options = ("--validation-paired", held, held, "--out", tmp_path / name, "--iterations", 1, "--device", "cpu")
        run_train("smoke", *source, *options)
        (figures,) = [line for line in lines_of(tmp_path / name) if line["kind"] == "validation"]
        assert set(figures) == {"kind", "iteration", "paired"}
    assert json.loads((tmp_path / "pairs" / "run.json").read_text())["photos"] == 20
    with pytest.raises(ConfigError, match=r"generator\.scale = 2: enlarges, but the two photos of a pair"):
        run_train("fast-x2", "--data", photo_folder, "--validation-paired", held, held, "--out", tmp_path / "x2")
    both = ("--validation", held, "--validation-paired", held, held)
    for given, words in (
        (("--data", photo_folder, *both), "both are given"),
        (("--paired", gopro, gopro, "--validation", held), "give --validation-paired BLURRED SHARP"),
        (("--paired", gopro, gopro, "--validation-paired", gopro / "GOPR1", gopro / "GOPR1"), "it would be trained on"),
    ):
        with pytest.raises(ConfigError, match=words):
            run_train("smoke", *given, "--out", tmp_path / "refused")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("generator.scale=2", "paired = true|scale"),
        ("reduced_share=0.5", "paired = true: .* leave reduced_share, ramp_share out"),
        ("objective.consistency=1.0", "paired = true: .* leave objective.consistency"),
        ("paired=false", "paired = false: the photos given are pairs"),
    ],
)
def test_what_pairs_do_not_tell_is_refused(run_train, gopro, tmp_path, setting, words):
    with pytest.raises(ConfigError, match=words):
        run_train("smoke", "--paired", gopro, gopro, "--out", tmp_path / "run", "--set", setting, "--iterations", 1)


def test_photos_come_from_one_kind_of_folder(run_train, gopro, tmp_path):
    with pytest.raises(ConfigError, match="neither is given"):
        run_train("smoke", "--out", tmp_path / "run")
    with pytest.raises(ConfigError, match="both are given"):
        run_train("smoke", "--out", tmp_path / "run", "--data", gopro, "--paired", gopro, gopro)
    with pytest.raises(ConfigError, match="pictures of the run would be trained on"):
        run_train("smoke", "--out", gopro / "run", "--paired", gopro, gopro)


def test_several_folders_are_mixed_and_a_folder_of_its_own_validates(run_train, photo, photo_folder, tmp_path):
    for name, seed in (("more", 20), ("held", 30)):
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.fromarray(photo(64, 64, seed=seed + index)).save(tmp_path / name / f"{index}.png")
    common = ("smoke", "--data", photo_folder, "--data", tmp_path / "more", "--validation", tmp_path / "held")
    common = (*common, "--device", "cpu", "--iterations", 1, "--set", "watch.held_out=2")
    for name, weights in (("a", "[1.0, 0.0]"), ("b", "[0.0, 1.0]")):
        run_train(*common, "--out", tmp_path / name, "--set", f"data_weights={weights}")
        assert json.loads((tmp_path / name / "run.json").read_text())["photos"] == 9
    first, second = (load_generator(tmp_path / name / "generator.safetensors")[1] for name in ("a", "b"))
    assert first.weights_sha256 != second.weights_sha256
    with Image.open(tmp_path / "a" / "samples" / "0000001.png") as sheet:
        shown = sheet.crop((2 * 32, 0, 3 * 32, 32))
    held = [Image.open(tmp_path / "held" / f"{index}.png").crop((16, 16, 48, 48)) for index in range(3)]
    assert shown.tobytes() in [picture.tobytes() for picture in held]
    with pytest.raises(ConfigError, match="come from 2 folders; give as many numbers"):
        run_train(*common, "--out", tmp_path / "c", "--set", "data_weights=[1.0]")
    with pytest.raises(ConfigError, match=r"data_weights = \[0\.0\]: must be numbers from 0 on, one above 0"):
        run_train(*common, "--out", tmp_path / "c", "--set", "data_weights=[0.0]")
    with pytest.raises(ConfigError, match="so it would be trained on"):
        run_train("smoke", "--data", tmp_path, "--validation", tmp_path / "held", "--out", tmp_path / "c")
