"""Models that a user adds: kept with their card, found by name by every verb and the server, and removed again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx", reason="networks of others are built with the extra 'torch'")

from tests.engines import alien_networks as alien

from acutance.cli.main import app
from acutance.downloads.fake import FakeServer
from acutance.engines.adding import add_model
from acutance.errors import ConfigError, CorruptWeights, DownloadError, UnknownModel
from acutance.inference.sharpener import Sharpener
from acutance.zoo.catalogue import find_model
from acutance.zoo.own_models import check_own_model, list_own_models, remove_model


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("ACUTANCE_MODELS", str(folder))
    return folder


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(alien.mean_of(3))
    path.with_suffix(".toml").write_text('range = "0..255"\nlicence = "MIT"\n')
    return path


def test_a_model_is_kept_and_found_by_name(net: Path, own_folder: Path) -> None:
    card = add_model(str(net), name="soft", summary="blurs", sha256=hashlib.sha256(net.read_bytes()).hexdigest())
    assert (card.name, card.source, card.summary) == ("soft", str(net), "blurs")
    assert {fact["what"]: fact["source"] for fact in card.facts}["range"] == "told"
    assert list_own_models() == (card,)
    net.unlink()  # the original is needed no more
    assert find_model("soft").fidelity == own_folder / "soft.onnx"
    with Sharpener("soft", engine="onnxruntime", threads=1) as sharpener:
        assert (sharpener.spec.name, sharpener.spec.licence, sharpener.spec.halo_px) == ("soft", "MIT", 1)
        assert (sharpener(np.full((20, 20, 3), 90, np.uint8)) == 90).all()
    remove_model("soft")
    assert list_own_models() == ()
    assert list(own_folder.iterdir()) == []
    with pytest.raises(UnknownModel, match="'soft': unknown"):
        find_model("soft")


def test_an_ending_in_capitals_is_one(net: Path) -> None:
    loud = net.with_name("LOUD.ONNX")
    net.rename(loud)
    assert find_model(loud).fidelity == loud
    with pytest.raises(UnknownModel, match="no such file"):
        find_model(net.with_name("NONE.ONNX"))


def test_a_model_of_acutance_is_kept_as_it_is() -> None:
    shipped = find_model("fast").fidelity
    add_model(str(shipped), name="mine")
    with Sharpener("mine", engine="onnxruntime") as mine, Sharpener("fast", engine="onnxruntime") as fast:
        assert mine.spec.name == "mine"
        assert mine.spec.weights_sha256 == fast.spec.weights_sha256
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        np.testing.assert_array_equal(mine(pixels), fast(pixels))


def test_a_model_comes_from_the_web(net: Path, tmp_path: Path) -> None:
    content = net.read_bytes()
    with FakeServer({"net.onnx": content}) as server:
        with pytest.raises(DownloadError, match="gave a wrong file"):
            add_model(f"{server.address}/net.onnx", sha256="0" * 64, settings=net.with_suffix(".toml"))
        assert list_own_models() == ()
        card = add_model(f"{server.address}/net.onnx", settings=net.with_suffix(".toml"))
    assert (card.name, card.source_sha256) == ("net", hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"sha256": "0" * 64}, CorruptWeights, "its sha256 is"),
        ({"sha256": "12"}, ConfigError, "'12' is not a hash; it has 64 hexadecimal digits"),
        ({"name": "fast"}, ConfigError, "is the name of a shipped model"),
        ({"name": "shake"}, ConfigError, "is the name of a shipped model"),
        ({"name": "auto"}, ConfigError, "is what chooses a model for each photo"),
        ({"name": "../out"}, ConfigError, "must be 1 to 64 letters"),
    ],
)
def test_what_cannot_be_kept_is_refused(net: Path, own_folder: Path, settings, error, words: str) -> None:
    with pytest.raises(error, match=words):
        add_model(str(net), **settings)
    assert not own_folder.exists()


def test_other_sources_are_refused(net: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not an \.onnx file"):
        add_model(str(tmp_path / "net.bin"))
    with pytest.raises(UnknownModel, match="cannot be read"):
        add_model(str(tmp_path / "none.onnx"))
    add_model(str(net))
    with pytest.raises(ConfigError, match="net: is there already"):
        add_model(str(net))


def test_changed_files_and_cards_are_noticed(net: Path, own_folder: Path) -> None:
    card = add_model(str(net))
    (own_folder / "net.onnx").write_bytes(b"other")
    with pytest.raises(CorruptWeights, match="is not the file that was added"):
        check_own_model(card)
    (own_folder / "net.json").write_text("{}")
    with pytest.raises(CorruptWeights, match="is no card of a model"):
        list_own_models()


def test_the_verbs_add_list_use_and_remove(net: Path, tmp_path: Path, photo) -> None:
    from PIL import Image

    runner = CliRunner()
    added = runner.invoke(app, ["models", "add", str(net), "--json"])
    assert added.exit_code == 0, added.output
    assert json.loads(added.stdout)["name"] == "net"
    listed = json.loads(runner.invoke(app, ["models", "--json"]).stdout)
    assert [row["name"] for row in listed][-1] == "net"
    assert "its tiles are exact" in runner.invoke(app, ["models"], env={"COLUMNS": "300"}).stdout
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(photo(30, 40)).save(source)
    done = runner.invoke(app, ["sharpen", str(source), "-o", str(target), "--model", "net"])
    assert done.exit_code == 0, done.output
    assert np.asarray(Image.open(target)).std() < photo(30, 40).std()
    assert runner.invoke(app, ["models", "remove", "net"]).exit_code == 0
    assert list_own_models() == ()


def test_the_server_offers_it(net: Path) -> None:
    pytest.importorskip("fastapi")
    from acutance.server.models import ModelSettings, OpenedModels

    add_model(str(net), summary="blurs")
    models = OpenedModels(ModelSettings(engine="onnxruntime", max_pixels=10**6))
    offered = {model.name: model for model in models.offered}
    assert [model.name for model in models.offered[:2]] == ["auto", "fast"]
    assert offered["net"].summary == "blurs"
    models.close()
