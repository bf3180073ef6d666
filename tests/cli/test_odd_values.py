"""Odd numbers and names on the command line are refused in words, not by a traceback and not as a bug."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.main import app, whole_program
from acutance.errors import AcutanceError

VERBS = {
    "sharpen": "photo.png -o b.png", "inspect": "photo.png", "kernel": "photo.png", "compare": "photo.png photo.png",
    "still": "none.mp4 --at 1 -o c.png", "bulk": "from to --plan", "evaluate": "--test from",
    "serve": "--data photo.png",
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_numbers_of_the_command_line(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (53, 37)).save("photo.png")
    Path("from").mkdir()
    for option in whole_program().commands[verb].params:
        if any(kind in str(option.type_descriptor.annotation) for kind in ("int", "float")):
            for word in ("nan", "inf", "-1", "1e300", ""):
                told = [verb, *VERBS[verb].split(), f"{max(option.opts, key=len)}={word}"]
                error = CliRunner().invoke(app, told).exception
                assert isinstance(error, SystemExit | AcutanceError), (told, error)
                code = error.code if isinstance(error, SystemExit) else error.exit_code
                assert code == 2 or (verb, word) == ("still", "1e300"), told  # no clip is that long


NAMING = (
    "sharpen {}", "inspect {}", "verify {}", "kernel {}", "compare {0} {0}", "still {} --at 1 -o o.png",
    "sharpen photo.png -o {}", "inspect photo.png --csv {}", "serve --data {}", "evaluate --test {}", "models add {}",
)  # fmt: skip


def test_names_that_no_system_takes(tmp_path):
    Image.new("RGB", (53, 37)).save(tmp_path / "photo.png")
    code = (
        "import sys\nfrom acutance.cli.main import run\n"
        f"for line in {NAMING!r}:\n"
        "    sys.argv = ['acutance', *line.format('x' * 300 + '.png').split()]\n"
        "    try: run()\n"
        "    except SystemExit as end: print(end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert set(done.stdout.split()) <= {"1", "2", "3"}
    assert len(done.stdout.split()) == len(NAMING)
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr
