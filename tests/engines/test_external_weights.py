"""Weights beside the graph, as torch's exporter writes them: read with it, kept with it, missed in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="networks of others are built with the extra 'torch'")

from tests.engines import alien_networks as alien  # noqa: E402

from acutance.downloads.fake import FakeServer  # noqa: E402
from acutance.engines.adding import add_model  # noqa: E402
from acutance.engines.external_weights import external_files, with_external_weights  # noqa: E402
from acutance.errors import CorruptWeights  # noqa: E402
from acutance.inference.sharpener import Sharpener  # noqa: E402


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACUTANCE_MODELS", str(tmp_path / "models"))


def saved_apart(folder: Path, *, location: str = "net.onnx.data") -> Path:
    """Save a network whose weights lie in a file of their own, behind bytes of something else."""
    folder.mkdir(exist_ok=True)
    path = folder / "net.onnx"
    model = onnx.load_from_string(alien.mean_of(3))
    (weight,) = model.graph.initializer
    (folder / "net.onnx.data").write_bytes(bytes(64) + weight.raw_data)
    told = {"location": location, "offset": "64", "length": str(len(weight.raw_data))}
    for key, value in told.items():
        weight.external_data.add(key=key, value=value)
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".toml").write_text('range = "0..1"\n')
    return path


def test_weights_beside_it_are_read(tmp_path: Path, photo) -> None:
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(alien.mean_of(3))
    whole.with_suffix(".toml").write_text('range = "0..1"\n')
    pixels = photo(40, 48)
    with Sharpener(whole, engine="onnxruntime") as one, Sharpener(saved_apart(tmp_path), engine="onnxruntime") as two:
        assert two.spec.parameters == one.spec.parameters
        np.testing.assert_array_equal(two(pixels), one(pixels))


def test_what_is_kept_is_one_file(tmp_path: Path, photo) -> None:
    path = saved_apart(tmp_path / "from")
    add_model(str(path))
    expected = Sharpener(path, engine="onnxruntime")(photo(40, 48))
    for file in path.parent.iterdir():
        file.unlink()
    np.testing.assert_array_equal(Sharpener("net", engine="onnxruntime")(photo(40, 48)), expected)


def test_a_graph_that_holds_its_weights_stays_as_it_is(tmp_path: Path) -> None:
    graph = alien.mean_of(3)
    assert external_files(graph) == ()
    assert with_external_weights(graph, tmp_path, name="net") is graph


@pytest.mark.parametrize(
    ("location", "content", "words"),
    [
        ("net.onnx.data", None, r"its weights lie in net\.onnx\.data, which cannot be read"),
        ("net.onnx.data", bytes(70), r"its weights in net\.onnx\.data are cut short"),
        ("../net.onnx.data", bytes(999), "outside its folder; only files beside it are read"),
        ("/etc/passwd", bytes(999), "outside its folder"),
        ("..\\net.onnx.data", bytes(999), "outside its folder"),
        ("C:\\net.onnx.data", bytes(999), "outside its folder"),
    ],
)
def test_weights_that_cannot_be_had_are_told(tmp_path: Path, location: str, content: bytes | None, words: str) -> None:
    path = saved_apart(tmp_path, location=location)
    beside = tmp_path / "net.onnx.data"
    if content is None:
        beside.unlink()
    else:
        beside.write_bytes(content)
    with pytest.raises(CorruptWeights, match=words):
        Sharpener(path, engine="onnxruntime")
    with pytest.raises(CorruptWeights, match=words):
        add_model(str(path))


def test_from_the_web_the_second_file_is_asked_for(tmp_path: Path) -> None:
    path = saved_apart(tmp_path)
    with (
        FakeServer({"net.onnx": path.read_bytes()}) as server,
        pytest.raises(CorruptWeights, match=r"lie in a file of their own, net\.onnx\.data; get that, too"),
    ):
        add_model(f"{server.address}/net.onnx")
