"""What the README promises: whatever is run, nothing about it leaves the machine, nor is anything left in the home.

The libraries that acutance stands on speak from native code, so the system calls are watched, where that can be done.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]
HOMES = ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
ANSWERS = ("ORT_DISABLE_TELEMETRY", "CI", "TF_BUILD", "JENKINS_URL")
"""Variables that would have the libraries be silent by themselves."""

STRACE = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none"]
"""Only the calls that are watched stop the program: importing torch takes a quarter longer, not twice as long."""

TINY = ["generator.width=8", "generator.num_blocks=1", "batch=2", "patch_px=16", "watch.crop_px=32", "watch.held_out=1"]
API = "import acutance, numpy; acutance.Sharpener(engine='{}', threads=1)(numpy.zeros((32, 32, 3), numpy.uint8))"

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra `openvino`")
needs_training = pytest.mark.skipif(find_spec("lightning_fabric") is None, reason="needs the extra `train`")
needs_server = pytest.mark.skipif(find_spec("fastapi") is None, reason="needs the extra `serve`")


@cache
def why_unwatched() -> str | None:
    """Return why system calls cannot be watched here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run([*STRACE, "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"strace may not watch here: {tried.stderr.strip()}"


def look_ups(trace: str) -> list[str]:
    """Return the system calls that ask somebody on the network something: all but what stays on this machine."""
    found = []
    for line in trace.splitlines():
        is_network = re.search(r"sa_family=AF_INET6?\b", line)
        is_local = re.search(r'inet_addr\("127\.|"::1"', line) and "htons(53)" not in line
        if (is_network and not is_local) or "systemd/resolve" in line:
            found.append(line)
    return found


class Watch:
    """A home that nobody has lived in, and processes that live there."""

    def __init__(self, folder: Path) -> None:
        self.home, self.trace = folder / "home", folder / "trace"
        self.home.mkdir()
        kept = {name: value for name, value in os.environ.items() if name not in ANSWERS}
        self.environment = kept | dict.fromkeys(HOMES, str(self.home)) | {"OMP_NUM_THREADS": "1"}

    def start(self, *command: str) -> subprocess.Popen[str]:
        watched = [] if why_unwatched() else [*STRACE, "-o", str(self.trace)]
        return subprocess.Popen(
            [*watched, *command],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> None:
        process = self.start(*command)
        _, words = process.communicate(timeout=100)
        assert process.returncode == 0, words

    def check(self) -> None:
        assert sorted(path.relative_to(self.home) for path in self.home.rglob("*")) == []
        if (reason := why_unwatched()) is not None:
            pytest.skip(f"no file was left; look-ups were not watched: {reason}")
        assert look_ups(self.trace.read_text(errors="replace")) == []


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=needs_openvino)])
def test_sharpening(watch: Watch, photos: Path, engine: str) -> None:
    watch.run(*PROGRAM, "sharpen", str(photos), "--engine", engine, "--threads", "1", "--jobs", "2")
    watch.check()


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=needs_openvino)])
def test_the_python_api(watch: Watch, engine: str) -> None:
    watch.run(sys.executable, "-c", API.format(engine))
    watch.check()


def test_verbs_that_measure(watch: Watch, photos: Path, tmp_path: Path) -> None:
    watch.run(*PROGRAM, "evaluate", "--test", str(photos), "--model", "fast", "--rows", "gauss-1.0", "--limit", "1")
    watch.check()
    watch.run(*PROGRAM, "compare", str(photos / "0.png"), str(photos / "1.png"), "-o", str(tmp_path / "both.png"))
    watch.check()


@pytest.mark.parametrize("verb", ["models", "doctor"])
def test_verbs_that_tell(watch: Watch, verb: str) -> None:
    watch.run(*PROGRAM, verb)
    watch.check()


@pytest.mark.slow
@needs_training
def test_training_and_exporting(watch: Watch, photos: Path, tmp_path: Path) -> None:
    run, settings = tmp_path / "run", [part for setting in TINY for part in ("--set", setting)]
    data = ["--data", str(photos), "--out", str(run), "--device", "cpu", "--iterations", "1"]
    watch.run(*PROGRAM, "train", "smoke", *data, *settings)
    watch.check()
    target = str(tmp_path / "mine.onnx")
    watch.run(*PROGRAM, "export", str(run / "generator.safetensors"), "-o", target)
    watch.check()


@pytest.mark.slow
@needs_training
def test_comparing_trainings(watch: Watch, photos: Path, tmp_path: Path) -> None:
    test = tmp_path / "others"
    test.mkdir()
    Image.fromarray(np.full((72, 80, 3), 99, np.uint8)).save(test / "0.png")
    where = ["--data", str(photos), "--test", str(test), "--out", str(tmp_path / "out"), "--device", "cpu"]
    settings = [part for setting in TINY for part in ("--set", setting)]
    watch.run(*PROGRAM, "ablate", *where, "--models", "smoke", "--iterations", "1", *settings)
    watch.check()
    watch.run(*PROGRAM, "data", "prepare", str(photos), "--store", str(tmp_path / "store"))
    watch.check()


@needs_server
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_serving(watch: Watch, photos: Path, tmp_path: Path) -> None:
    from acutance.client import Client

    process = watch.start(*PROGRAM, "serve", "--port", "0", "--threads", "1", "--data", str(tmp_path / "data"))
    assert process.stderr is not None
    address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
    assert address is not None
    assert Client(address[0]).sharpen((photos / "0.png").read_bytes(), model="fast").model == "fast"
    program = (
        process.pid if why_unwatched() else int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    )
    os.kill(program, signal.SIGINT)
    process.communicate(timeout=60)
    watch.check()
