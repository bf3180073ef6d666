"""Work in processes that can be ended: whatever it does, it ends in time, and the next one is served."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.client import Client
from acutance.errors import UnsupportedImage
from acutance.server import worker_handle
from acutance.server.limits import Limits
from acutance.server.models import ModelSettings, OpenedModels
from acutance.server.options import ModelChoice, Options
from acutance.server.refusals import Refused, Stopped
from acutance.server.stopping import StopSignal
from acutance.server.work import PictureTask
from acutance.server.worker_handle import WorkerDied, WorkerLimits
from acutance.server.worker_process import SETTINGS, WorkerSettings, environment
from acutance.server.workers import WorkerProcesses, WorkersHere, twice

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")

IN_TIME_S = 20.0
"""What an end may take: what hangs here hangs for ever. `benchmarks/server_siege.py` measures the 2 s promised."""

MODELS = OpenedModels(ModelSettings(names=("fast",), engine="onnxruntime", threads=1, max_pixels=10_000_000))


def made(*, memory_bytes: int = 3 * 2**30, run_s: float = 60.0) -> WorkerProcesses:
    settings = WorkerSettings(models=MODELS.settings, memory_bytes=2**30, opens_first=True)
    return WorkerProcesses(1, settings, WorkerLimits(memory_bytes=memory_bytes, run_s=run_s))


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerProcesses]:
    workers = made()
    workers.start()
    yield workers
    workers.close()
    assert not workers.process_ids


@pytest.fixture
def task(tmp_path: Path, picture) -> PictureTask:
    (tmp_path / "upload").write_bytes(picture(24, 32))
    return task_of(tmp_path / "upload")


@pytest.fixture
def long_task(tmp_path: Path, picture) -> PictureTask:
    """Give work for many seconds, in many tiles."""
    (tmp_path / "long").write_bytes(picture(2100, 2100, format="BMP"))
    return task_of(tmp_path / "long")


def task_of(upload: Path) -> PictureTask:
    options = Options(model=ModelChoice(name="fast"), format="PNG")
    return PictureTask(upload=upload, target=upload.with_suffix(".made"), options=options, max_pixels=10_000_000)


def run(workers: WorkerProcesses, task: PictureTask, stop: StopSignal | None = None) -> None:
    workers.run(task, stop or StopSignal(60), lambda _: None)


def in_the_background(workers: WorkerProcesses, task: PictureTask, stop: StopSignal) -> tuple[threading.Thread, list]:
    """Begin a task; give its thread, and what it raises. It has begun when this returns."""
    raised: list[Exception] = []
    begun = threading.Event()

    def work() -> None:
        try:
            workers.run(task, stop, lambda _: begun.set())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    return thread, raised


def test_the_same_comes_out_as_here(workers, task) -> None:
    shares: list[float] = []
    there = workers.run(task, StopSignal(60), shares.append)
    content = task.target.read_bytes()
    here = WorkersHere(MODELS).run(task, StopSignal(60), lambda _: None)
    assert content == task.target.read_bytes()
    assert (there.media_type, there.megapixels, there.lost) == (here.media_type, here.megapixels, here.lost)
    assert shares
    assert 0 <= min(shares) <= max(shares) <= 1


def test_one_process_does_all_and_opens_its_engine_once(workers, task) -> None:
    run(workers, task)
    before = workers.process_ids
    for _ in range(3):
        run(workers, task)
    assert workers.process_ids == before


def test_what_cannot_be_done_is_said_in_the_same_words(workers, tmp_path) -> None:
    (tmp_path / "upload").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    task = task_of(tmp_path / "upload")
    with pytest.raises(UnsupportedImage) as here:
        WorkersHere(MODELS).run(task, StopSignal(60), lambda _: None)
    with pytest.raises(Refused) as there:
        run(workers, task)
    assert (there.value.problem.status, there.value.problem.detail) == (415, str(here.value))


def test_work_that_hangs_is_ended_and_the_next_is_done(workers, task, long_task) -> None:
    stop = StopSignal(60)
    thread, raised = in_the_background(workers, long_task, stop)
    for process in workers.busy_ids:
        os.kill(process, signal.SIGSTOP)  # as a decoder that never comes back
    stop.set("cancelled")
    start = time.monotonic()
    thread.join(30)
    assert time.monotonic() - start < IN_TIME_S
    assert [error.reason for error in raised] == ["cancelled"]
    run(workers, task)
    assert task.target.exists()


def test_work_that_listens_leaves_its_worker_alive(workers, long_task) -> None:
    restarts = workers.restarts
    stop = StopSignal(60)
    thread, raised = in_the_background(workers, long_task, stop)
    stop.set("cancelled")
    thread.join(10)
    assert isinstance(raised[0], Stopped)
    assert workers.restarts - restarts <= 1  # a machine that is busy with other things may need longer for a tile


def test_time_is_limited_even_where_nothing_looks_at_it(long_task) -> None:
    workers = made(run_s=0.2)
    try:
        with pytest.raises(Stopped, match=r"longer than the server's limit of 0\.2 s|more processor time"):
            run(workers, long_task, StopSignal(0.2))
    finally:
        workers.close()


def test_memory_is_limited(task) -> None:
    workers = made(memory_bytes=10 * 2**20)
    try:
        with pytest.raises(Refused, match="takes more memory") as refused:
            run(workers, task)
        assert (refused.value.problem.status, refused.value.problem.error) == (413, "too_much_memory")
    finally:
        workers.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the address space has no limit")
def test_address_space_is_limited_and_the_worker_goes_on(workers, task, tmp_path) -> None:
    settings = WorkerSettings(models=MODELS.settings, memory_bytes=40 * 2**20, opens_first=True)
    few = WorkerProcesses(1, settings, WorkerLimits(memory_bytes=2**40, run_s=60))
    try:
        Image.fromarray(np.zeros((2800, 2800, 3), np.uint8)).save(tmp_path / "upload", "PNG")
        with pytest.raises(Refused) as refused:
            run(few, task_of(tmp_path / "upload"))
        assert refused.value.problem.status == 413
        assert "\n" not in refused.value.problem.detail
    finally:
        few.close()


def test_a_worker_that_dies_is_replaced(workers, task, long_task) -> None:
    thread, raised = in_the_background(workers, long_task, StopSignal(60))
    for process in workers.busy_ids:
        os.kill(process, signal.SIGKILL)
    thread.join(10)
    assert isinstance(raised[0], WorkerDied)
    run(workers, task)


def test_who_waits_does_not_hear_of_one_death() -> None:
    deaths = [1]

    def dies_once() -> str:
        if deaths:
            deaths.pop()
            raise WorkerDied("it ended.")
        return "done"

    def dies() -> None:
        raise WorkerDied("it ended.")

    assert twice(dies_once) == "done"
    with pytest.raises(Refused, match="went down twice"):
        twice(dies)


def test_settings_open_the_same_models() -> None:
    again = OpenedModels(MODELS.settings)
    assert [model.name for model in again.offered] == ["fast"]
    assert again.settings == ModelSettings(
        names=("fast",), engine="onnxruntime", threads=1, max_pixels=10_000_000, max_memory_mb=None
    )


def test_over_http_nothing_is_lost_when_workers_are_killed(serve, picture) -> None:
    served = serve(
        models=OpenedModels(ModelSettings(names=("fast",), engine="onnxruntime", threads=1, max_pixels=10_000_000)),
        limits=Limits(min_free_bytes=0, drain_s=1, retry_s=0.05, max_attempts=9),
    )
    ids = [served.post(picture(40 + seed, 40, seed=seed), "/v1/jobs").json["id"] for seed in range(12)]
    workers = served.service.picture_workers
    for count in (3, 6):
        until = time.monotonic() + 30
        while sum(served.job(job_id)["state"] == "done" for job_id in ids) < count and time.monotonic() < until:
            time.sleep(0.01)
        for process in workers.process_ids:
            os.kill(process, signal.SIGKILL)
    for seed, job_id in enumerate(ids):
        assert served.wait(job_id)["state"] == "done"
        assert Image.open(io.BytesIO(served.ask("GET", f"/v1/jobs/{job_id}/result").body)).size == (40, 40 + seed)
    served.wait_until_empty()
    assert not list((served.folder / "uploads").iterdir())
    assert not list((served.folder / "passing").iterdir())


def test_over_http_a_hanging_picture_is_cancelled_and_stopping_does_not_wait_for_it(serve, picture) -> None:
    served = serve(
        models=OpenedModels(ModelSettings(names=("fast",), engine="onnxruntime", threads=1, max_pixels=10_000_000)),
        limits=Limits(min_free_bytes=0, drain_s=0.2),
    )
    served.post(picture())  # the engine is open
    large = picture(2100, 2100, format="BMP")
    workers = served.service.picture_workers

    def hanging() -> str:
        job_id = str(served.post(large, "/v1/jobs").json["id"])
        served.wait(job_id, "running")
        time.sleep(0.1)
        for process in workers.busy_ids:
            os.kill(process, signal.SIGSTOP)
        return job_id

    job_id = hanging()
    start = time.monotonic()
    assert served.ask("DELETE", f"/v1/jobs/{job_id}").json["state"] == "cancelled"
    served.wait_until_empty()
    assert time.monotonic() - start < IN_TIME_S
    assert served.post(picture()).status == 200
    hanging()
    start = time.monotonic()
    served.stop()
    assert time.monotonic() - start < IN_TIME_S
    assert not workers.process_ids


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_a_server_that_is_killed(tmp_path, picture, until) -> None:
    program = (
        "import sys\nfrom acutance.cli.main import run\n"
        f"sys.argv = ['acutance', 'serve', '--port', '0', '--data', {str(tmp_path / 'data')!r}, '-m', 'fast']\nrun()"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    port = int(server.stderr.readline().partition(" (")[0].rpartition(":")[2])
    try:
        client = Client(f"http://127.0.0.1:{port}")
        client.sharpen(picture())
        client.wait(client.submit(picture()).id)
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").rglob("*")), "the owner's only"
        children = [
            int(child)
            for path in Path(f"/proc/{server.pid}/task").glob("*/children")
            for child in path.read_text().split()
        ]
        assert children
    finally:
        server.kill()
        server.communicate()
    until(lambda: not any(_lives(child) for child in children))


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_model_that_opens_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch, task: PictureTask) -> None:
    """Its time begins with the worker's first word: opening a large network must not look like a dead process."""
    answer = json.dumps({"refused": {"status": 418, "error": "opened", "detail": "it was waited for."}})
    lines = ["import sys, time", "print('{\"opening\": true}', flush=True)", "time.sleep(3.5)"]
    lines += ["print('{\"ready\": true}', flush=True)", "sys.stdin.readline()", "sys.stdin.readline()"]
    monkeypatch.setattr(worker_handle, "PROGRAM", "\n".join([*lines, f"print({answer!r}, flush=True)"]))
    monkeypatch.setattr(worker_handle, "START_S", 3.0)
    workers = made()
    with pytest.raises(Refused, match="it was waited for"):
        run(workers, task)
    workers.close()


def test_a_worker_speaks_before_it_opens_a_model() -> None:
    settings = replace(MODELS.settings, names=("no-such.onnx",))
    asked = SETTINGS.dump_json(WorkerSettings(models=settings, memory_bytes=2**30, opens_first=True)) + b"\n"
    program = [sys.executable, "-P", "-c", worker_handle.PROGRAM]
    done = subprocess.run(program, input=asked, env=environment(os.environ), capture_output=True, check=False)
    assert done.returncode != 0
    assert json.loads(done.stdout.splitlines()[0]) == {"opening": True}
