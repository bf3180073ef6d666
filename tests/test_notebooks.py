"""The notebooks run from top to bottom in a process of their own, and print what they show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDS = {"photographer": (), "researcher": ("torch", "onnx", "lightning_fabric", "cattrs")}


def run(notebook: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    command = [sys.executable, "-W", "error", str(ROOT / "scripts" / "notebooks.py"), str(notebook)]
    return subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, encoding="utf-8", timeout=600
    )


def test_every_notebook_is_run() -> None:
    assert sorted(path.stem for path in ROOT.glob("docs/notebooks/*.ipynb")) == sorted(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_it_prints_what_it_shows(name: str) -> None:
    if missing := [module for module in NEEDS[name] if not find_spec(module)]:
        pytest.skip(f"needs {missing[0]}, of the extra `train`")
    folder = ROOT / "docs" / "notebooks"
    before = {path.name for path in folder.iterdir()}
    done = run(folder / f"{name}.ipynb")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path.name for path in folder.iterdir()} == before


def test_a_notebook_that_shows_something_else_is_refused(tmp_path: Path) -> None:
    def cell(source: str, shown: str) -> dict[str, object]:
        output = {"name": "stdout", "output_type": "stream", "text": [shown]}
        return {"cell_type": "code", "source": [source], "outputs": [output]}

    cells = [cell("psnr = 30.01; print(f'{psnr} dB')", "30.0 dB\n"), cell("print(psnr + 3)", "30.0\n")]
    path = tmp_path / "changed.ipynb"
    path.write_text(json.dumps({"cells": cells}), "utf-8")
    done = run(path)
    assert done.returncode == 1
    assert done.stdout == "changed.ipynb, cell 2: prints\n33.010000000000005\nbut shows\n30.0\n"
