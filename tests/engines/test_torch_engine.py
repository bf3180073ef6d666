"""The torch engine gives what ONNX Runtime gives, from the same file. On the CPU, with 16 bits asked for where a GPU
would take them; what needs a GPU is marked so."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
onnx = pytest.importorskip("onnx", reason="needs the extra 'torch'")
pytest.importorskip("jaxtyping", reason="making generators needs the extra 'train'")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from acutance.engines.engine import EngineSettings  # noqa: E402
from acutance.engines.fake import FAKE_SPEC, Batch  # noqa: E402
from acutance.engines.onnx_engine import OnnxRuntimeEngine  # noqa: E402
from acutance.engines.opening import open_engine  # noqa: E402
from acutance.engines.torch_engine import TorchEngine  # noqa: E402
from acutance.errors import CorruptWeights, EngineError, OutOfMemory  # noqa: E402
from acutance.exporting.onnx_graph import build_onnx  # noqa: E402
from acutance.inference.tiling import restore_tiled  # noqa: E402
from acutance.networks.checkpoint_file import describe  # noqa: E402
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig  # noqa: E402
from acutance.spec import METADATA_KEY  # noqa: E402
from acutance.zoo.catalogue import find_model  # noqa: E402

CPU = torch.device("cpu")
NESTED = GeneratorConfig(
    width=8,
    num_blocks=2,
    unshuffle=2,
    coarser=(CoarserScale(width=8, num_blocks=1), CoarserScale(width=16, num_blocks=1)),
)
SHAPES = [
    NESTED,
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2),
    GeneratorConfig(width=8, num_blocks=2, block="classical", activation="relu", global_residual=False),
]


def generator_of(config: GeneratorConfig) -> Generator:
    torch.manual_seed(1)
    generator = Generator(config)
    for parameter in generator.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return generator.eval()


def file_of(generator: Generator) -> bytes:
    spec = describe(generator, name="test", training_data="none", licence="CC0-1.0")
    return build_onnx(generator, spec).SerializeToString()


def graph_of(*nodes: onnx.NodeProto, **constants: np.ndarray) -> bytes:
    """A file of any graph from `degraded` to `restored`."""
    values = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    ends = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", f"{name}_height", f"{name}_width"])
        for name in ("degraded", "restored")
    )
    graph = helper.make_graph(list(nodes), "test", *([end] for end in ends), values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: FAKE_SPEC.to_json()})
    return model.SerializeToString()


def open_on_cpu(file: bytes, **settings: object) -> TorchEngine:
    return TorchEngine.from_bytes(file, **{"device": CPU, **settings})


def noise(*shape: int) -> Batch:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def fast() -> bytes:
    return find_model("fast").fidelity.read_bytes()


def assert_like_onnx_runtime(file: bytes, batch: Batch) -> None:
    restored = open_on_cpu(file).run(batch)
    assert restored.dtype == np.float32
    assert restored.flags.c_contiguous
    np.testing.assert_allclose(restored, OnnxRuntimeEngine.from_bytes(file, 1).run(batch), rtol=0, atol=1e-5)


def test_the_shipped_model_is_that_of_onnx_runtime(fast: bytes) -> None:
    assert_like_onnx_runtime(fast, noise(2, 3, 40, 56))


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_every_kind_of_generator_is_that_of_onnx_runtime(config: GeneratorConfig) -> None:
    assert_like_onnx_runtime(file_of(generator_of(config)), noise(1, 3, 32, 48))


def test_weights_may_be_kept_in_16_bits() -> None:
    model = onnx.load_model_from_string(file_of(generator_of(NESTED)))
    for tensor in model.graph.initializer:
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}.half")
        cast = helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT)
        tensor.CopyFrom(half)
        model.graph.node.insert(0, cast)
    assert_like_onnx_runtime(model.SerializeToString(), noise(1, 3, 32, 48))


def test_tiles_are_exact_up_to_rounding(fast: bytes) -> None:
    engine = open_on_cpu(fast)
    pixels = noise(91, 83, 3)
    whole = restore_tiled(engine, pixels, tile_px=4096)
    np.testing.assert_allclose(restore_tiled(engine, pixels, tile_px=34), whole, rtol=0, atol=1e-5)


def test_spec_comes_from_the_file_and_a_closed_engine_says_so(fast: bytes) -> None:
    engine = open_on_cpu(fast)
    assert engine.spec == OnnxRuntimeEngine.from_bytes(fast).spec
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(noise(1, 3, 8, 8))


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x08" * 50])
def test_damaged_files(content: bytes) -> None:
    with pytest.raises(CorruptWeights, match=r"mine\.onnx"):
        TorchEngine.from_bytes(content, name="mine.onnx")


def test_truncated_file(fast: bytes) -> None:
    with pytest.raises(CorruptWeights):
        TorchEngine.from_bytes(fast[:100_000])


def test_files_of_others(fast: bytes) -> None:
    model = onnx.load_model_from_string(fast)
    del model.metadata_props[:]
    with pytest.raises(CorruptWeights, match="no acutance spec"):
        TorchEngine.from_bytes(model.SerializeToString())


WEIGHT = np.ones((3, 3, 3, 3), np.float32)
SCALES = np.array([1, 1, 2, 2], np.float32)


@pytest.mark.parametrize(
    ("node", "constants"),
    [
        (helper.make_node("Sigmoid", ["degraded"], ["restored"]), {}),
        (helper.make_node("DepthToSpace", ["degraded"], ["restored"], blocksize=1, mode="DCR"), {}),
        (helper.make_node("Conv", ["degraded", "w"], ["restored"], pads=[1, 1, 0, 0]), {"w": WEIGHT}),
        (helper.make_node("Conv", ["degraded", "w"], ["restored"], dilations=[2, 2]), {"w": WEIGHT}),
        (helper.make_node("Conv", ["degraded", "w"], ["restored"], group=3), {"w": WEIGHT[:, :1]}),
        (helper.make_node("Conv", ["degraded", "degraded"], ["restored"]), {}),
        (helper.make_node("Add", ["degraded", "w"], ["restored"]), {"w": WEIGHT}),
        (helper.make_node("Cast", ["degraded"], ["restored"], to=TensorProto.FLOAT), {}),
        (helper.make_node("Resize", ["degraded", "", "s"], ["restored"], mode="nearest"), {"s": SCALES}),
        (helper.make_node("Resize", ["degraded", "", "s"], ["restored"], mode="linear"), {"s": SCALES[::-1].copy()}),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_an_unknown_node_is_named(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> None:
    node.name = "odd one"
    with pytest.raises(EngineError, match=rf"mine: .*'odd one' \({node.op_type}\).*engine onnxruntime"):
        TorchEngine.from_bytes(graph_of(node, **constants), name="mine")


def test_a_wrong_batch_is_an_engine_error_and_nothing_is_printed(
    fast: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = open_on_cpu(fast)
    for shape in ((1, 4, 8, 8), (1, 3, 9, 8)):
        with pytest.raises(EngineError, match="torch failed: ") as raised:
            engine.run(noise(*shape))
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_lack_of_memory_is_said() -> None:
    """More than an address can reach, so that no machine has it."""
    node = helper.make_node("Resize", ["degraded", "", "s"], ["restored"], mode="linear")
    engine = open_on_cpu(graph_of(node, s=np.array([1, 1, 2**22, 2**22], np.float32)))
    with pytest.raises(OutOfMemory, match=r"1×3×8×8; use smaller tiles") as raised:
        engine.run(noise(1, 3, 8, 8))
    assert raised.value.__context__ is None  # nothing that keeps the activations alive


@pytest.mark.parametrize("compiles", [False, True])
def test_cuda_that_is_not_there(fast: bytes, compiles: bool) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(EngineError, match="engine torch: cuda cannot be used"):
        TorchEngine.from_bytes(fast, device=torch.device("cuda"), compiles=compiles)


def test_several_threads_at_once(fast: bytes) -> None:
    engine = open_on_cpu(fast)
    batches = [noise(1, 3, 16, 4 * side) for side in range(8, 16)]
    expected = [engine.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for restored, alone in zip(pool.map(engine.run, batches), expected, strict=True):
            np.testing.assert_allclose(restored, alone, rtol=0, atol=1e-6)


def test_the_number_of_threads_is_torchs_own(fast: bytes) -> None:
    before = torch.get_num_threads()
    try:
        open_on_cpu(fast, threads=before + 1)
        assert torch.get_num_threads() == before + 1
        open_on_cpu(fast)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_any_layout_of_the_input_is_taken_and_left_alone(fast: bytes) -> None:
    engine = open_on_cpu(fast)
    batch = noise(1, 3, 16, 24)
    expected = engine.run(batch)
    backwards = np.ascontiguousarray(batch[..., ::-1])[..., ::-1]
    backwards.flags.writeable = False
    np.testing.assert_array_equal(engine.run(backwards), expected)
    np.testing.assert_array_equal(backwards, batch)


@pytest.mark.parametrize(("number", "limit"), [(torch.float16, 3e-3), (torch.bfloat16, 3e-2)], ids=str)
def test_16_bits_are_close(fast: bytes, number: torch.dtype, limit: float) -> None:
    batch = noise(1, 3, 32, 48)
    restored = open_on_cpu(fast, number=number).run(batch)
    difference = np.abs(restored - open_on_cpu(fast).run(batch)).max()
    assert restored.dtype == np.float32
    assert 1e-5 < difference < limit  # it did compute in 16 bits, and well


@pytest.mark.parametrize("scale", [1, 2])
def test_the_picture_itself_never_passes_through_16_bits(scale: int) -> None:
    generator = generator_of(GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=scale))
    generator.tail.weight.data.zero_()
    generator.tail.bias.data.zero_()
    file = file_of(generator)
    batch = noise(1, 3, 16, 24)
    restored = open_on_cpu(file, number=torch.bfloat16).run(batch)
    np.testing.assert_array_equal(restored, open_on_cpu(file).run(batch))
    if scale == 1:
        np.testing.assert_array_equal(restored, batch)


def test_what_overflows_16_bits_is_computed_again() -> None:
    generator = generator_of(NESTED)
    generator.head.weight.data.mul_(1e6)  # features beyond 65 504, the largest float16
    file = file_of(generator)
    batch = noise(1, 3, 32, 32)
    restored = open_on_cpu(file, number=torch.float16).run(batch)
    assert np.isfinite(restored).all()
    np.testing.assert_array_equal(restored, open_on_cpu(file).run(batch))


def test_what_is_not_finite_in_float32_either_is_left_to_the_caller() -> None:
    generator = generator_of(NESTED)
    generator.tail.bias.data.fill_(float("nan"))
    restored = open_on_cpu(file_of(generator), number=torch.float16).run(noise(1, 3, 32, 32))
    assert np.isnan(restored).all()


# Importing its compiler, torch warns of its own code.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("has_compiler", [pytest.param(True, marks=pytest.mark.slow), False])
def test_compiled_or_not_gives_the_same(
    has_compiler: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if has_compiler and shutil.which("g++") is None:
        pytest.skip("torch compiles with a C++ compiler, and there is none")
    inductor = pytest.importorskip("torch._inductor.config")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    file = file_of(generator_of(GeneratorConfig(width=8, num_blocks=1, unshuffle=2)))
    plain, compiled = open_on_cpu(file), open_on_cpu(file, compiles=True)
    settings = {"compile_threads": 1, "cpp.vec_isa_ok": True}  # no processes beside, no programs to try the processor
    settings |= {} if has_compiler else {"cpp.cxx": ("no-such-compiler",)}
    with inductor.patch(settings):
        for shape in ((1, 3, 32, 48), (1, 3, 32, 48), (2, 3, 16, 18)):
            np.testing.assert_allclose(compiled.run(noise(*shape)), plain.run(noise(*shape)), rtol=0, atol=1e-5)
        with pytest.raises(EngineError, match="4 channels"):
            compiled.run(noise(1, 4, 8, 8))
    assert any(tmp_path.rglob("*.so")) == has_compiler
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_gpu_gives_nearly_what_onnx_runtime_gives(fast: bytes) -> None:
    engine = open_engine(find_model("fast"), EngineSettings(engine="torch"))
    expected = OnnxRuntimeEngine.from_bytes(fast).run(noise(1, 3, 96, 130))
    restored = engine.run(noise(1, 3, 96, 130))
    assert restored.flags.c_contiguous
    assert np.abs(restored - expected).max() < 3e-2
    engine.close()
    exact = TorchEngine.from_bytes(fast, number=torch.float32, compiles=False)
    assert np.abs(exact.run(noise(1, 3, 96, 130)) - expected).max() < 3e-3  # TF32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_that_is_full_says_so_and_goes_on() -> None:
    node = helper.make_node("Resize", ["degraded", "", "s"], ["restored"], mode="linear")
    engine = TorchEngine.from_bytes(graph_of(node, s=np.array([1, 1, 4096, 4096], np.float32)), compiles=False)
    with pytest.raises(OutOfMemory, match="cuda"):
        engine.run(noise(1, 3, 128, 128))
    assert engine.run(noise(1, 3, 1, 1)).shape == (1, 3, 4096, 4096)
