"""Folders as a person meets them: whole processes, killed, stopped, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "killed_folder.py"

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, "sharpen", *map(str, arguments)], capture_output=True, check=False)


def words(process: subprocess.CompletedProcess[bytes]) -> str:
    return process.stderr.decode()


def save(path: Path, *, size: tuple[int, int] = (24, 30), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=0)
    return path


def fill(folder: Path, count: int, *, size: tuple[int, int] = (24, 30)) -> Path:
    for seed in range(count):
        save(folder / f"{seed:02d}.png", size=size, seed=seed)
    return folder


def results_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("[!.]*") if path.is_file())


def rows(process: subprocess.CompletedProcess[bytes]) -> dict[str, dict[str, object]]:
    return {os.path.basename(row["source"]): row for row in map(json.loads, process.stdout.splitlines())}


@posix
def test_a_folder_killed_at_random_moments_is_resumed() -> None:
    done = subprocess.run([sys.executable, str(BENCHMARK), "12", "2"], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 pictures, 2 jobs, killed" in done.stdout
    assert "every result right, none made twice, nothing left over" in done.stdout


def test_a_folder_is_resumed_by_its_record(tmp_path: Path) -> None:
    fill(tmp_path / "in", 3)
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = [tmp_path / "in", "-o", tmp_path / "out", "--json"]
    assert run(*arguments).returncode == 1
    assert (tmp_path / "out" / ".acutance.jsonl").read_bytes().count(b"\n") == 3
    save(tmp_path / "in" / "new.png", seed=9)
    again = run(*arguments, "--resume", "--jobs", "2")
    assert again.returncode == 1
    found = {name: row["status"] for name, row in rows(again).items()}
    assert found == {
        "00.png": "skipped", "01.png": "skipped", "02.png": "skipped", "bad.png": "failed", "new.png": "done",
    }  # fmt: skip
    assert words(again).splitlines()[-1] == "1 of 5 photos sharpened, 3 finished earlier, 1 failed"
    without = run(*arguments)
    assert "if an earlier run made it, resume (--resume, resume=True)" in words(without)
    weaker = run(*arguments, "--resume", "--strength", "0.5")
    assert words(weaker).splitlines()[-1] == "4 of 5 photos sharpened, 1 failed"


def test_no_record_is_left_where_none_is_wanted(tmp_path: Path) -> None:
    photo = save(tmp_path / "in" / "a.png")
    run(photo, "-o", tmp_path / "one" / "a.png")
    run(tmp_path / "in", "-o", tmp_path / "two", "--no-record")
    assert not list(tmp_path.rglob(".acutance*"))
    assert run(photo, "-o", tmp_path / "three" / "a.png", "--resume").returncode == 0
    assert run(photo, "-o", tmp_path / "three" / "a.png", "--resume").returncode == 0
    assert (tmp_path / "three" / ".acutance.jsonl").exists()


def test_patterns_choose_photos(tmp_path: Path) -> None:
    for name in ("a.png", "day1/b.JPG", "day1/raw/c.png", "day2/d.tif"):
        save(tmp_path / "in" / name)
    arguments = [tmp_path / "in", "-o", tmp_path / "out"]
    assert run(*arguments, "--include", "*.png", "--include", "*.jpg", "--exclude", "raw").returncode == 0
    assert [path.name for path in results_in(tmp_path / "out")] == ["a.png", "b.JPG"]
    nothing = run(*arguments, "--include", "*.gif")
    assert nothing.returncode == 1
    assert "is left by include '*.gif'" in words(nothing)
    assert run(*arguments, "--exclude", "").returncode == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_of_any_bytes_are_told(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    os.rename(folder / "00.png", os.fsencode(folder) + b"/caf\xe9.png")
    (folder / "line\nbreak \x1b[31m.png").write_bytes(b"")
    save(folder / "Größe 日本.png")
    done = run(folder, "-o", tmp_path / "out", "--json")
    found = rows(done)
    assert {name: row["status"] for name, row in found.items()} == {
        "caf\udce9.png": "done", "line\nbreak \x1b[31m.png": "failed", "Größe 日本.png": "done",
    }  # fmt: skip
    assert "Größe 日本.png".encode() in done.stdout
    assert "line\\nbreak \\x1b[31m.png is empty" in words(done)
    again = run(folder, "-o", tmp_path / "out", "--resume")
    assert "caf\\xe9.png  (finished earlier)" in words(again)
    assert b"caf\xe9.png" in os.listdir(os.fsencode(tmp_path / "out"))


def started(*arguments: str | Path, until: Path) -> subprocess.Popen[bytes]:
    """Start the program and wait until a path is there."""
    process = subprocess.Popen([*PROGRAM, "sharpen", *map(str, arguments)], stderr=subprocess.PIPE)
    while process.poll() is None and not until.exists():
        time.sleep(0.005)
    return process


@posix
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_stops_after_the_files_in_work(tmp_path: Path, jobs: str) -> None:
    fill(tmp_path / "in", 24, size=(200, 240))
    arguments = [tmp_path / "in", "-o", tmp_path / "out", "--model", "fast", "--jobs", jobs]
    with started(*arguments, until=tmp_path / "out" / "01.png") as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert "stopping after the files in work; once more to stop at once" in said.decode()
    finished = len(results_in(tmp_path / "out"))
    assert (
        f"stopped: {finished} of 24 photos sharpened, {24 - finished} not begun; go on with --resume" in said.decode()
    )
    assert not list(tmp_path.rglob("*.part"))
    rest = run(*arguments, "--resume")
    assert rest.returncode == 0
    assert words(rest).splitlines()[-1] == f"{24 - finished} of 24 photos sharpened, {finished} finished earlier"


@posix
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_second_ctrl_c_stops_at_once(tmp_path: Path, jobs: str) -> None:
    save(tmp_path / "in" / "a.png")
    for name in "bc":
        save(tmp_path / "in" / f"{name}.png", size=(2000, 3000))
    arguments = [tmp_path / "in", "-o", tmp_path / "out", "--jobs", jobs, "--tile", "64"]
    with started(*arguments, until=tmp_path / "out" / "a.png") as process:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert said.decode().splitlines()[-1] == (
        "acutance: interrupted; files that were finished are kept, none is half written. Go on with --resume."
    )
    assert "Traceback" not in said.decode()
    assert [path.name for path in results_in(tmp_path / "out")] == ["a.png"]
    assert not list(tmp_path.rglob("*.part"))


@posix
def test_a_second_ctrl_c_within_one_tile_is_not_lost(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.png", size=(2000, 3000))  # a tile of it takes a second
    with started(
        tmp_path / "in", "-o", tmp_path / "out", "--model", "fast", until=tmp_path / "out" / "a.png"
    ) as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert said.decode().splitlines()[-2:] == [
        "stopping after the files in work; once more to stop at once",
        "acutance: interrupted; files that were finished are kept, none is half written. Go on with --resume.",
    ]
    assert [path.name for path in results_in(tmp_path / "out")] == ["a.png"]
    assert not list(tmp_path.rglob("*.part"))


@posix
def test_a_tile_that_nobody_waits_for_any_longer_does_not_abort_the_process(tmp_path: Path) -> None:
    """Its thread came back from the network into an interpreter that was being taken down: exit code -6."""
    photo = save(tmp_path / "a.png", size=(2000, 3000))
    code = f"""
import sys, time
from acutance.cli.main import run
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.inference import workers

class SlowlyTakenDown:
    def __del__(self, sleep=time.sleep):
        sleep(10)

def told(engine, batch, plain=OnnxRuntimeEngine.run):
    print("in the network", file=sys.stderr, flush=True)
    return plain(engine, batch)

sys.kept, OnnxRuntimeEngine.run, workers.PATIENCE_S = SlowlyTakenDown(), told, 0.05
sys.argv = ["acutance", "sharpen", {str(photo)!r}, "--model", "fast", "--engine", "onnxruntime"]
run()
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while process.stderr.readline() != "in the network\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "terminate called" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_results_within_the_folder_are_not_sharpened_again(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    save(folder / "below" / "c.png", seed=9)
    assert run(folder, "-o", folder / "sharp").returncode == 0
    save(folder / "sharp" / "01.png", seed=5)  # no result any more: somebody has put another photo there
    again = run(folder, "-o", tmp_path / "out")
    assert again.returncode == 0
    assert words(again).splitlines()[0] == "2 results of earlier runs passed over: the photos are in the folder, too"
    made = [path.relative_to(tmp_path / "out").as_posix() for path in results_in(tmp_path / "out")]
    assert made == ["00.png", "01.png", "below/c.png", "sharp/01.png"]
    asked_for = run(folder / "sharp", "-o", tmp_path / "twice")
    assert [path.name for path in results_in(tmp_path / "twice")] == ["00.png", "01.png", "c.png"]
    assert "passed over" not in words(asked_for)


def test_results_that_have_replaced_their_photos_stand_for_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    assert run(folder, "-o", folder, "--overwrite").returncode == 0
    again = run(folder, "-o", tmp_path / "out")
    assert "passed over" not in words(again)
    assert len(results_in(tmp_path / "out")) == 2


@posix
def test_on_a_terminal_a_table_sums_up(tmp_path: Path) -> None:
    import pty

    fill(tmp_path / "in", 2)
    run(tmp_path / "in", "-o", tmp_path / "out")
    save(tmp_path / "in" / "new.png", seed=9)
    (tmp_path / "in" / "empty.png").write_bytes(b"")
    own, terminal = pty.openpty()
    command = [*PROGRAM, "sharpen", "in", "-o", "out", "--resume"]
    with subprocess.Popen(command, stderr=terminal, cwd=tmp_path) as process:
        os.close(terminal)
        said = b""
        while True:
            try:
                said += os.read(own, 65536)
            except OSError:  # the other end is closed
                break
    os.close(own)
    assert process.returncode == 1
    table = " ".join(said.decode().split("why")[-1].split())
    assert "done 1 skipped 2 finished earlier failed 1 in/empty.png is empty" in table
