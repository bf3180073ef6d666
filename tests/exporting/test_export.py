from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs the extra 'train'")

from acutance.engines.onnx_engine import OnnxRuntimeEngine  # noqa: E402
from acutance.engines.opening import open_engine  # noqa: E402
from acutance.errors import CorruptWeights, OutputError, WrongName  # noqa: E402
from acutance.exporting.export import PARITY_LIMIT, export_onnx, parity  # noqa: E402
from acutance.exporting.onnx_graph import build_onnx  # noqa: E402
from acutance.geometry import Size, plan_tiles  # noqa: E402
from acutance.networks.blocks import BlockKind  # noqa: E402
from acutance.networks.checkpoint_file import describe, generator_bytes  # noqa: E402
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig  # noqa: E402

COARSER = (CoarserScale(width=6, num_blocks=1), CoarserScale(width=10, num_blocks=2))

SHAPES = [
    GeneratorConfig(width=8, num_blocks=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=4, head_kernel=5),
    GeneratorConfig(width=8, num_blocks=1, head_kernel=9, tail_kernel=9, global_residual=False),
    GeneratorConfig(width=8, num_blocks=0, unshuffle=2, tail_kernel=1),
    GeneratorConfig(width=8, num_blocks=1, scale=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2, global_residual=False),
    *(
        GeneratorConfig(width=8, num_blocks=2, block=block, activation=activation, global_residual=False)
        for block in ("stacked", "classical", "improved")
        for activation in ("prelu", "relu", "leaky-relu")
    ),
    GeneratorConfig(width=8, num_blocks=1, block="classical", unshuffle=2),
    GeneratorConfig(width=8, num_blocks=2, block="stacked-bn", activation="relu", long_skip=False),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, biases=False),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, guides=3),
    GeneratorConfig(width=8, num_blocks=2, coarser=COARSER[:1]),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, coarser=COARSER),
    GeneratorConfig(width=8, num_blocks=0, unshuffle=2, coarser=COARSER[1:], scale=2),
    GeneratorConfig(width=8, num_blocks=3, block="classical", coarser=COARSER, global_residual=False),
    GeneratorConfig(width=8, num_blocks=1, block="stacked", activation="relu", coarser=COARSER),
]


def loud_generator(config: GeneratorConfig) -> Generator:
    """A generator whose every weight matters: random biases, slopes and statistics, no quiet branches."""
    torch.manual_seed(1)
    generator = Generator(config)
    for parameter in generator.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return generator.eval()


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_onnx_gives_what_torch_gives(config: GeneratorConfig) -> None:
    generator = loud_generator(config)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    model = build_onnx(generator, spec).SerializeToString()
    assert parity(generator, model) <= PARITY_LIMIT


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_only_plain_nodes_are_written(config: GeneratorConfig) -> None:
    """Each of them runs everywhere and is fused by engines; normalisation is folded away."""
    generator = loud_generator(config)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    kinds = [node.op_type for node in build_onnx(generator, spec).graph.node]
    assert set(kinds) <= {"Conv", "LeakyRelu", "Relu", "Add", "Identity", "DepthToSpace", "Resize", "Slice"}
    num_blocks = sum(scale.num_blocks for scale in config.scales)
    assert kinds.count("Conv") == 3 + 2 * num_blocks + 2 * len(config.coarser)  # a coarser scale's way down and up
    assert kinds.count("DepthToSpace") == len(config.coarser) + (config.unshuffle * config.scale > 1)
    activations = 1 + num_blocks * (2 if config.block in ("stacked", "stacked-bn") else 1)
    assert kinds.count("Relu" if config.activation == "relu" else "LeakyRelu") == activations


@pytest.mark.parametrize("coarser", [(), COARSER], ids=["flat", "nested"])
@pytest.mark.parametrize("block", ["stacked", "classical", "improved"])
def test_tiles_of_an_export_are_exact(block: BlockKind, coarser: tuple[CoarserScale, ...]) -> None:
    """A tile with the halo gives the whole picture's very pixels; batch normalisation does not stand in the way."""
    config = GeneratorConfig(width=16, num_blocks=2, block=block, coarser=coarser, global_residual=False)
    generator = loud_generator(config)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    engine = OnnxRuntimeEngine.from_bytes(build_onnx(generator, spec).SerializeToString(), 1)
    picture = np.random.default_rng(0).random((1, 3, 64, 96), dtype=np.float32)
    whole = engine.run(picture)
    tiled = np.empty_like(whole)
    for tile in plan_tiles(Size(64, 96), tile_px=24, halo_px=spec.halo_px, multiple=spec.size_multiple):
        rows, columns = tile.source.slices
        part = engine.run(np.ascontiguousarray(picture[..., rows, columns]))
        inner = tile.target.shifted(tile.source.top, tile.source.left).slices
        tiled[..., tile.target.slices[0], tile.target.slices[1]] = part[..., inner[0], inner[1]]
    engine.close()
    np.testing.assert_array_equal(tiled, whole)


@pytest.mark.parametrize(
    "config",
    [
        SHAPES[1],
        GeneratorConfig(width=8, num_blocks=1, block="classical"),
        GeneratorConfig(width=8, num_blocks=1, unshuffle=2, coarser=COARSER),
    ],
    ids=str,
)
def test_the_file_describes_itself(tmp_path: Path, config: GeneratorConfig) -> None:
    generator = loud_generator(config)
    spec = describe(generator, name="mine", training_data="noise", licence="CC0-1.0")
    checkpoint = tmp_path / "generator.safetensors"
    checkpoint.write_bytes(generator_bytes(generator, spec))
    report = export_onnx(checkpoint, tmp_path / "mine.onnx")
    assert open_engine(report.path).spec == spec == report.spec
    assert report.bytes == report.path.stat().st_size
    assert report.path.read_bytes() == build_onnx(generator, spec).SerializeToString(), "not reproducible"
    with pytest.raises(OutputError, match="exists"):
        export_onnx(checkpoint, tmp_path / "mine.onnx")


@pytest.mark.parametrize("name", ["mine.pth", "mine"])
def test_a_name_that_no_verb_would_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongName, match=rf"{name}: what is written is an ONNX file; .* ends in \.onnx"):
        export_onnx(tmp_path / "generator.safetensors", tmp_path / name)


def test_diverged_weights_are_not_exported(tmp_path: Path) -> None:
    generator = loud_generator(SHAPES[1])
    generator.tail.bias.data.fill_(float("nan"))
    spec = describe(generator, name="bad", training_data="none", licence="CC0-1.0")
    (tmp_path / "bad.safetensors").write_bytes(generator_bytes(generator, spec))
    with pytest.raises(CorruptWeights, match="differs from torch"):
        export_onnx(tmp_path / "bad.safetensors", tmp_path / "bad.onnx")
    assert not (tmp_path / "bad.onnx").exists()


def test_negative_slopes_survive() -> None:
    """A PReLU may learn any slope; LeakyReLU takes it as it is."""
    generator = loud_generator(SHAPES[0])
    generator.head_activation.weight.data.fill_(-0.7)
    spec = describe(generator, name="test", training_data="none", licence="CC0-1.0")
    assert parity(generator, build_onnx(generator, spec).SerializeToString()) <= PARITY_LIMIT
    assert np.isfinite(generator.head_activation.weight.item())


# --- without biases, and with guides ----------------------------------------------------------------------

BARE_AND_GUIDED = [
    GeneratorConfig(width=8, num_blocks=2, biases=False),
    GeneratorConfig(width=8, num_blocks=1, biases=False, unshuffle=2, coarser=COARSER),
    GeneratorConfig(width=8, num_blocks=1, biases=False, block="stacked", activation="relu"),
    GeneratorConfig(width=8, num_blocks=1, biases=False, unshuffle=2, scale=2),
    GeneratorConfig(width=8, num_blocks=1, guides=3),
    GeneratorConfig(width=8, num_blocks=1, guides=3, biases=False, unshuffle=2, coarser=COARSER),
    GeneratorConfig(width=8, num_blocks=1, guides=2, unshuffle=4, global_residual=False),
]


def exported(config: GeneratorConfig, *, half: bool = False) -> tuple[Generator, bytes]:
    generator = loud_generator(config)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    return generator, build_onnx(generator, spec, half=half).SerializeToString()


@pytest.mark.parametrize("config", BARE_AND_GUIDED, ids=str)
def test_bare_and_guided_networks_give_what_torch_gives(config: GeneratorConfig) -> None:
    generator, model = exported(config)
    assert parity(generator, model) <= PARITY_LIMIT
    engine = OnnxRuntimeEngine.from_bytes(model)
    assert engine.spec.guides == config.guides
    given = np.zeros((2, config.channels_in, 64, 64), np.float32)
    assert engine.run(given).shape == (2, 3, 64 * config.scale, 64 * config.scale)


@pytest.mark.parametrize("config", BARE_AND_GUIDED[:2] + BARE_AND_GUIDED[4:6], ids=str)
def test_the_engine_torch_runs_bare_and_guided_networks(config: GeneratorConfig) -> None:
    from acutance.engines.torch_graph import read_network

    generator, model = exported(config, half=False)
    given = torch.rand(1, config.channels_in, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(read_network(model)(given), generator(given), atol=1e-5, rtol=0)


def test_a_network_without_biases_keeps_the_scale_of_pictures_in_onnx_too() -> None:
    _, model = exported(BARE_AND_GUIDED[1])
    engine = OnnxRuntimeEngine.from_bytes(model)
    given = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    np.testing.assert_allclose(engine.run(given * np.float32(0.25)), engine.run(given) * 0.25, atol=1e-6)


def test_a_guided_network_removes_motion(tmp_path: Path) -> None:
    generator = loud_generator(GeneratorConfig(width=8, num_blocks=1, guides=3))
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    assert spec.task == "remove-motion"
    checkpoint = tmp_path / "generator.safetensors"
    checkpoint.write_bytes(generator_bytes(generator, spec))
    assert export_onnx(checkpoint, tmp_path / "model.onnx").spec == spec
