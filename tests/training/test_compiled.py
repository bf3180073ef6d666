"""Networks compiled by torch train as they do uncompiled.

In a process of its own: the checks of array shapes that the tests put around every function cannot be compiled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.training.loop import CHECKPOINT_FILE

PROGRAM = """
import sys
from acutance.cli.main import run
for sys.argv in {}:
    try:
        run()
    except SystemExit as ended:
        if ended.code:
            raise
"""
COMPILER = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_VEC_ISA_OK": "1"}
"""No processes beside, and no programs compiled to try what the processor has."""
SETTINGS = ("generator.width=4", "generator.num_blocks=1", "batch=2", "patch_px=16", "watch.held_out=0")


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with a C++ compiler, and there is none")
def test_compiled_networks_train_alike(photo_folder, tmp_path):
    lines = []
    for name, compiles in (("plain", "false"), ("compiled", "true")):
        words = ["train", "smoke", "--data", photo_folder, "--out", tmp_path / name, "--iterations", "2"]
        words += [part for setting in (*SETTINGS, f"compiles={compiles}") for part in ("--set", setting)]
        lines.append(["acutance", *map(str, words), "--device", "cpu"])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(lines)],
        env=os.environ | COMPILER | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cache").exists()
    plain, compiled = (load_file(tmp_path / name / CHECKPOINT_FILE) for name in ("plain", "compiled"))
    assert plain.keys() == compiled.keys()  # under the network's names, not the compiled one's
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled[name], tensor, rtol=1e-3, atol=1e-5, msg=name)
