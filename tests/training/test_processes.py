"""Several processes train as one: the same losses and weights, and none is left waiting."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.data.photo_store import open_store
from acutance.errors import ConfigError, EngineUnavailable
from acutance.training.batch import Batch
from acutance.training.batches import own_part
from acutance.training.device import open_fabric
from acutance.training.loop import CHECKPOINT_FILE, train
from acutance.training.processes import check_processes

SCRIPT = Path(__file__).with_name("one_of_several.py")
spec = importlib.util.spec_from_file_location("one_of_several", SCRIPT)
one_of_several = importlib.util.module_from_spec(spec)
spec.loader.exec_module(one_of_several)

PATIENCE_S = 120
"""Nothing may hang; a busy machine is given its time."""

D_RATE = 1e-4
"""The discriminator's learning rate; it makes eight steps."""


def start(job, folder, *, count=2):
    """Start the processes as torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "GROUP_RANK": "0"}
    common |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "TORCHELASTIC_RUN_ID": "test"}
    return [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), job, str(folder)],
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def finish(processes):
    """Wait for all; return exit codes and what they said. None is left behind."""
    deadline = time.monotonic() + PATIENCE_S
    try:
        words = [process.communicate(timeout=max(deadline - time.monotonic(), 0.1))[1] for process in processes]
        return [process.returncode for process in processes], words
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def folder(photo_folder, tmp_path_factory):
    """A folder with photos, decoded, in which processes leave what they found."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "photos").symlink_to(photo_folder, target_is_directory=True)
    open_store(folder / "photos", folder / "store")
    return folder


@pytest.fixture(scope="module")
def several(folder):
    """What two processes gave."""
    codes, words = finish(start("all", folder))
    assert codes == [0, 0], "\n".join(words)
    return folder


@pytest.fixture(scope="module")
def alone(several, fabric):
    """What one process gives on the same batches; its losses by step."""
    ticks = []
    store = open_store(several / "photos", several / "store")
    train(one_of_several.settings(), store, several / "alone", fabric=fabric, on_tick=ticks.append)
    return [tick.loss for tick in ticks]


def test_normalisation_is_that_of_the_whole_batch(several):
    found, whole = one_of_several.normalised(one_of_several.whole_batch())
    parts = [torch.load(several / f"norm-{rank}.pt") for rank in range(2)]
    for name, expected in found.items():
        torch.testing.assert_close(torch.cat([part[0][name] for part in parts]), expected, rtol=1e-9, atol=1e-9)
    for name, expected in whole.items():
        values = [part[1][name] for part in parts]
        value = values[0] + values[1] if name.startswith("d") else values[0]
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: name + text)
    assert parts[0][1].keys() == whole.keys()


def test_losses_that_are_relative_are_so_to_the_whole_batch(several):
    """The mean over the processes is the loss; so the gradient of each is that of the whole, twice."""
    total, gradient = one_of_several.relative(one_of_several.whole_batch())
    parts = [torch.load(several / f"relative-{rank}.pt") for rank in range(2)]
    torch.testing.assert_close((parts[0][0] + parts[1][0]) / 2, total, rtol=1e-9, atol=0)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]) / 2, gradient, rtol=1e-7, atol=1e-9)


def test_losses_are_those_of_one_process(several, alone):
    losses = [torch.load(several / f"losses-{rank}.pt") for rank in range(2)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4
    assert losses[0] == pytest.approx(alone, rel=1e-5)


@pytest.fixture(scope="module")
def handed_over(several, fabric):
    """A run that two processes began and one ended."""
    store = open_store(several / "photos", several / "store")
    train(one_of_several.settings(), store, several / "handed-over", fabric=fabric, resume=True)


@pytest.mark.parametrize("run", ["straight", "handed-over"])
def test_weights_are_those_of_one_process(several, alone, handed_over, run):
    one, two = (load_file(several / folder / CHECKPOINT_FILE) for folder in ("alone", run))
    assert one.keys() == two.keys()
    assert any("norm1.running_var" in name for name in one)
    for name, tensor in one.items():
        scale = float(tensor.abs().max()) if name.startswith("optimizer.") else 0.0
        # Where D's features all lie on one side of the activation, normalisation takes the bias before it away again:
        # its gradient is rounding, of which Adam makes full steps. They move only means that are taken away.
        is_idle = name.startswith("discriminator.layers") and name.endswith(("conv.bias", "running_mean"))
        atol = 8 * D_RATE if is_idle else 2e-6 + 2e-4 * scale
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=atol, msg=lambda text, name=name: name + text)


def test_two_and_two_steps_of_two_processes_are_four(several):
    straight, parts = (load_file(several / name / CHECKPOINT_FILE) for name in ("straight", "parts"))
    assert straight.keys() == parts.keys()
    for name, tensor in straight.items():
        assert torch.equal(tensor, parts[name]), name


def test_a_step_that_one_cannot_take_nobody_takes(several):
    assert [torch.load(several / f"poisoned-{rank}.pt") for rank in range(2)] == [(False, True)] * 2


def test_a_run_that_is_measured_in_minutes_ends_in_all_at_once(several):
    first, second = (torch.load(several / f"timed-{rank}.pt") for rank in range(2))
    assert first == second >= 1


def test_only_the_first_writes(several, alone):
    lines = [(several / name / "stats.jsonl").read_text().splitlines() for name in ("alone", "straight")]
    kinds = [[json.loads(line)["kind"] for line in part] for part in lines]
    assert kinds[0] == kinds[1]
    assert (kinds[0].count("train"), kinds[0].count("validation")) == (4, 2)
    assert len(list((several / "straight" / "tensorboard").iterdir())) == 1


def test_what_the_first_refuses_all_refuse(several):
    words = [(several / f"refused-{rank}.txt").read_text() for rank in range(2)]
    assert words[0] == words[1]
    assert "--resume" in words[0]


def test_one_that_dies_takes_the_others_along(folder):
    codes, words = finish(start("crash", folder))
    assert all(code not in (0, None) for code in codes)
    assert "ZeroDivisionError" in words[1]
    assert "another process of this run ended" in words[0]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["batch=5"], "multiple of 2"),
        (["objective.game.kind=relativistic"], "relativistic"),
    ],
)
def test_what_needs_the_whole_batch_is_refused(overrides, words):
    config = one_of_several.settings(*overrides)
    check_processes(config, 1)
    with pytest.raises(ConfigError, match=words):
        check_processes(config, 2)


def test_alone_the_batch_is_not_touched(fabric):
    batch = Batch((torch.rand(4, 3, 2, 2), torch.rand(4, 3, 2, 2)))
    assert own_part(fabric, batch) is batch


def test_numbers_of_devices_that_cannot_be():
    with pytest.raises(ConfigError, match="devices = 0"):
        open_fabric("cpu", devices=0)
    if torch.cuda.is_available():
        with pytest.raises(EngineUnavailable, match="ask for fewer"):
            open_fabric("cuda", devices=1000)
