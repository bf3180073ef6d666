"""What a worker cannot do, on Linux: reach a network, start programs, write outside the folders that are its own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from acutance.errors import AcutanceError
from acutance.server import confinement, worker_handle
from acutance.server.models import ModelSettings, OpenedModels
from acutance.server.options import ModelChoice, Options
from acutance.server.stopping import StopSignal
from acutance.server.work import PictureTask
from acutance.server.worker_handle import WorkerLimits
from acutance.server.worker_process import WorkerSettings
from acutance.server.workers import WorkerProcesses

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone confines processes so")

TRIES = """
import json, os, signal, socket, subprocess, sys, threading
from acutance.server.confinement import confine
held = confine(sys.argv[1:2])
own, others, victim = sys.argv[1:]
seen = {}
def attempt(name, work):
    try:
        work()
        seen[name] = "done"
    except OSError as error:
        seen[name] = "refused"
def connect():
    with socket.socket() as line:
        line.connect(("127.0.0.1", 9))
attempt("inet", connect)
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("raw", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("program", lambda: subprocess.run(["true"], check=True))
attempt("new", lambda: open(f"{others}/new", "wb"))
attempt("change", lambda: open(f"{others}/old", "r+b"))
attempt("shorten", lambda: os.truncate(f"{others}/old", 0))
attempt("remove", lambda: os.unlink(f"{others}/old"))
attempt("move in", lambda: os.rename(f"{others}/old", f"{own}/old"))
attempt("link", lambda: os.symlink(f"{others}/old", f"{own}/link"))
attempt("pipe", lambda: os.mkfifo(f"{own}/pipe"))
attempt("signal", lambda: os.kill(int(victim), 0))
attempt("own", lambda: open(f"{own}/made", "wb").write(b"x"))
attempt("own, moved", lambda: os.replace(f"{own}/made", f"{own}/named"))
attempt("own, removed", lambda: os.unlink(f"{own}/named"))
attempt("read", lambda: open(f"{others}/old", "rb").read())
def in_thread():
    attempt("thread", lambda: open(f"{others}/new", "wb"))
thread = threading.Thread(target=in_thread); thread.start(); thread.join()
print(json.dumps([held, seen]))
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str]]:
    """Give the layers that held, and what became of each try."""
    own, others = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("others")
    (others / "old").write_bytes(b"old")
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        command = [sys.executable, "-c", TRIES, str(own), str(others), str(victim.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    finally:
        victim.communicate()
    assert (others / "old").read_bytes() == b"old" or not confinement.landlock_version()
    held, seen = json.loads(done.stdout)
    return held, seen


def test_there_is_no_socket_and_no_other_program(tried) -> None:
    held, seen = tried
    if "seccomp" not in held:
        pytest.skip("no filter of system calls here")
    assert [seen[name] for name in ("inet", "unix", "raw", "program")] == ["refused"] * 4


def test_nothing_is_written_outside_its_folder(tried) -> None:
    held, seen = tried
    if "landlock" not in held:
        pytest.skip("no Landlock here")
    for name in ("new", "change", "remove", "move in", "link", "pipe", "thread"):
        assert seen[name] == "refused", name
    if confinement.landlock_version() >= 3:
        assert seen["shorten"] == "refused"
    if confinement.landlock_version() >= 6:
        assert seen["signal"] == "refused"


def test_what_is_its_own_stays_within_reach(tried) -> None:
    _, seen = tried
    assert [seen[name] for name in ("own", "own, moved", "own, removed", "read")] == ["done"] * 4


def test_a_worker_of_the_server_is_confined_and_works(tmp_path: Path, picture, caplog, monkeypatch) -> None:
    monkeypatch.setattr(worker_handle, "START_S", 600.0)  # a machine that has much else to do
    folders = (tmp_path / "temporary", tmp_path / "passing")
    for folder in folders:
        folder.mkdir()
    (tmp_path / "upload").write_bytes(picture(24, 32))
    models = OpenedModels(ModelSettings(names=("fast",), engine="onnxruntime", threads=1, max_pixels=10_000))
    settings = WorkerSettings(models=models.settings, memory_bytes=2**30, opens_first=True, folders=folders)
    workers = WorkerProcesses(1, settings, WorkerLimits(memory_bytes=3 * 2**30, run_s=600.0))

    def run(target: Path) -> None:
        task = PictureTask(
            upload=tmp_path / "upload",
            target=target,
            options=Options(model=ModelChoice(name="fast"), format="PNG"),
            max_pixels=10_000,
        )
        workers.run(task, StopSignal(600), lambda _: None)

    try:
        with caplog.at_level(logging.WARNING, "acutance.server"):
            run(folders[1] / "made")
        assert (folders[1] / "made").stat().st_size > 0
        layers = workers.layers or ()
        assert bool(confinement.missing_words(layers)) == ("not confined" in caplog.text)
        if confinement.landlock_version():
            assert "landlock" in layers
            with pytest.raises(AcutanceError):
                run(tmp_path / "elsewhere")
            assert not (tmp_path / "elsewhere").exists()
    finally:
        workers.close()


def test_what_does_not_hold_is_told() -> None:
    assert confinement.missing_words(("landlock", "seccomp")) == []
    assert confinement.missing_words(("landlock", "network")) == []
    assert len(confinement.missing_words(())) == 2
    assert any(line.startswith("landlock") for line in confinement.report())


@pytest.mark.parametrize("machine", sorted(confinement._PROCESSORS))
def test_each_refused_call_jumps_to_the_refusal(machine: str) -> None:
    """Run by hand: what is listed is refused, all else goes on, a foreign processor's call ends the process."""
    import struct

    processor = confinement._PROCESSORS[machine]
    steps = list(struct.iter_unpack("=HBBI", confinement._program(processor)))

    def answer(audit: int, number: int) -> int:
        loaded, at = 0, 0
        while True:
            code, is_so, is_not, value = steps[at]
            if code == confinement._RETURN:
                return value
            if code == confinement._LOAD:
                loaded = {4: audit, 0: number}[value]
                at += 1
                continue
            holds = loaded == value if code == confinement._EQUAL else loaded >= value
            at += 1 + (is_so if holds else is_not)

    for number in range(600):
        expected = confinement._REFUSE if number in processor.refused else confinement._ALLOW
        assert answer(processor.audit, number) == expected, number
    assert answer(processor.audit, confinement._X32 + 41) == confinement._REFUSE
    assert answer(processor.audit + 1, 0) == confinement._KILL
