"""Checkpoints: everything comes back, nothing foreign is taken, and the file is whole at every moment."""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from acutance.errors import CorruptWeights, OutputError
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.training.checkpoint import Progress, Trained, load_checkpoint, save_checkpoint
from acutance.training.ema import WeightAverage
from acutance.training.optimizers import OptimizerConfig, build_optimizers

CONFIG = GeneratorConfig(width=4, num_blocks=1, unshuffle=2)
PROGRESS = Progress(iteration=3, elapsed_s=1.25, images_seen=12)


def build(*, seed=0, steps=0, kind="muon", config=CONFIG):
    """Build everything that is trained, channels-last as the loop has it, and take some steps."""
    torch.manual_seed(seed)
    generator = Generator(config).to(memory_format=torch.channels_last)
    average = WeightAverage(generator, 1.0)
    optimizers = build_optimizers(OptimizerConfig(kind=kind), generator, last=generator.tail.weight)
    trained = Trained({"generator": generator, "average": average.model}, optimizers)
    for step in range(steps):
        generator(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(step))).square().mean().backward()
        for optimizer in trained.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        average.update(generator, batch=1, images_seen=step + 1)
    return trained


def tensors_of(trained):
    """List every tensor that the next step depends on, by a name of its own."""
    found = {
        f"{who}.{name}": tensor
        for who, network in trained.networks.items()
        for name, tensor in network.state_dict().items()
    }
    for number, optimizer in enumerate(trained.optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            found |= {f"o.{number}.{index}.{name}": tensor for name, tensor in moments.items()}
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


@pytest.mark.parametrize("kind", ["adam", "muon"])
@pytest.mark.parametrize("steps", [0, 3])
def test_everything_comes_back(path, kind, steps):
    saved, fresh = build(steps=steps, kind=kind), build(seed=9, kind=kind)
    save_checkpoint(path, saved, PROGRESS)
    assert load_checkpoint(path, fresh) == PROGRESS
    before, after = tensors_of(saved), tensors_of(fresh)
    assert before.keys() == after.keys()
    assert len(before) > 20 * bool(steps)
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name


def test_learning_rates_are_the_schedules_not_the_files(path):
    saved, fresh = build(steps=1), build()
    for group in saved.optimizers[1].param_groups:
        group["lr"] = 123.0
    save_checkpoint(path, saved, PROGRESS)
    load_checkpoint(path, fresh)
    assert fresh.optimizers[1].param_groups[0]["lr"] == OptimizerConfig().learning_rate


def test_the_old_file_stays_until_the_new_one_is_whole(path):
    save_checkpoint(path, build(steps=1), PROGRESS)
    before, old = path.read_bytes(), path.with_name("old")
    os.link(path, old)  # the very file: what is written into it would be seen here
    save_checkpoint(path, build(steps=2), PROGRESS)
    assert old.read_bytes() == before != path.read_bytes()


def test_a_place_where_none_can_be_written_is_named(path):
    path.mkdir()
    with pytest.raises(OutputError, match=f"{path}"):
        save_checkpoint(path, build(steps=1), PROGRESS)


def rewritten(path, change_tensors=None, change_metadata=None):
    """Save a checkpoint, then change what is in it."""
    save_checkpoint(path, build(steps=2), PROGRESS)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = tensors if change_tensors is None else change_tensors(tensors)
    metadata = metadata if change_metadata is None else change_metadata(metadata)
    save_file(tensors, path, metadata)


def without(*endings):
    return lambda values: {name: value for name, value in values.items() if not name.endswith(endings)}


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        (without("generator.tail.bias"), None),
        (without("average.tail.bias"), None),
        (lambda t: t | {"generator.extra": torch.zeros(1)}, None),
        (lambda t: t | {"optimizer.1.99.exp_avg": torch.zeros(1)}, None),
        (lambda t: t | {"optimizer.0.0.momentum": torch.zeros(2, 2)}, None),
        (lambda t: {name: value for name, value in t.items() if not name.startswith("optimizer.1.0.")}, None),
        (None, without("format")),
        (None, without("progress")),
        (None, lambda m: m | {"progress": "{"}),
        (None, lambda m: m | {"progress": json.dumps({"iteration": 1, "surplus": 2})}),
    ],
)
def test_incomplete_or_foreign_contents_are_refused(path, tensors, metadata):
    rewritten(path, tensors, metadata)
    with pytest.raises(CorruptWeights, match="not a checkpoint of this run"):
        load_checkpoint(path, build())


def test_a_file_that_was_cut_off_says_from_where_to_begin_anew(path):
    save_checkpoint(path, build(), PROGRESS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptWeights, match=r"is damaged or .*: --set start_from=.*generator\.safetensors\.$"):
        load_checkpoint(path, build())


def test_a_newer_format_is_refused(path):
    rewritten(path, change_metadata=lambda metadata: metadata | {"format": "2"})
    with pytest.raises(CorruptWeights, match="has format 2, this acutance reads 1"):
        load_checkpoint(path, build())


def test_a_checkpoint_of_another_network_is_refused(path):
    save_checkpoint(path, build(), PROGRESS)
    with pytest.raises(CorruptWeights, match="not a checkpoint of this run"):
        load_checkpoint(path, build(config=GeneratorConfig(width=5, num_blocks=1, unshuffle=2)))
