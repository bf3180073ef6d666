from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acutance.engines.engine import EngineName, EngineSettings
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.engines.opening import fastest_engine, open_engine
from acutance.errors import ConfigError, CorruptWeights, EngineError, EngineUnavailable, UnknownModel
from acutance.zoo.catalogue import find_model


def test_spec_comes_from_the_file() -> None:
    engine = open_engine(find_model("fast"), EngineSettings(engine="onnxruntime", threads=1))
    assert engine.spec.name == "fast"
    assert (engine.spec.scale, engine.spec.size_multiple, engine.spec.halo_px) == (1, 4, 54)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(np.zeros((1, 3, 8, 8), np.float32))


def test_a_wrong_batch_is_an_engine_error() -> None:
    engine = open_engine(find_model("fast"), EngineSettings(engine="onnxruntime"))
    with pytest.raises(EngineError):
        engine.run(np.zeros((1, 4, 8, 8), np.float32))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"none\.onnx"):
        open_engine(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x08" * 50])
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(CorruptWeights):
        open_engine(path, EngineSettings(engine="onnxruntime"))


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(find_model("fast").fidelity.read_bytes()[:100_000])
    with pytest.raises(CorruptWeights):
        open_engine(path, EngineSettings(engine="onnxruntime"))


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="unknown"):
        open_engine(find_model("fast"), EngineSettings(engine="tpu"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="threads = 0"):
        open_engine(find_model("fast"), EngineSettings(threads=0))
    with pytest.raises(ConfigError, match=r"precision 'int8': unknown; there are auto, float32, bfloat16, float16\.$"):
        open_engine(find_model("fast"), EngineSettings(precision="int8"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"fidelity = 1\.5: must lie within"):
        open_engine(find_model("fast"), EngineSettings(fidelity=1.5))


def test_what_a_file_alone_cannot_give() -> None:
    path = find_model("fast").fidelity
    with pytest.raises(ConfigError, match=r"fast\.onnx has no perceptual weights"):
        open_engine(path, EngineSettings(fidelity=0.5))


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_an_engine_that_is_not_installed(engine: EngineName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acutance.engines.opening.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=rf"engine {engine}: .*pip install '{engine}>="):
        open_engine(find_model("fast"), EngineSettings(engine=engine))
    assert fastest_engine() == "onnxruntime"
    assert isinstance(open_engine(find_model("fast")), OnnxRuntimeEngine)


@pytest.mark.parametrize(("intel", "fastest"), [(True, "openvino"), (False, "onnxruntime")])
def test_the_fastest_engine_is_the_processors(
    intel: bool, fastest: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acutance.engines.opening.is_intel", lambda: intel)
    monkeypatch.setattr("acutance.engines.opening.find_spec", lambda name: name)
    assert fastest_engine() == fastest


def test_batches_of_several() -> None:
    engine = OnnxRuntimeEngine.from_bytes(find_model("fast").fidelity.read_bytes())
    batch = np.random.default_rng(0).random((3, 3, 16, 24), dtype=np.float32)
    together = engine.run(batch)
    assert together.shape == batch.shape
    np.testing.assert_allclose(together[1:2], engine.run(batch[1:2]), atol=1e-6)
