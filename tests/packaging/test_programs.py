"""Models for other programs: what those look for is there, and what they cannot run is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx", reason="models for other programs need the extra 'torch'")

from tests.engines import alien_networks as alien

from acutance.cli.main import app
from acutance.engines.model_file import read_spec
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.errors import ConfigError, CorruptWeights, OutputError, UnknownModel
from acutance.packaging.programs import Program, export_for
from acutance.zoo.catalogue import find_model


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACUTANCE_MODELS", str(tmp_path / "models"))


def opened(file: bytes, **sides: int) -> onnxruntime.InferenceSession:
    """Open a network as darktable does: its axes by name, for one size of tile."""
    options = onnxruntime.SessionOptions()
    for axis, side in sides.items():
        options.add_free_dimension_override_by_name(axis, side)
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("model", "task", "network", "is_exact"),
    [("fast", "denoise", "model.onnx", True), ("fast-x2", "upscale", "model_x2.onnx", False)],
)
def test_an_archive_for_darktable(tmp_path: Path, model: str, task: str, network: str, is_exact: bool) -> None:
    written = export_for("darktable", model, tmp_path / "a.dtmodel")
    assert written.has_exact_tiles is is_exact
    with zipfile.ZipFile(written.path) as archive:
        folder = f"{task}-acutance-{model}"
        assert archive.namelist()[0].split("/")[0] == folder  # the first entry names the model
        assert sorted(archive.namelist()) == sorted(
            f"{folder}/{name}" for name in ("README.md", "config.json", network)
        )
        config = json.loads(archive.read(f"{folder}/config.json"))
        card = archive.read(f"{folder}/README.md").decode()
        file = archive.read(f"{folder}/{network}")
    assert {"id", "name", "description", "task", "backend", "version"} <= set(config)
    assert (config["id"], config["task"], config["backend"]) == (folder, task, "onnx")
    assert "| Model license | Apache-2.0 |" in card
    scale = written.spec.scale
    session = opened(file, **dict.fromkeys(config["spatial_dims"], 256))
    assert session.get_inputs()[0].shape[2:] == [256, 256]
    tile = np.random.default_rng(0).random((1, 3, 256, 256), np.float32)
    (restored,) = session.run(None, {session.get_inputs()[0].name: tile})
    assert restored.shape == (1, 3, 256 * scale, 256 * scale)
    assert file == find_model(model).fidelity.read_bytes()


def test_tiles_as_darktable_cuts_them_are_exact_for_fast(tmp_path: Path) -> None:
    """Tiles of 256 px that keep what is 64 px from their borders give the very pixels of the whole."""
    with zipfile.ZipFile(export_for("darktable", "fast", tmp_path / "a.dtmodel").path) as archive:
        session = opened(archive.read("denoise-acutance-fast/model.onnx"))
    picture = np.random.default_rng(0).random((1, 3, 256, 384), np.float32)
    (whole,) = session.run(None, {"degraded": picture})
    (tile,) = session.run(None, {"degraded": np.ascontiguousarray(picture[..., 128:])})
    np.testing.assert_allclose(tile[..., 64:, 64:128], whole[..., 64:, 192:256], atol=1e-6)


@pytest.mark.parametrize("model", ["fast", "fast-x2"])
def test_a_file_for_chainner(tmp_path: Path, model: str) -> None:
    written = export_for("chainner", model, tmp_path / "a.onnx", name="mine")
    assert not written.has_exact_tiles
    assert read_spec(written.path.read_bytes(), name="a").name == "mine"


def test_networks_of_others_go_on(tmp_path: Path) -> None:
    net = tmp_path / "net.onnx"
    net.write_bytes(alien.mean_of(3))
    net.with_suffix(".toml").write_text('range = "0..255"\n')
    written = export_for("darktable", net, tmp_path / "a.dtmodel")
    with zipfile.ZipFile(written.path) as archive:
        session = opened(archive.read("denoise-acutance-net/model.onnx"), height=64, width=64)
    grey = np.full((1, 3, 64, 64), 0.5, np.float32)
    restored = session.run(None, {session.get_inputs()[0].name: grey})[0]
    np.testing.assert_allclose(restored[..., 2:-2, 2:-2], 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("program", "model", "name", "error", "words"),
    [
        ("darktable", "motion", "a.dtmodel", ConfigError, "is told what blurred the picture as a whole"),
        ("chainner", "motion", "a.onnx", ConfigError, "is told what blurred the picture as a whole"),
        ("darktable", "fast", "a.onnx", ConfigError, r"takes files of \.dtmodel"),
        ("chainner", "fast", "a.dtmodel", ConfigError, r"takes files of \.onnx"),
        ("darktable", "nothing", "a.dtmodel", UnknownModel, "unknown"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, *, program: Program, model: str, name: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        export_for(program, model, tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("make", "told", "words"),
    [
        (lambda: alien.mean_of(3, shape=[1, 3, 64, 64], out=[1, 3, 64, 64]), "", "takes 64×64 px alone"),
        (lambda: alien.mean_of(3), "multiple = 7\n", "takes multiples of 7 px; darktable gives tiles of 2048"),
    ],
)
def test_sizes_that_darktable_does_not_give_are_refused(tmp_path: Path, make, told: str, words: str) -> None:
    net = tmp_path / "net.onnx"
    net.write_bytes(make())
    net.with_suffix(".toml").write_text('range = "0..1"\n' + told)
    with pytest.raises(ConfigError, match=words):
        export_for("darktable", net, tmp_path / "a.dtmodel")


def test_names_and_places_are_checked(tmp_path: Path) -> None:
    target = tmp_path / "a.dtmodel"
    with pytest.raises(ConfigError, match="must be 1 to 64 letters"):
        export_for("darktable", "fast", target, name="../a")
    target.write_bytes(b"mine")
    with pytest.raises(OutputError):
        export_for("darktable", "fast", target)
    assert target.read_bytes() == b"mine"
    damaged = tmp_path / "net.onnx"
    damaged.write_bytes(b"no network")
    with pytest.raises(CorruptWeights):
        export_for("darktable", damaged, target, overwrite=True)


def test_the_verb_says_what_the_tiles_are_worth(tmp_path: Path) -> None:
    runner = CliRunner()
    target = str(tmp_path / "a.dtmodel")
    done = runner.invoke(app, ["export", "fast", "-o", target, "--for", "darktable", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["program"], told["context_px"], told["has_exact_tiles"]) == ("darktable", 64, True)
    done = runner.invoke(app, ["export", "fast-x2", "-o", target, "--for", "darktable", "--overwrite"])
    assert "the borders of tiles may be seen" in done.stderr
    refused = runner.invoke(app, ["export", "fast", "-o", target, "--for", "darktable", "--half"])
    assert refused.exit_code != 0
