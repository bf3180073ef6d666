"""Streams as shells, services and full disks leave them: a sentence and an exit code, never "this is a bug"."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="streams are closed and full as on Linux")


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line in which `acutance` is the program."""
    program = " ".join(f"'{part}'" for part in PROGRAM)
    return subprocess.run(
        ["sh", "-c", f'acutance() {{ {program} "$@"; }}; {line}'],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a photo in it."""
    folder = tmp_path_factory.mktemp("streams")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "cat.png")
    return folder


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("acutance sharpen cat.png -o - >&-", "stdout is closed"),
        ("acutance sharpen - -o new.png <&-", "stdin is closed"),
        ("acutance sharpen cat.png -q -o - >/dev/full", "stdout: cannot be written (No space left on device)"),
        ("acutance models --json >/dev/full", "stdout: cannot be written (No space left on device)"),
        ("acutance --version >/dev/full", "stdout: cannot be written (No space left on device)"),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stream_that_cannot_be_used_is_called_so(folder: Path, line: str, said: str, unbuffered: str) -> None:
    done = shell(line, folder, PYTHONUNBUFFERED=unbuffered)
    words = done.stderr.decode()
    assert said in words
    assert words.count("\n") == 1, words
    assert done.returncode == 1


@pytest.mark.parametrize("stderr", ["&-", "/dev/full"])
def test_where_nobody_can_be_told_the_work_is_done(folder: Path, stderr: str) -> None:
    target = folder / "quiet.png"
    assert shell(f"acutance sharpen cat.png -o quiet.png --overwrite 2>{stderr}", folder).returncode == 0
    with Image.open(target) as result:
        assert result.size == (30, 24)


@pytest.mark.parametrize("source", ["cat.png", "- <cat.png"])
def test_two_things_on_stdout_are_refused(folder: Path, source: str) -> None:
    done = shell(f"acutance sharpen -o - --json {source}", folder)
    assert done.returncode != 0
    assert done.stdout == b""
    assert done.stderr.decode().count("both want stdout") == 1


def test_no_file_takes_the_number_of_a_closed_stream(folder: Path) -> None:
    code = (
        "from acutance.cli.standard_streams import prepare_streams\n"
        "prepare_streams()\n"
        "import os\n"
        "file = open('numbered.bin', 'wb')\n"
        "os._exit(file.fileno())"
    )
    program = [sys.executable, "-c", code]
    line = " ".join(f'"{part}"' for part in program)
    done = subprocess.run(["sh", "-c", f"{line} <&- >&- 2>&-"], cwd=folder, check=False)
    assert done.returncode > 2


def test_what_a_terminal_cannot_show_is_written_in_ascii(folder: Path) -> None:
    done = shell("acutance models; acutance models --json", folder, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "0 ... 1" in done.stdout.decode("ascii")


def test_other_characters_become_escapes_of_json() -> None:
    code = (
        "from acutance.cli.standard_streams import prepare_streams\n"
        "prepare_streams()\n"
        "print('\\u00e9 \\U0001f600 \\u00b1')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"\\u00e9 \\ud83d\\ude00 +/-\n"
