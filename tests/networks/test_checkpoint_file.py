"""A generator survives its file bit for bit, and no damaged or foreign file passes for one."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load, save, save_file

from acutance.errors import CorruptWeights, InputError
from acutance.networks.checkpoint_file import (
    GENERATOR_KEY,
    describe,
    generator_bytes,
    load_generator,
    weights_sha256,
)
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.spec import METADATA_KEY, ModelSpec

CONFIG = GeneratorConfig(width=4, num_blocks=1, unshuffle=2, head_kernel=5)
COARSER = (CoarserScale(width=3, num_blocks=1), CoarserScale(width=2, num_blocks=0))
NESTED = GeneratorConfig(width=4, num_blocks=2, unshuffle=2, coarser=COARSER)


def build(config=CONFIG, *, seed=0):
    torch.manual_seed(seed)
    return Generator(config)


def spec_of(generator, **changes):
    spec = describe(generator, name="tiny", training_data="noise", licence="Apache-2.0")
    return dataclasses.replace(spec, **changes)


@pytest.fixture
def written(tmp_path):
    """A whole file."""
    path = tmp_path / "tiny.safetensors"
    generator = build()
    path.write_bytes(generator_bytes(generator, spec_of(generator)))
    return path


def config_metadata(config, **changes):
    """Make a generator's metadata, with other values in the JSON of its config."""
    values = dataclasses.asdict(config) | changes
    return {METADATA_KEY: spec_of(build(config)).to_json(), GENERATOR_KEY: json.dumps(values)}


def rewrite(path, *, state=None, metadata=None):
    """Write the tiny generator's file with other tensors or other metadata."""
    generator = build()
    entries = {
        METADATA_KEY: spec_of(generator).to_json(),
        GENERATOR_KEY: json.dumps(dataclasses.asdict(CONFIG)),
    }
    save_file(generator.state_dict() if state is None else state, path, entries if metadata is None else metadata)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        GeneratorConfig(width=3, num_blocks=2, global_residual=False),
        GeneratorConfig(width=2, scale=2),
        GeneratorConfig(width=3, num_blocks=1, block="classical"),
        GeneratorConfig(width=3, num_blocks=1, block="stacked", activation="leaky-relu"),
        NESTED,
        GeneratorConfig(width=3, num_blocks=0, block="classical", coarser=COARSER[:1]),
    ],
    ids=str,
)
def test_round_trip_is_exact(tmp_path, config):
    generator = build(config)
    generator(torch.rand(2, 3, 8, 8))  # moving statistics move
    generator.eval()
    spec = spec_of(generator)
    path = tmp_path / "g.safetensors"
    path.write_bytes(generator_bytes(generator, spec))
    loaded, loaded_spec = load_generator(path)
    assert loaded.config == config
    assert loaded_spec == spec
    assert not loaded.training
    assert loaded.state_dict().keys() == generator.state_dict().keys()
    for name, tensor in generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
        assert loaded.state_dict()[name].dtype == tensor.dtype, name
    degraded = torch.rand(1, 3, 8, 8)
    assert torch.equal(loaded(degraded), generator(degraded))


def test_spec_says_what_the_network_is():
    generator = build()
    spec = spec_of(generator)
    assert spec.task == "sharpen"
    assert spec.scale == 1
    assert spec.size_multiple == 2
    assert spec.halo_px == CONFIG.halo_px
    assert spec.receptive_radius_px == CONFIG.receptive_radius_px
    assert spec.macs_per_pixel == CONFIG.macs_per_pixel
    assert spec.parameters == sum(parameter.numel() for parameter in generator.parameters())
    assert spec_of(build(GeneratorConfig(width=2, scale=2))).task == "sharpen-and-enlarge"


def test_tensors_and_hash_do_not_depend_on_memory_layout():
    plain, turned = build(), build().to(memory_format=torch.channels_last)
    assert not turned.head.weight.is_contiguous()
    assert weights_sha256(plain.state_dict()) == weights_sha256(turned.state_dict())
    first, second = (load(generator_bytes(network, spec_of(network))) for network in (plain, turned))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert spec_of(plain) == spec_of(turned)


def test_hash_knows_numbers_names_and_shapes():
    base = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    others = [
        {"a": torch.zeros(2, 3), "b": torch.full((1,), 1.0000001)},
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(2, 3)},
    ]
    hashes = {weights_sha256(state) for state in (base, *others)}
    assert len(hashes) == 5
    assert weights_sha256(dict(reversed(base.items()))) == weights_sha256(base)


def test_hash_is_that_of_names_shapes_and_float32_bytes():
    """Files written by every version so far carry it: it may never change for floating-point tensors."""
    state = {"b": torch.ones(1, dtype=torch.float64), "a": torch.arange(6.0).reshape(2, 3)}
    content = b"a(2, 3)" + np.arange(6, dtype=np.float32).tobytes() + b"b(1,)" + np.ones(1, np.float32).tobytes()
    assert weights_sha256(state) == hashlib.sha256(content).hexdigest()


def test_counts_beyond_float32_stay_exact(tmp_path):
    generator = build(GeneratorConfig(width=3, num_blocks=1, block="classical"))
    hashes = []
    for count in (2**24, 2**24 + 1):  # the same number in float32
        generator.blocks[0].norm1.num_batches_tracked.fill_(count)
        path = tmp_path / f"{count}.safetensors"
        path.write_bytes(generator_bytes(generator, spec_of(generator)))
        loaded, spec = load_generator(path)
        assert loaded.blocks[0].norm1.num_batches_tracked.item() == count
        hashes.append(spec.weights_sha256)
    assert hashes[0] != hashes[1]


def test_files_from_before_there_were_kinds_of_block_load(tmp_path):
    path, generator = tmp_path / "old.safetensors", build()
    config = dataclasses.asdict(CONFIG)
    del config["block"], config["activation"]
    rewrite(path, metadata={METADATA_KEY: spec_of(generator).to_json(), GENERATOR_KEY: json.dumps(config)})
    loaded, _ = load_generator(path)
    assert loaded.config == CONFIG
    assert loaded.config.block == "improved"


def test_files_from_before_there_were_coarser_scales_load(tmp_path):
    path, metadata = tmp_path / "old.safetensors", config_metadata(CONFIG)
    config = json.loads(metadata[GENERATOR_KEY])
    assert config.pop("coarser") == []
    rewrite(path, metadata=metadata | {GENERATOR_KEY: json.dumps(config)})
    loaded, _ = load_generator(path)
    assert loaded.config == CONFIG
    assert loaded.config.coarser == ()


def test_missing_file_is_the_users_mistake(tmp_path):
    with pytest.raises(InputError, match="no such checkpoint"):
        load_generator(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="no such checkpoint"):
        load_generator(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 8, 200, -4000, -4, -1])
def test_truncated_files_are_refused(written, kept):
    written.write_bytes(written.read_bytes()[:kept])
    with pytest.raises(CorruptWeights, match="not a generator"):
        load_generator(written)


def test_one_changed_weight_is_noticed(written):
    content = bytearray(written.read_bytes())
    content[-2] ^= 1
    written.write_bytes(content)
    with pytest.raises(CorruptWeights, match="not those that its record describes"):
        load_generator(written)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_flipped_byte_gives_other_weights_or_another_error(tmp_path_factory, data):
    generator = build()
    content = bytearray(generator_bytes(generator, spec_of(generator)))
    position = data.draw(st.integers(0, len(content) // 4) | st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flipped") / "g.safetensors"
    path.write_bytes(content)
    try:
        loaded, _ = load_generator(path)
    except CorruptWeights:
        return
    # A letter of its name, licence or training data is all that may differ.
    assert weights_sha256(loaded.state_dict()) == weights_sha256(generator.state_dict())
    assert loaded.config == CONFIG


@pytest.mark.parametrize(
    "content", [b"not a checkpoint", save({"a": torch.zeros(1)}), save({"a": torch.zeros(1)}, {"some": "other"})]
)
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(CorruptWeights, match="not a generator written by acutance"):
        load_generator(path)


def test_missing_and_surplus_tensors_are_refused(tmp_path):
    path, state = tmp_path / "g.safetensors", build().state_dict()
    rewrite(path, state={name: tensor for name, tensor in state.items() if name != "tail.bias"})
    with pytest.raises(CorruptWeights, match=r"tail\.bias"):
        load_generator(path)
    rewrite(path, state=state | {"extra": torch.zeros(1)})
    with pytest.raises(CorruptWeights, match="extra"):
        load_generator(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 5},
        {"unshuffle": 3},
        {"head_kernel": 4},
        {"surplus": 1},
        {"width": "4"},
        {"block": "stacked"},
        {"activation": "relu"},
        {"block": "other"},
    ],
    ids=str,
)
def test_a_config_of_another_network_is_refused(tmp_path, changes):
    path, generator = tmp_path / "g.safetensors", build()
    config = dataclasses.asdict(CONFIG) | changes
    rewrite(path, metadata={METADATA_KEY: spec_of(generator).to_json(), GENERATOR_KEY: json.dumps(config)})
    with pytest.raises(CorruptWeights):
        load_generator(path)


@pytest.mark.parametrize(
    "coarser",
    [
        None,
        3,
        "ab",
        {"width": 3, "num_blocks": 1},
        [3],
        [[3, 1]],
        [{"width": 3}],
        [{"width": 3, "num_blocks": 1, "surplus": 1}],
        [{"width": 0, "num_blocks": 1}],
        [{"width": "3", "num_blocks": 1}],
        [{"width": 3.5, "num_blocks": 1}],
        [{"width": 3, "num_blocks": -1}],
        [{"width": 3, "num_blocks": None}],
        [{"width": 3, "num_blocks": 1}],
        [{"width": 2, "num_blocks": 0}, {"width": 3, "num_blocks": 1}],
        [],
    ],
    ids=str,
)
def test_coarser_scales_of_another_network_are_refused(tmp_path, coarser):
    path = tmp_path / "g.safetensors"
    rewrite(path, state=build(NESTED).state_dict(), metadata=config_metadata(NESTED, coarser=coarser))
    with pytest.raises(CorruptWeights, match="not a generator written by acutance"):
        load_generator(path)


def test_the_state_of_a_run_is_not_taken_for_its_result(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_file({"generator.head.weight": torch.zeros(3)}, path, {"format": "1", "progress": "{}"})
    with pytest.raises(CorruptWeights, match=r"what a run goes on from, not its result; give generator\.safetensors"):
        load_generator(path)


@pytest.mark.parametrize("text", ["3", "null", "[]", '"config"', "{", "true"])
def test_a_config_that_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "g.safetensors"
    rewrite(path, metadata=config_metadata(CONFIG) | {GENERATOR_KEY: text})
    with pytest.raises(CorruptWeights, match="not a generator written by acutance"):
        load_generator(path)


@pytest.mark.parametrize(
    "changes", [{"halo_px": 2}, {"weights_sha256": ""}, {"scale": 2}, {"size_multiple": 1}], ids=str
)
def test_a_record_of_another_network_is_refused(tmp_path, changes):
    """A halo that is too small would show as seams: the record must be what the network really needs."""
    path, generator = tmp_path / "g.safetensors", build()
    spec: ModelSpec = spec_of(generator, **changes)
    path.write_bytes(generator_bytes(generator, spec))
    with pytest.raises(CorruptWeights, match="not those that its record describes"):
        load_generator(path)


def test_a_newer_record_asks_for_an_upgrade(tmp_path):
    path, generator = tmp_path / "g.safetensors", build()
    record = json.loads(spec_of(generator).to_json()) | {"format": 99}
    config = json.dumps(dataclasses.asdict(CONFIG))
    rewrite(path, metadata={METADATA_KEY: json.dumps(record), GENERATOR_KEY: config})
    with pytest.raises(CorruptWeights, match="upgrade acutance"):
        load_generator(path)
