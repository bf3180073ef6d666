"""The graph of integers against the network it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("onnx", reason="needs the extra `train`")

import onnx
import torch

from acutance.errors import ConfigError
from acutance.exporting.export import export_int8
from acutance.exporting.int8 import Range, calibrate, quantise
from acutance.exporting.onnx_graph import build_onnx
from acutance.inference.engine import open_engine
from acutance.inference.model_file import blend_files
from acutance.inference.onnx_engine import OnnxRuntimeEngine
from acutance.inference.tiling import restore_tiled
from acutance.networks.checkpoint_file import describe, generator_bytes
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.zoo.catalogue import ModelPaths

NESTED = GeneratorConfig(width=8, num_blocks=2, unshuffle=2, coarser=(CoarserScale(width=8, num_blocks=1),))
SHAPES = [
    NESTED,
    GeneratorConfig(width=8, num_blocks=1),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2),
    GeneratorConfig(width=8, num_blocks=1, activation="relu"),
    GeneratorConfig(width=8, num_blocks=1, block="stacked", global_residual=False),
    GeneratorConfig(width=8, num_blocks=1, block="classical"),
]


def network(config: GeneratorConfig, seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return Generator(config).eval()


def graph(config: GeneratorConfig, seed: int = 0) -> onnx.ModelProto:
    generator = network(config, seed)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    return build_onnx(generator, spec, half=True)


def pictures(count: int = 3, side: int = 48) -> list[np.ndarray]:
    """Smooth random pictures of 8 bits."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, 6, 6, 3), np.uint8)
    images = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in coarse]
    return [np.ascontiguousarray(image.transpose(2, 0, 1)[None].astype(np.float32) / 255) for image in images]


def integers(*models: onnx.ModelProto) -> bytes:
    content: bytes = quantise(models, calibrate(models, pictures())).SerializeToString()
    return content


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_integers_stay_near_the_floats(config: GeneratorConfig) -> None:
    model = graph(config)
    rounded, exact = (OnnxRuntimeEngine.from_bytes(content) for content in (integers(model), model.SerializeToString()))
    for picture in pictures():
        expected = exact.run(picture)
        spread = expected.max() - expected.min()
        error = np.abs(rounded.run(picture) - expected)
        assert error.max() < 0.15 * spread
        assert 0 < error.mean() < 0.03 * spread


def test_every_convolution_but_the_last_becomes_one_of_integers(tmp_path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(integers(graph(NESTED)), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == 3 + 2 * 3 + 1  # head, down, up; three blocks; the body's
    assert kinds.count("Conv") == 1
    assert kinds.count("QLinearAdd") == 3 + 1
    assert "LeakyRelu" not in kinds


def test_one_graph_serves_every_fidelity(tmp_path: Path) -> None:
    first, second = graph(NESTED), graph(NESTED, seed=1)
    paths = ModelPaths(fidelity=tmp_path / "a.onnx", perceptual=tmp_path / "b.onnx", int8=tmp_path / "a-int8.onnx")
    paths.fidelity.write_bytes(first.SerializeToString())
    paths.perceptual.write_bytes(second.SerializeToString())
    paths.int8.write_bytes(integers(first, second))
    picture = pictures()[0]
    for fidelity in (1.0, 0.6, 0.0):
        exact = open_engine(paths, engine="onnxruntime", precision="float32", fidelity=fidelity).run(picture)
        rounded = open_engine(paths, engine="onnxruntime", precision="int8", fidelity=fidelity).run(picture)
        spread = exact.max() - exact.min()
        assert np.abs(rounded - exact).mean() < 0.03 * spread


def test_scales_cover_both_networks() -> None:
    first, second = graph(NESTED), graph(NESTED, seed=1)
    second = onnx.load_from_string(blend_files(second.SerializeToString(), second.SerializeToString(), 0.0))
    for tensor in second.graph.initializer:
        if tensor.name.endswith("conv1.weight"):
            values = 4 * onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    content = onnx.load_from_string(integers(first, second))
    steps = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in content.graph.initializer}
    for model in (first, second):
        for tensor in model.graph.initializer:
            if tensor.name.endswith("conv1.weight"):
                largest = np.abs(onnx.numpy_helper.to_array(tensor).astype(np.float32)).max(axis=(1, 2, 3))
                assert (largest <= 127.01 * steps[f"{tensor.name}.wide.step"]).all()


@pytest.mark.parametrize("tile_px", [32, 40])
def test_tiles_of_integers_are_exact(tile_px: int) -> None:
    engine = OnnxRuntimeEngine.from_bytes(integers(graph(NESTED)))
    pixels = np.random.default_rng(3).integers(0, 256, (97, 130, 3), np.uint8)
    np.testing.assert_array_equal(
        restore_tiled(engine, pixels, tile_px=tile_px), restore_tiled(engine, pixels, tile_px=4096)
    )


def test_a_range_keeps_zero_and_rounds_to_its_steps() -> None:
    kept = Range(-0.5, 1.5)
    values = np.linspace(-0.5, 1.5, 1001, dtype=np.float32)
    rounded = kept.rounded(values)
    assert kept.rounded(np.zeros(1, np.float32))[0] == 0
    assert np.abs(rounded - values).max() <= 0.5001 * kept.step
    assert len(np.unique(rounded)) == 256
    assert kept.rounded(np.array([9.0], np.float32))[0] == pytest.approx(1.5, abs=2e-2)
    assert Range(0.0, 0.0).step == 1


def write_checkpoint(path: Path, config: GeneratorConfig) -> Path:
    generator = network(config)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    path.write_bytes(generator_bytes(generator, spec))
    return path


def test_export_measures_on_photos_of_any_kind_and_size(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "generator.safetensors", NESTED)
    random = np.random.default_rng(1)
    for index, shape in enumerate([(61, 50, 3), (400, 33), (33, 70, 3)]):
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(tmp_path / f"{index}.png")
    report = export_int8([checkpoint], tmp_path / "out.onnx", sorted(tmp_path.glob("*.png")))
    assert report.bytes == (tmp_path / "out.onnx").stat().st_size
    assert OnnxRuntimeEngine.from_bytes((tmp_path / "out.onnx").read_bytes()).spec == report.spec


def test_export_without_photos_or_of_two_architectures(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "a.safetensors", NESTED)
    other = write_checkpoint(tmp_path / "b.safetensors", SHAPES[1])
    with pytest.raises(ConfigError, match="at least one"):
        export_int8([checkpoint], tmp_path / "out.onnx", [])
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    with pytest.raises(ConfigError, match="to export as one differ"):
        export_int8([checkpoint, other], tmp_path / "out.onnx", [tmp_path / "photo.png"])
    assert not (tmp_path / "out.onnx").exists()
