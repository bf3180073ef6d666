"""Models as ncnn's files: what ncnn gives for them, at sizes that are multiples of nothing, is what we give."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="models for ncnn need the extra 'ncnn'")
ncnn = pytest.importorskip("ncnn", reason="models for ncnn need the extra 'ncnn'")
pytest.importorskip("pnnx", reason="models for ncnn need the extra 'ncnn'")

from tests.engines import alien_networks as alien  # noqa: E402

from acutance.engines.onnx_engine import OnnxRuntimeEngine  # noqa: E402
from acutance.errors import ConfigError, CorruptWeights, OutputError  # noqa: E402
from acutance.exporting.onnx_graph import build_onnx  # noqa: E402
from acutance.networks.checkpoint_file import describe  # noqa: E402
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig  # noqa: E402
from acutance.packaging import ncnn_files  # noqa: E402
from acutance.packaging.programs import export_for  # noqa: E402

CONFIGS = {
    "of any size": GeneratorConfig(width=8, num_blocks=1),
    "multiples of four": GeneratorConfig(
        width=8, num_blocks=1, unshuffle=2, coarser=(CoarserScale(width=6, num_blocks=1),)
    ),
    "enlarging": GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2),
}


def network_file(folder: Path, config: GeneratorConfig) -> Path:
    torch.manual_seed(0)
    generator = Generator(config).eval()
    for parameter in generator.parameters():
        parameter.data.add_(0.03 * torch.randn_like(parameter))
    spec = describe(generator, name="net", training_data="none", licence="none")
    path = folder / "net.onnx"
    path.write_bytes(build_onnx(generator, spec).SerializeToString())
    return path


def run_ncnn(param: Path, tile: np.ndarray) -> np.ndarray:
    network = ncnn.Net()
    network.opt.num_threads = 1
    assert network.load_param(str(param)) == 0
    assert network.load_model(str(param.with_suffix(".bin"))) == 0
    extractor = network.create_extractor()
    extractor.input("data", ncnn.Mat(tile).clone())
    failed, restored = extractor.extract("output")
    assert not failed
    return np.array(restored)


@pytest.mark.parametrize("kind", CONFIGS)
def test_ncnn_gives_what_the_engine_gives(tmp_path: Path, kind: str) -> None:
    file = network_file(tmp_path, CONFIGS[kind])
    written = export_for("ncnn", file, tmp_path / "net-1x.param")
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx", "net-1x.param", "net-1x.bin"}
    assert written.bytes == sum((tmp_path / f"net-1x.{ending}").stat().st_size for ending in ("param", "bin"))
    engine = OnnxRuntimeEngine.from_bytes(file.read_bytes())
    spec = engine.spec
    for size in ((32, 32), (33, 47), (41, 34)):
        tile = np.random.default_rng(1).random((3, *size), np.float32)
        restored = run_ncnn(written.path, tile)
        assert restored.shape == (3, size[0] * spec.scale, size[1] * spec.scale)
        whole = np.pad(tile, [(0, 0), *((0, -side % spec.size_multiple) for side in size)], mode="edge")
        expected = engine.run(whole[np.newaxis])[0, :, : restored.shape[1], : restored.shape[2]]
        np.testing.assert_allclose(restored, expected, atol=4e-3)


def test_only_layers_that_upscayl_has_are_written(tmp_path: Path) -> None:
    """It is built without the others, and ends without a word where one is missing."""
    written = export_for("ncnn", network_file(tmp_path, CONFIGS["multiples of four"]), tmp_path / "net.param")
    kinds = {line.split()[0] for line in written.path.read_text().splitlines()[2:]}
    assert kinds == {"Input", "Split", "Padding", "Interp", "Crop", "Convolution", "BinaryOp", "PixelShuffle"}


def test_both_files_are_kept_unless_told(tmp_path: Path) -> None:
    file = network_file(tmp_path, CONFIGS["of any size"])
    (tmp_path / "net.bin").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"net\.bin"):
        export_for("ncnn", file, tmp_path / "net.param")
    assert not (tmp_path / "net.param").exists()
    assert (tmp_path / "net.bin").read_bytes() == b"mine"
    export_for("ncnn", file, tmp_path / "net.param", overwrite=True)
    assert (tmp_path / "net.bin").read_bytes() != b"mine"


def test_what_ncnn_cannot_be_given_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "net.param"
    with pytest.raises(ConfigError, match="is told what blurred the picture as a whole"):
        export_for("ncnn", "motion", target)
    with pytest.raises(ConfigError, match=r"takes files of \.param"):
        export_for("ncnn", "fast", tmp_path / "net.onnx")
    fixed = tmp_path / "net.onnx"
    fixed.write_bytes(alien.mean_of(3, shape=[1, 3, 32, 32]))
    fixed.with_suffix(".toml").write_text('range = "0..1"\n')
    with pytest.raises(ConfigError, match="ncnn gives tiles of many sizes"):
        export_for("ncnn", fixed, target)
    assert not target.exists()


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("Input in0 0 1 in0\nSigmoid a 1 1 in0 out0\n", "differs by"),
        ("Input in0 0 1 in0\nBNLL a 1 1 in0 out0\n", "has a layer BNLL, which Upscayl has not"),
        ("Input in0 0 1 in0\nInterp a 1 1 in0 out0 0=1 1=2.0 2=2.0\n", "cannot run"),
        ("Input in0 0 1 in0\nSplit a 1 1 in0 end\n", "of another form"),
    ],
)
def test_a_conversion_that_went_wrong_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: str, words: str
) -> None:
    file = network_file(tmp_path, CONFIGS["of any size"])
    monkeypatch.setattr(ncnn_files, "_converted", lambda *_, **__: (f"7767517\n2 2\n{layers}", b""))
    with pytest.raises(CorruptWeights, match=words):
        export_for("ncnn", file, tmp_path / "a.param")
    assert not (tmp_path / "a.param").exists()


def test_a_converter_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = network_file(tmp_path, CONFIGS["of any size"])
    failing = tmp_path / "pnnx"
    failing.write_text("#!/bin/sh\nexit 7\n")
    failing.chmod(0o755)
    modules = {"pnnx": SimpleNamespace(EXEC_PATH=str(failing)), "ncnn": ncnn}
    monkeypatch.setattr(ncnn_files, "_imported", modules.__getitem__)
    with pytest.raises(CorruptWeights, match=r"pnnx cannot convert it to ncnn \(it ended with 7\)"):
        export_for("ncnn", file, tmp_path / "a.param")
