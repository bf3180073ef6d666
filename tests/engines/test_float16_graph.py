"""Our networks in float16: the same file, rounded inside, with the picture itself as it is."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs the extra 'train'")
onnx = pytest.importorskip("onnx", reason="exporting needs the extra 'train'")

from onnx.reference import ReferenceEvaluator  # noqa: E402

from acutance.engines.float16_graph import in_float16  # noqa: E402
from acutance.engines.model_file import read_spec  # noqa: E402
from acutance.engines.onnx_engine import OnnxRuntimeEngine  # noqa: E402
from acutance.exporting.onnx_graph import build_onnx  # noqa: E402
from acutance.networks.checkpoint_file import describe  # noqa: E402
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig  # noqa: E402
from acutance.zoo.catalogue import find_model, list_models  # noqa: E402

CONFIGS = [
    GeneratorConfig(width=4, num_blocks=1, unshuffle=2),
    GeneratorConfig(width=4, num_blocks=1, coarser=(CoarserScale(width=3, num_blocks=1),), scale=2),
    GeneratorConfig(width=4, num_blocks=2, block="stacked"),
]


def exported(config: GeneratorConfig, *, half: bool = False) -> bytes:
    torch.manual_seed(0)
    generator = Generator(config).eval()
    for parameter in generator.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    spec = describe(generator, name="tiny", training_data="noise", licence="Apache-2.0")
    return build_onnx(generator, spec, half=half).SerializeToString()


def picture(model: bytes) -> np.ndarray:
    spec = read_spec(model)
    return np.random.default_rng(0).random((1, 3 * (1 + spec.guides), 16, 24), dtype=np.float32)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("config", CONFIGS)
def test_a_network_computes_in_float16_and_adds_the_picture_in_float32(config: GeneratorConfig, half: bool) -> None:
    model = exported(config, half=half)
    rounded = in_float16(model)
    assert rounded is not None
    onnx.checker.check_model(onnx.load_from_string(rounded), full_check=True)
    assert read_spec(rounded) == read_spec(model)
    batch = picture(model)
    expected = OnnxRuntimeEngine.from_bytes(model, 1).run(batch)
    restored = ReferenceEvaluator(onnx.load_from_string(rounded)).run(None, {"degraded": batch})[0]
    assert restored.dtype == np.float32
    answer = np.abs(expected).max()
    assert 0 < np.abs(restored - expected).max() < 4e-3 * answer
    np.testing.assert_allclose(OnnxRuntimeEngine.from_bytes(rounded, 1).run(batch), expected, atol=4e-3 * answer)


def test_its_convolutions_are_in_float16_and_its_last_sum_is_not() -> None:
    rounded = in_float16(exported(CONFIGS[0], half=True))
    assert rounded is not None
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(rounded)).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output, *graph.input)}
    convolved = [node.output[0] for node in graph.node if node.op_type == "Conv"]
    assert {types[name] for name in convolved} == {onnx.TensorProto.FLOAT16}
    assert {types[name] for name in graph.node[-1].input} == {onnx.TensorProto.FLOAT}
    assert {tensor.data_type for tensor in graph.initializer} == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("name", [row.name for row in list_models()])
def test_every_shipped_model_has_it_within_half_a_level(name: str) -> None:
    model = find_model(name).fidelity.read_bytes()
    rounded = in_float16(model)
    assert rounded is not None
    batch = picture(model)
    restored = ReferenceEvaluator(onnx.load_from_string(rounded)).run(None, {"degraded": batch})[0]
    assert np.abs(restored - OnnxRuntimeEngine.from_bytes(model, 1).run(batch)).max() < 0.5 / 255


def test_what_is_not_of_our_form_is_left_alone() -> None:
    without_sum = exported(GeneratorConfig(width=4, num_blocks=1, global_residual=False))
    assert in_float16(without_sum) is None
    changed = onnx.load_from_string(exported(CONFIGS[0]))
    changed.graph.node[1].op_type = "Softmax"
    for unknown in (changed.SerializeToString(), b"", b"\xff\xff", exported(CONFIGS[0])[:-40]):
        assert in_float16(unknown) is None or unknown == b""
