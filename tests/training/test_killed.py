"""A run that is killed ten times ends with the weights of one that is not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.training.loop import CHECKPOINT_FILE, GENERATOR_FILE

SCRIPT = Path(__file__).with_name("killed_often.py")
KILLS = 10


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_run_killed_ten_times_ends_with_the_weights_of_one_that_was_not(photo_folder, tmp_path):
    (tmp_path / "photos").symlink_to(photo_folder, target_is_directory=True)
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(KILLS)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    whole, *killed, last = json.loads(done.stdout)
    assert (whole, last) == (0, 0), done.stderr
    assert len(killed) == KILLS
    assert killed.count(-signal.SIGKILL) > KILLS / 2, killed  # the others had ended by then; none failed
    assert set(killed) <= {0, -signal.SIGKILL}, done.stderr
    for name in (CHECKPOINT_FILE, GENERATOR_FILE):
        expected, found = (load_file(tmp_path / run / name) for run in ("whole", "run"))
        assert expected.keys() == found.keys()
        for key, tensor in expected.items():
            assert torch.equal(found[key], tensor), key
    lines = (tmp_path / "run" / "stats.jsonl").read_text().splitlines()
    steps = [line["iteration"] for line in map(json.loads, lines) if line["kind"] == "train"]
    assert steps == list(range(1, 41))  # those that were made again are recorded once
