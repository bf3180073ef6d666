"""`acutance evaluate` from end to end, with the classical filters."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.evaluate import evaluate
from acutance.data.protocol import ROWS
from acutance.errors import ConfigError, CorruptWeights, InputError, OutputError
from acutance.extras import how_to_get

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
    assert rows == {row.name for row in ROWS} - {"camera-shake"}
    np.savez(tmp_path / "k.npz", k1=np.eye(3), k2=np.ones((2, 5)))
    result = run("--test", photos, "--limit", 1, "--json", "--kernels", tmp_path / "k.npz")
    assert "left out" not in result.stderr
    document = json.loads(result.stdout)
    assert {mean["row"] for mean in document["means"]} == rows | {"camera-shake"}
    assert f"--kernels {tmp_path / 'k.npz'}" in document["command"]


def test_the_command_says_when_filters_were_left_out(photos):
    document = json.loads(run("--test", photos, "--rows", "mix", "--model", "fast", "--no-baselines", "--json").stdout)
    assert [mean["restorer"] for mean in document["means"]] == ["fast"]
    assert document["command"].endswith("--model fast --no-baselines")


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


# --- pairs ------------------------------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path):
    for kind in ("blur", "sharp"):
        (tmp_path / "my pairs" / kind).mkdir(parents=True)
        for number in range(2):
            pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels // (2 if kind == "blur" else 1)).save(tmp_path / "my pairs" / kind / f"{number}.png")
    return tmp_path / "my pairs"


def test_pairs_are_one_row_and_the_command_names_both_folders(pairs):
    result = run("--paired", pairs / "blur", pairs / "sharp", "--model", "fast", "--json")
    first = json.loads(result.stdout)
    assert [(mean["row"], mean["restorer"], mean["count"]) for mean in first["means"]] == [
        ("paired", "input", 2),
        ("paired", "fast", 2),
    ]
    assert first["means"][0]["psnr_shifted_db"] >= first["means"][0]["psnr_db"]
    second = json.loads(run(*shlex.split(first["command"])[2:], "--json").stdout)
    assert [one["psnr_db"] for one in second["measurements"]] == [one["psnr_db"] for one in first["measurements"]]
    assert "| paired |" in run("--paired", pairs, pairs).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "neither is given"),
        (("--test", "x", "--paired", "x", "x"), "both are given"),
        (("--paired", "x", "x", "--rows", "none"), "leave them out with --paired"),
        (("--paired", "x", "x", "--kernels", "k.npz"), "leave them out with --paired"),
    ],
)
def test_photos_are_degraded_or_paired(arguments, message):
    result = run(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


# --- plots ------------------------------------------------------------------------------------------------

PLOTS = [
    f"some photos-{name}.{suffix}" for name in ("perception-distortion", "psnr-over-sigma") for suffix in ("png", "svg")
]


def test_plots_are_written_into_a_folder(photos, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plots`")
    folder = tmp_path / "out" / "plots"
    common = ("--test", photos, "--limit", 1, "--rows", "gauss-1.0,gauss-2.0", "--plots", folder)
    assert run(*common).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == PLOTS
    assert b"PNG" in (folder / PLOTS[0]).read_bytes()[:8]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refused = run(*common)
    assert isinstance(refused.exception, OutputError)
    assert refused.stdout == ""
    assert run(*common, "--overwrite").exit_code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_plots_that_cannot_be_drawn_are_named(photos, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plots`")
    result = run("--test", photos, "--limit", 1, "--rows", "defocus-2", "--plots", tmp_path / "plots")
    assert "some photos-psnr-over-sigma is not drawn: it needs a row with Gaussian blur" in result.stderr
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == PLOTS[:2]


def test_a_file_in_place_of_the_plots_folder_is_refused_before_the_work(photos, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plots`")
    (tmp_path / "plots").write_text("mine")
    result = run("--test", photos, "--rows", "gauss-1.0", "--plots", tmp_path / "plots")
    assert isinstance(result.exception, OutputError)
    assert "name a folder for the plots" in str(result.exception)
    assert result.stdout == ""


# --- LPIPS ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lpips_files(tmp_path_factory):
    """Random weights of the full width, in halves."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    from acutance.networks.lpips_weights import VGG16

    random, folder = torch.Generator().manual_seed(0), tmp_path_factory.mktemp("weights")
    state, linear, in_channels = {}, {}, 3
    for name in VGG16.convolutions:
        channels, position = VGG16.stages[int(name[4]) - 1][1], VGG16.layers.index(name)
        weight = torch.randn(channels, in_channels, 3, 3, generator=random) * (2 / (9 * in_channels)) ** 0.5
        state |= {f"features.{position}.weight": weight.half(), f"features.{position}.bias": torch.zeros(channels)}
        in_channels = channels
    for number, (_, channels) in enumerate(VGG16.stages):
        linear[f"lin{number}.model.1.weight"] = torch.rand(1, channels, 1, 1, generator=random)
    torch.save(state, folder / "vgg16.pth")
    torch.save(linear, folder / "linear.pth")
    channels = 3 + sum(channels for _, channels in VGG16.stages)
    dists = {name: torch.rand(1, channels, 1, 1, generator=random) for name in ("alpha", "beta")}
    torch.save(dists, folder / "weights.pt")
    return "--lpips-backbone", folder / "vgg16.pth", "--lpips-linear", folder / "linear.pth"


def test_lpips_is_measured_where_its_weights_are_given(photos, lpips_files):
    result = run("--test", photos, "--limit", 1, "--rows", "gauss-1.0,none", *lpips_files, "--json")
    document = json.loads(result.stdout)
    figures = {(mean["row"], mean["restorer"]): mean["lpips"] for mean in document["means"]}
    assert figures["none", "input"] == 0.0
    assert figures["gauss-1.0", "input"] > figures["gauss-1.0", "Wiener, true kernel"] > 0
    assert f"--lpips-backbone {lpips_files[1]} --lpips-linear {lpips_files[3]}" in document["command"]
    plain = json.loads(run("--test", photos, "--limit", 1, "--rows", "gauss-1.0", "--json").stdout)
    assert [mean["lpips"] for mean in plain["means"]] == [None] * len(FILTERS)


def test_dists_is_measured_with_the_same_backbone(photos, lpips_files):
    weights = lpips_files[1].with_name("weights.pt")
    asked = ("--rows", "gauss-1.0,none", *lpips_files[:2], "--dists", weights, "--json")
    document = json.loads(run("--test", photos, "--limit", 1, *asked).stdout)
    figures = {(mean["row"], mean["restorer"]): mean["dists"] for mean in document["means"]}
    assert figures["none", "input"] == pytest.approx(0.0, abs=1e-5)
    assert figures["gauss-1.0", "input"] > figures["gauss-1.0", "Wiener, true kernel"] > 0
    assert f"--dists {weights}" in document["command"]
    assert {mean["lpips"] for mean in document["means"]} == {None}


def test_one_file_of_lpips_asks_for_the_other(photos, tmp_path):
    for given, lacking in (("lpips-backbone", "linear"), ("lpips-linear", "backbone"), ("dists", "backbone")):
        result = run("--test", photos, f"--{given}", tmp_path / "x.pth")
        assert isinstance(result.exception, ConfigError)
        assert f"give --lpips-{lacking} FILE" in str(result.exception)
        assert str(result.exception).endswith("FILE, too.")


def test_files_that_are_not_lpips_are_refused_before_the_work(photos, lpips_files, tmp_path):
    (tmp_path / "x.pth").write_bytes(b"no weights")
    for arguments in ((lpips_files[1], tmp_path / "x.pth"), (tmp_path / "x.pth", lpips_files[3])):
        result = run("--test", photos, "--lpips-backbone", arguments[0], "--lpips-linear", arguments[1])
        assert isinstance(result.exception, CorruptWeights)
        assert result.stdout == ""


# --- without the extras -----------------------------------------------------------------------------------

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "jaxtyping", "matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from acutance.cli.main import run
run()
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], ""),
        (["--lpips-backbone", "a.pth", "--lpips-linear", "b.pth"], how_to_get("train")),
        (["--plots", "plots"], how_to_get("plots")),
    ],
    ids=["tables", "LPIPS", "plots"],
)
def test_only_lpips_and_plots_need_an_extra(photos, arguments, message):
    command = [sys.executable, "-c", WITHOUT, "evaluate", "--test", str(photos), "--rows", "mix", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=photos)
    if message:
        assert done.returncode == 3
        assert message in done.stderr
        assert done.stdout == ""
    else:
        assert done.returncode == 0
        assert "PSNR (dB) / SSIM" in done.stdout
