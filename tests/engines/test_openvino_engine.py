"""OpenVINO gives what ONNX Runtime gives, from the same file, and tiles are exact in it too."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("openvino", reason="needs the extra 'openvino'")

from acutance.engines.engine import EngineSettings
from acutance.engines.fake import FAKE_SPEC, Batch
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.engines.opening import chosen_precision, offered_precisions, open_engine
from acutance.engines.openvino_engine import OpenVinoEngine, computes_bfloat16
from acutance.engines.processor import multiplies_bfloat16
from acutance.errors import ConfigError, CorruptWeights, EngineError, OutOfMemory
from acutance.inference.tiling import restore_tiled
from acutance.spec import METADATA_KEY
from acutance.zoo.catalogue import find_model


def noise(*shape: int) -> Batch:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def fast() -> bytes:
    return find_model("fast").fidelity.read_bytes()


@pytest.fixture(scope="module")
def engine(fast: bytes) -> OpenVinoEngine:
    return OpenVinoEngine.from_bytes(fast, threads=2)


@pytest.fixture(scope="module")
def generated() -> dict[str, bytes]:
    """Small generators as files: one with nested scales, one that enlarges, one of the paper's kind."""
    torch = pytest.importorskip("torch", reason="making generators needs the extra 'train'")
    for needed in ("jaxtyping", "onnx"):
        pytest.importorskip(needed, reason="making generators needs the extra 'train'")
    from acutance.exporting.onnx_graph import build_onnx
    from acutance.networks.checkpoint_file import describe
    from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig

    scales = (CoarserScale(width=8, num_blocks=1), CoarserScale(width=16, num_blocks=1))
    configs = {
        "nested": GeneratorConfig(width=8, num_blocks=2, unshuffle=2, coarser=scales),
        "enlarging": GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2),
        "paper": GeneratorConfig(width=8, num_blocks=2, activation="relu", global_residual=False),
    }
    files = {}
    for name, config in configs.items():
        torch.manual_seed(1)
        generator = Generator(config).eval()
        for parameter in generator.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter))
        spec = describe(generator, name=name, training_data="none", licence="CC0-1.0")
        files[name] = build_onnx(generator, spec).SerializeToString()
    return files


def assert_like_onnx_runtime(file: bytes, batch: Batch) -> None:
    restored = OpenVinoEngine.from_bytes(file, 1).run(batch)
    assert restored.dtype == np.float32
    assert restored.flags.c_contiguous
    np.testing.assert_allclose(restored, OnnxRuntimeEngine.from_bytes(file, 1).run(batch), rtol=0, atol=1e-5)


def test_the_shipped_model_is_that_of_onnx_runtime(fast: bytes) -> None:
    assert_like_onnx_runtime(fast, noise(2, 3, 40, 56))


@pytest.mark.parametrize("name", ["nested", "enlarging", "paper"])
def test_every_kind_of_generator_is_that_of_onnx_runtime(generated: dict[str, bytes], name: str) -> None:
    assert_like_onnx_runtime(generated[name], noise(1, 3, 32, 48))


@pytest.mark.parametrize("tile_px", [32, 34, 57, 100, 128])
@pytest.mark.parametrize("size", [(151, 203), (96, 96), (1, 1), (1, 77), (3, 2), (130, 31)])
def test_tiled_is_whole_bit_for_bit(engine: OpenVinoEngine, size: tuple[int, int], tile_px: int) -> None:
    whole = restore_tiled(engine, picture(*size), tile_px=4096)
    np.testing.assert_array_equal(restore_tiled(engine, picture(*size), tile_px=tile_px), whole)


@pytest.mark.parametrize("name", ["nested", "enlarging", "paper"])
def test_floats_are_tiled_bit_for_bit_too(generated: dict[str, bytes], name: str) -> None:
    engine = OpenVinoEngine.from_bytes(generated[name], 2)
    pixels = noise(121, 143, 3)
    whole = restore_tiled(engine, pixels, tile_px=4096)
    for tile_px in (32, 50, 72):
        np.testing.assert_array_equal(restore_tiled(engine, pixels, tile_px=tile_px), whole)


needs_bfloat16 = pytest.mark.skipif(
    not multiplies_bfloat16(), reason="the processor does not multiply tiles of bfloat16 (AMX)"
)


@pytest.fixture(scope="module")
def rounding_engine(fast: bytes) -> OpenVinoEngine:
    return OpenVinoEngine.from_bytes(fast, threads=2, precision="bfloat16")


@needs_bfloat16
@pytest.mark.parametrize("tile_px", [128, 163, 277])
@pytest.mark.parametrize("size", [(300, 431), (97, 640)])
def test_tiles_of_bfloat16_are_exact_too(rounding_engine: OpenVinoEngine, size: tuple[int, int], tile_px: int) -> None:
    # Below about 200 px with their context, oneDNN takes another kernel, which sums in another order.
    whole = restore_tiled(rounding_engine, picture(*size), tile_px=4096)
    np.testing.assert_array_equal(restore_tiled(rounding_engine, picture(*size), tile_px=tile_px), whole)


@needs_bfloat16
def test_bfloat16_rounds_the_answer_and_never_the_picture(
    engine: OpenVinoEngine, rounding_engine: OpenVinoEngine
) -> None:
    # A ramp of steps far finer than bfloat16 has (1/256 between 0.5 and 1): they all arrive.
    row = np.linspace(0.6, 0.7, 256, dtype=np.float32)
    ramp = np.ascontiguousarray(np.broadcast_to(row, (1, 3, 64, 256)))
    rounded, exact = rounding_engine.run(ramp), engine.run(ramp)
    assert len(np.unique(rounded[0, 0, 32])) > 200
    assert np.sqrt(np.mean(np.square(rounded - exact))) < 0.5 / 255


@needs_bfloat16
def test_bfloat16_leaves_the_levels_of_a_smooth_sky_where_they_are(
    engine: OpenVinoEngine, rounding_engine: OpenVinoEngine
) -> None:
    rows, columns = np.mgrid[:128, :256]
    sky = np.rint(150 + rows / 30 + columns / 40).astype(np.float32) / 255
    batch = np.ascontiguousarray(np.broadcast_to(sky, (1, 3, 128, 256)))
    inner = np.s_[:, :, 20:-20, 20:-20]
    difference = (rounding_engine.run(batch) - engine.run(batch))[inner]
    assert np.sqrt(np.mean(np.square(difference))) < 0.15 / 255


def test_bfloat16_is_chosen_for_processors_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = find_model("fast")
    for is_made_for_it, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("acutance.engines.opening.multiplies_bfloat16", lambda answer=is_made_for_it: answer)
        assert chosen_precision("auto", "openvino") == expected
        assert chosen_precision("auto", "onnxruntime") == "float32"
    assert chosen_precision("float32", "openvino") == "float32"
    monkeypatch.setattr("acutance.engines.opening._computes_bfloat16", lambda: True)
    assert offered_precisions() == offered_precisions("openvino") == ("float32", "bfloat16")
    assert offered_precisions("onnxruntime") == ("float32",)
    assert isinstance(open_engine(paths, EngineSettings(precision="bfloat16", threads=1)), OpenVinoEngine)
    with pytest.raises(ConfigError, match="only engine openvino"):
        open_engine(paths, EngineSettings(engine="onnxruntime", precision="bfloat16"))


def test_a_processor_without_bfloat16_neither_offers_nor_takes_it(monkeypatch: pytest.MonkeyPatch, fast: bytes) -> None:
    engine = OpenVinoEngine.from_bytes(fast, threads=1, precision="bfloat16")
    computed_in = engine._compiled.get_property("INFERENCE_PRECISION_HINT")
    assert computes_bfloat16() == (computed_in.get_type_name() == "bf16")
    monkeypatch.setattr("acutance.engines.opening._computes_bfloat16", lambda: False)
    assert offered_precisions() == ("float32",)
    for chosen in ("auto", "openvino"):
        with pytest.raises(ConfigError, match="this processor lacks it"):
            open_engine(find_model("fast"), EngineSettings(engine=chosen, precision="bfloat16"))


def test_spec_comes_from_the_file_and_a_closed_engine_says_so(fast: bytes) -> None:
    engine = OpenVinoEngine.from_bytes(fast)
    assert engine.spec == OnnxRuntimeEngine.from_bytes(fast).spec
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(noise(1, 3, 8, 8))


def test_it_is_opened_by_its_name() -> None:
    assert isinstance(open_engine(find_model("fast"), EngineSettings(engine="openvino", threads=1)), OpenVinoEngine)


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x08" * 50])
def test_damaged_files(content: bytes) -> None:
    with pytest.raises(CorruptWeights, match=r"mine\.onnx"):
        OpenVinoEngine.from_bytes(content, name="mine.onnx")


def test_truncated_file(fast: bytes) -> None:
    with pytest.raises(CorruptWeights):
        OpenVinoEngine.from_bytes(fast[:100_000])


def test_files_of_others(fast: bytes) -> None:
    """The key of the metadata is renamed, so that there is no spec under it."""
    key = METADATA_KEY.encode()
    with pytest.raises(CorruptWeights, match="no acutance spec"):
        OpenVinoEngine.from_bytes(fast.replace(key, key[::-1]))


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (1, 3, 9, 8)])
def test_a_wrong_batch_is_an_engine_error(engine: OpenVinoEngine, shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="OpenVINO failed: ") as raised:
        engine.run(noise(*shape))
    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, OutOfMemory)


def test_a_lack_of_memory_is_said() -> None:
    """More than an address can reach, so that no machine has it; OpenVINO's own `infer` says nothing then."""
    onnx = pytest.importorskip("onnx", reason="making a graph needs it")
    names = ("degraded", "restored")
    ends = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3, f"{name}_h", f"{name}_w"])
        for name in names
    )
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2**20, 2**20], np.float32), "scales")
    node = onnx.helper.make_node("Resize", ["degraded", "", "scales"], ["restored"], mode="linear")
    graph = onnx.helper.make_graph([node], "test", *([end] for end in ends), [scales])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {METADATA_KEY: FAKE_SPEC.to_json()})
    engine = OpenVinoEngine.from_bytes(model.SerializeToString(), 1)
    with pytest.raises(OutOfMemory, match=r"1×3×16×16; use smaller tiles") as raised:
        engine.run(noise(1, 3, 16, 16))
    assert raised.value.__context__ is None  # nothing that keeps the request's memory


def test_several_threads_at_once(engine: OpenVinoEngine) -> None:
    batches = [noise(1, 3, 16, 4 * side) for side in range(8, 16)]
    expected = [engine.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for restored, alone in zip(pool.map(engine.run, batches), expected, strict=True):
            np.testing.assert_array_equal(restored, alone)


def test_a_result_outlives_the_next_run_and_the_engine(fast: bytes) -> None:
    engine = OpenVinoEngine.from_bytes(fast, 1)
    first = engine.run(noise(1, 3, 16, 16))
    kept = first.copy()
    engine.run(1 - noise(1, 3, 16, 16))
    engine.close()
    np.testing.assert_array_equal(first, kept)


def test_the_input_is_left_alone(engine: OpenVinoEngine) -> None:
    batch = noise(1, 3, 16, 24)
    batch.flags.writeable = False
    expected = engine.run(batch.copy())
    np.testing.assert_array_equal(engine.run(batch), expected)
    np.testing.assert_array_equal(batch, noise(1, 3, 16, 24))


def test_the_first_runs_of_a_process_may_come_from_several_threads() -> None:
    """OpenVINO's binding sets itself up in the first run; two at once have waited for each other for ever."""
    program = """
import threading
import numpy as np
from acutance.inference.sharpener import Sharpener
sharpener, start = Sharpener(engine="openvino", threads=1), threading.Barrier(4)
def run():
    start.wait()
    sharpener(np.zeros((32, 32, 3), np.uint8))
threads = [threading.Thread(target=run) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_ctrl_c_after_an_engine_was_closed_in_another_thread() -> None:
    """A core that is freed in another thread than made it ends the process at the next signal."""
    program = """
import gc, signal, threading
from acutance.engines.openvino_engine import OpenVinoEngine
from acutance.zoo.catalogue import find_model

engines = [OpenVinoEngine.from_bytes(find_model("fast").fidelity.read_bytes(), threads=1)]
closing = threading.Thread(target=lambda: (engines.pop().close(), gc.collect()))
closing.start()
closing.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr
