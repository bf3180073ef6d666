"""The numbers of ONNX files: the same that the `onnx` package finds, blended in place, and no damage gets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs the extra 'train'")
onnx = pytest.importorskip("onnx", reason="exporting needs the extra 'train'")

from acutance.engines.model_file import blend_files, find_numbers, read_spec  # noqa: E402
from acutance.engines.onnx_engine import OnnxRuntimeEngine  # noqa: E402
from acutance.errors import AcutanceError, ConfigError, CorruptWeights  # noqa: E402
from acutance.exporting.onnx_graph import build_onnx  # noqa: E402
from acutance.networks.checkpoint_file import describe  # noqa: E402
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig  # noqa: E402
from acutance.spec import METADATA_KEY, ModelSpec  # noqa: E402

FLAT = GeneratorConfig(width=4, num_blocks=1, unshuffle=2)
NESTED = GeneratorConfig(width=4, num_blocks=1, coarser=(CoarserScale(width=3, num_blocks=1),), scale=2)
STACKED = GeneratorConfig(width=4, num_blocks=2, block="stacked", global_residual=False)
CONFIGS = [FLAT, NESTED, STACKED]


def build(config: GeneratorConfig, *, seed: int = 0) -> Generator:
    """A generator whose every number is its own: random biases and slopes, too."""
    torch.manual_seed(seed)
    generator = Generator(config)
    for parameter in generator.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return generator.eval()


def describe_tiny(generator: Generator) -> ModelSpec:
    return describe(generator, name="tiny", training_data="noise", licence="Apache-2.0")


def exported(config: GeneratorConfig, *, seed: int = 0, half: bool = False) -> bytes:
    generator = build(config, seed=seed)
    return build_onnx(generator, describe_tiny(generator), half=half).SerializeToString()


def numbers_by_onnx(file: bytes) -> dict[str, np.ndarray]:
    """What the `onnx` package finds of weights, biases and float settings of nodes."""
    graph = onnx.load_from_string(file).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor).ravel() for tensor in graph.initializer}
    weights = {name: values for name, values in tensors.items() if name.endswith((".weight", ".bias"))}
    floats = {
        f"{node.name}.{attribute.name}": np.array([attribute.f], np.float32)
        for node in graph.node
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.FLOAT
    }
    return weights | floats


# --- finding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_finds_what_onnx_finds(config: GeneratorConfig, half: bool) -> None:
    file = exported(config, half=half)
    found, expected = find_numbers(file), numbers_by_onnx(file)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        read = found[name].read(file)
        assert read.dtype == values.dtype, name
        np.testing.assert_array_equal(read, values)
    kinds = {str(values.dtype) for values in expected.values()}
    assert kinds == ({"float16", "float32"} if half else {"float32"})


def test_every_trained_number_is_found() -> None:
    """Slopes are attributes of nodes, not tensors: they count as well."""
    generator = build(NESTED)
    file = build_onnx(generator, describe_tiny(generator)).SerializeToString()
    counts = {name: numbers.read(file).size for name, numbers in find_numbers(file).items()}
    assert sum(counts.values()) == sum(parameter.numel() for parameter in generator.parameters())
    slopes = {name: numbers.read(file).item() for name, numbers in find_numbers(file).items() if "alpha" in name}
    assert slopes["blocks.0.blocks.0.activation.alpha"] == generator.blocks[0].blocks[0].activation.weight.item()


def test_tensors_that_are_no_weights_are_left_alone() -> None:
    assert "enlarge.scales" in exported(NESTED).decode("latin-1")
    assert "enlarge.scales" not in find_numbers(exported(NESTED))


# --- the spec ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_spec_is_that_of_the_generator(config: GeneratorConfig) -> None:
    assert read_spec(exported(config)) == describe_tiny(build(config))


def with_metadata(entries: dict[str, str]) -> bytes:
    model = onnx.load_from_string(exported(FLAT))
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, entries)
    content: bytes = model.SerializeToString()
    return content


def test_other_entries_do_not_hide_the_spec() -> None:
    spec = describe_tiny(build(FLAT))
    entries = {"author": "somebody", METADATA_KEY: spec.to_json(), "": "", "note": "é" * 300}
    assert read_spec(with_metadata(entries)) == spec


@pytest.mark.parametrize("entries", [{}, {"author": "somebody"}, {"acutance": "spec"}], ids=str)
def test_a_file_without_a_spec_is_refused_by_name(entries: dict[str, str]) -> None:
    with pytest.raises(CorruptWeights, match=r"mine\.onnx: has no acutance spec inside; give a file that"):
        read_spec(with_metadata(entries), name="mine.onnx")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "cannot be read"), ("{", "cannot be read"), ('{"format": 99}', "upgrade"), ('{"format": 1}', "missing")],
)
def test_a_spec_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorruptWeights, match=message):
        read_spec(with_metadata({METADATA_KEY: text}))


def test_a_task_that_is_no_more_is_refused() -> None:
    """Run as a task that it was not made for, a network would do something else without a word."""
    text = describe_tiny(build(FLAT)).to_json().replace('"task": "sharpen"', '"task": "remove-shake"')
    with pytest.raises(CorruptWeights, match="task is 'remove-shake', this acutance knows sharpen, "):
        read_spec(with_metadata({METADATA_KEY: text}))


def test_damage_is_reported_by_name() -> None:
    with pytest.raises(CorruptWeights, match=r"mine\.onnx: is no ONNX file, or is damaged; get the file again"):
        read_spec(exported(FLAT)[:-10], name="mine.onnx")
    with pytest.raises(CorruptWeights, match="has no acutance spec"):
        read_spec(b"", name="empty.onnx")


# --- blending ---------------------------------------------------------------------------------------------


def blended_state(first: Generator, second: Generator, share: float) -> Generator:
    """Blend in torch, as the reference."""
    other = second.state_dict()
    state = {name: torch.lerp(value, other[name], share) for name, value in first.state_dict().items()}
    blend = Generator(first.config).eval()
    blend.load_state_dict(state)
    return blend


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_blend_opens_and_gives_what_the_blended_weights_give(config: GeneratorConfig, share: float) -> None:
    first, second = build(config), build(config, seed=1)
    engine = OnnxRuntimeEngine.from_bytes(blend_files(exported(config), exported(config, seed=1), share), 1)
    batch = np.random.default_rng(0).random((2, 3, 12, 8), dtype=np.float32)
    with torch.no_grad():
        expected = blended_state(first, second, share)(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(engine.run(batch), expected, atol=1e-5 * max(1.0, np.abs(expected).max()))
    assert engine.spec == describe_tiny(first)  # the first's description stays
    engine.close()


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_nothing_but_the_numbers_changes(half: bool) -> None:
    first, second = exported(NESTED, half=half), exported(NESTED, seed=1, half=half)
    assert blend_files(first, second, 0.0) == first
    other = bytearray(blend_files(first, second, 1.0))
    for name, numbers in find_numbers(second).items():
        np.testing.assert_array_equal(find_numbers(bytes(other))[name].read(other), numbers.read(second))
    for numbers in find_numbers(first).values():
        other[numbers.start : numbers.end] = first[numbers.start : numbers.end]
    assert other == first


def test_the_files_given_stay_as_they_are() -> None:
    first, second = exported(FLAT), exported(FLAT, seed=1)
    before = bytes(bytearray(first)), bytes(bytearray(second))
    blend_files(first, second, 0.5)
    assert (first, second) == before


def test_slopes_are_blended_as_settings_of_nodes() -> None:
    generators = build(FLAT), build(FLAT, seed=1)
    for generator, slope in zip(generators, (0.25, -0.75), strict=True):
        generator.head_activation.weight.data.fill_(slope)
    files = [build_onnx(generator, describe_tiny(generator)).SerializeToString() for generator in generators]
    slopes = [numbers_by_onnx(blend_files(*files, share))["head_activation.alpha"] for share in (0.0, 0.5, 1.0)]
    assert slopes == [0.25, -0.25, -0.75]


@pytest.mark.parametrize("kinds", [(True, True), (True, False), (False, True)], ids=str)
def test_numbers_are_blended_in_float64_and_kept_in_the_first_files_type(kinds: tuple[bool, bool]) -> None:
    files = exported(FLAT, half=kinds[0]), exported(FLAT, seed=1, half=kinds[1])
    blend = numbers_by_onnx(blend_files(*files, 0.3))
    first, second = (numbers_by_onnx(file) for file in files)
    assert {name: values.dtype for name, values in blend.items()} == {name: v.dtype for name, v in first.items()}
    for name, values in blend.items():
        expected = 0.7 * first[name].astype(np.float64) + 0.3 * second[name].astype(np.float64)
        np.testing.assert_array_equal(values, expected.astype(values.dtype))


def test_either_end_is_exact_whatever_the_sizes() -> None:
    """By way of a difference, a number beside a far greater one would be lost."""
    generators = build(FLAT), build(FLAT, seed=1)
    generators[0].tail.bias.data.fill_(1e20)
    generators[1].tail.bias.data.fill_(1e-20)
    files = [build_onnx(generator, describe_tiny(generator)).SerializeToString() for generator in generators]
    np.testing.assert_array_equal(numbers_by_onnx(blend_files(*files, 1.0))["tail.bias"], np.float32(1e-20))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(FLAT, num_blocks=2), r"blocks\.1\.activation\.alpha is in only one of them"),
        (replace(FLAT, num_blocks=0), r"blocks\.0\.activation\.alpha is in only one of them"),
        (replace(FLAT, activation="relu"), r"blocks\.0\.activation\.alpha is in only one of them"),
        (replace(FLAT, block="stacked"), r"blocks\.0\.activation2\.alpha is in only one of them"),
        (replace(FLAT, coarser=NESTED.coarser), r"blocks\.0\..* is in only one of them"),
        (replace(FLAT, width=5), r"head\.weight has 432 and 540 numbers"),
        (replace(FLAT, unshuffle=1), r"head\.weight has 432 and 108 numbers"),
        (replace(FLAT, scale=2), r"tail\.weight has 432 and 1728 numbers"),
    ],
)
def test_networks_of_two_architectures_are_refused(other: GeneratorConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=f"the two models to blend differ: {message}; give two of one architecture"):
        blend_files(exported(FLAT), exported(other), 0.5)


def test_a_model_without_weights_is_refused() -> None:
    model = onnx.load_from_string(exported(FLAT))
    del model.graph.initializer[:], model.graph.node[:]
    with pytest.raises(ConfigError, match=r"blocks\.0\.activation\.alpha is in only one of them"):
        blend_files(exported(FLAT), model.SerializeToString(), 0.5)


# --- damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_first", [True, False])
def test_numbers_that_are_not_finite_are_refused(value: float, is_first: bool) -> None:
    generator = build(FLAT)
    generator.tail.bias.data[1] = value
    bad = build_onnx(generator, describe_tiny(generator)).SerializeToString()
    files = (bad, exported(FLAT)) if is_first else (exported(FLAT), bad)
    with pytest.raises(CorruptWeights, match=r"tail\.bias is not finite; get them again"):
        blend_files(*files, 0.5)


def test_numbers_too_large_for_16_bits_are_refused() -> None:
    generator = build(FLAT, seed=1)
    generator.tail.weight.data.fill_(1e6)
    large = build_onnx(generator, describe_tiny(generator)).SerializeToString()
    with pytest.raises(CorruptWeights, match=r"tail\.weight is not finite"):
        blend_files(exported(FLAT, half=True), large, 0.5)


def test_tensors_that_end_within_a_number_are_refused() -> None:
    model = onnx.load_from_string(exported(FLAT))
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "tail.bias")
    tensor.raw_data = tensor.raw_data[:-1]
    for call in (find_numbers, lambda file: blend_files(file, exported(FLAT), 0.5)):
        with pytest.raises(CorruptWeights, match="no ONNX file, or is damaged"):
            call(model.SerializeToString())


@pytest.mark.parametrize(
    "content",
    [
        b"\x0b",  # a group, which no ONNX file has
        b"\x3a",  # a graph without a length
        b"\x3a\x05\x2a\x09",  # an initializer longer than its graph
        b"\x3a" + b"\xff" * 9 + b"\x7f",  # a length of more than 64 bits
        b"\x3a" + b"\xff" * 11,
        b"\x0d\x00\x00",  # half a float
        b"\x3a\x04\x2a\x02\x42\xff",  # a name longer than its tensor
        b"\x3a\x05\x2a\x03\x42\x01\xff",  # a name that is no text
    ],
    ids=bytes.hex,
)
def test_bytes_that_are_no_message_are_refused(content: bytes) -> None:
    with pytest.raises(CorruptWeights, match="no ONNX file, or is damaged"):
        find_numbers(content)


def truncate(file: bytearray, random: np.random.Generator) -> None:
    del file[int(random.integers(len(file))) :]


def flip_a_bit(file: bytearray, random: np.random.Generator) -> None:
    file[int(random.integers(len(file)))] ^= 1 << int(random.integers(8))


def scribble(file: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(len(file)))
    file[start : start + 8] = random.bytes(len(file[start : start + 8]))


def cut_out(file: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(len(file)))
    del file[start : start + int(random.integers(1, 100))]


@pytest.mark.parametrize("harm", [truncate, flip_a_bit, scribble, cut_out])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_damage_gives_an_error_of_ours_or_a_result(
    harm: Callable[[bytearray, np.random.Generator], None], half: bool
) -> None:
    """In a network so small that most of its file is names, lengths and the spec."""
    config = GeneratorConfig(width=1, num_blocks=1, coarser=(CoarserScale(width=1, num_blocks=1),))
    good, other = exported(config, half=half), exported(config, seed=1, half=half)
    random = np.random.default_rng(0)
    messages = []
    for _ in range(150):
        content = bytearray(good)
        harm(content, random)
        bad = bytes(content)
        for call in (
            lambda: find_numbers(bad),  # noqa: B023 - called at once
            lambda: read_spec(bad),  # noqa: B023
            lambda: blend_files(bad, other, 0.5),  # noqa: B023
            lambda: blend_files(other, bad, 0.5),  # noqa: B023
        ):
            try:
                call()
            except AcutanceError as error:
                messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)
