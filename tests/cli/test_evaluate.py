"""`acutance evaluate` from end to end, with the classical filters."""

from __future__ import annotations

import csv
import json
import shlex

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.evaluate import evaluate
from acutance.errors import ConfigError, InputError, OutputError

FILTERS = ["input", "unsharp", "Wiener, true kernel", "polynomial, true kernel"]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "some photos"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def run(*arguments):
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_alone_is_on_stdout(photos):
    result = run("--test", photos, "--rows", "gauss-1.0, none", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert [(mean["row"], mean["restorer"]) for mean in document["means"]] == [
        *(("gauss-1.0", name) for name in FILTERS),
        ("none", "input"),
    ]
    assert all(mean["count"] == 3 for mean in document["means"])


def test_tables_and_files(photos, tmp_path):
    result = run(
        *("--test", photos, "--rows", "gauss-1.0,defocus-2", "--every", 2),
        *("--csv", tmp_path / "out" / "all.csv", "--markdown", tmp_path / "all.md"),
    )
    assert result.exit_code == 0
    assert "some photos, 2 photos: PSNR (dB) / SSIM" in result.stdout
    assert (tmp_path / "all.md").read_text("utf-8") == result.stdout
    with open(tmp_path / "out" / "all.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 2 * len(FILTERS)
    assert {line["photo"] for line in lines} == {"0.png", "2.png"}


def test_the_command_it_names_gives_the_same_figures(photos):
    first = json.loads(run("--test", photos, "--rows", "gauss-1.6-n2", "--limit", 2, "--json").stdout)
    program, verb, *arguments = shlex.split(first["command"])
    assert (program, verb) == ("acutance", "evaluate")
    second = json.loads(run(*arguments, "--json").stdout)
    for document in (first, second):
        for one in document["means"] + document["measurements"]:
            del one["seconds"]
    assert first == second


def test_without_rows_all_are_measured_that_can_be(photos, tmp_path):
    result = run("--test", photos, "--limit", 1, "--json")
    assert "camera-shake is left out" in result.stderr
    rows = {mean["row"] for mean in json.loads(result.stdout)["means"]}
    assert len(rows) == 10
    np.savez(tmp_path / "k.npz", k1=np.eye(3), k2=np.ones((2, 5)))
    result = run("--test", photos, "--limit", 1, "--json", "--kernels", tmp_path / "k.npz")
    assert "left out" not in result.stderr
    document = json.loads(result.stdout)
    assert {mean["row"] for mean in document["means"]} == rows | {"camera-shake"}
    assert f"--kernels {tmp_path / 'k.npz'}" in document["command"]


def test_models_stand_behind_the_filters(photos):
    result = run("--test", photos, "--rows", "gauss-1.0", "--model", "fast", "--engine", "onnxruntime", "--json")
    document = json.loads(result.stdout)
    assert [mean["restorer"] for mean in document["means"]] == [*FILTERS, "fast"]
    assert document["command"].endswith("--model fast --engine onnxruntime")


def test_two_folders_are_two_tables(photos, tmp_path):
    other = photos.rename(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (other / "2.png").rename(tmp_path / "b" / "2.png")
    result = run("--test", other, "--test", tmp_path / "b", "--rows", "gauss-2.0")
    assert "**a, 2 photos: PSNR" in result.stdout
    assert "**b, 1 photo: PSNR" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--rows", "gaus-1.0"], ConfigError, "did you mean gauss-1.0"),
        (["--rows", "camera-shake"], InputError, "camera-shake"),
        (["--kernels", "missing.npz"], InputError, "does not exist"),
        (["--test", "missing"], InputError, "missing"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_ours(photos, arguments, error, message):
    result = run("--test", photos, *arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert result.stdout == ""


def test_files_that_exist_are_refused_before_the_work_unless_allowed(photos, tmp_path):
    target = tmp_path / "t.md"
    target.write_text("mine")
    result = run("--test", photos, "--rows", "none", "--markdown", target)
    assert isinstance(result.exception, OutputError)
    assert target.read_text() == "mine"
    assert run("--test", photos, "--rows", "none", "--markdown", target, "--overwrite").exit_code == 0
    assert "PSNR" in target.read_text("utf-8")
