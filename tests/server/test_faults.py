"""Faults: the server killed, the disk full, memory short, clients gone. Nothing is lost or done twice; it is said."""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.client import Client, ServerRefused
from acutance.errors import ConfigError, OutOfMemory
from acutance.server.files import Files
from acutance.server.job_store import FILE_NAME, JobStore
from acutance.server.limits import Limits

SLOW_SERVER = Path(__file__).with_name("slow_server.py")


def limits(**values: float) -> Limits:
    return Limits(**{"min_free_bytes": 0, "drain_s": 5, "retry_s": 0.05, **values})


def grey(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (6, 5), level).save(buffer, "PNG")
    return buffer.getvalue()


class Process:
    """A server in a process of its own."""

    def __init__(self, folder: Path, notes: Path, *, milliseconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SLOW_SERVER), str(folder), str(milliseconds), str(notes)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.client = Client(f"http://127.0.0.1:{int(self.process.stdout.readline())}", patience_s=20)
        self._until_it_answers()

    def _until_it_answers(self) -> None:
        end = time.monotonic() + 20
        while True:
            try:
                self.client.models()
                return
            except ServerRefused:
                assert time.monotonic() < end
                time.sleep(0.02)

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, words = self.process.communicate(timeout=30)
        return self.process.returncode, words


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_again_and_again_nothing_is_lost_or_done_twice(tmp_path) -> None:
    folder, notes = tmp_path / "data", tmp_path / "notes"
    server = Process(folder, notes, milliseconds=15)
    ids = {level: server.client.submit(grey(level), key=f"job {level}").id for level in range(50)}
    for _ in range(2):
        time.sleep(0.15)
        done_before = {level for level, job_id in ids.items() if server.client.job(job_id).state == "done"}
        server.end(signal.SIGKILL)
        runs_before = notes.read_text().split() if notes.exists() else []
        server = Process(folder, notes, milliseconds=15)
        again = {level: server.client.submit(grey(level), key=f"job {level}").id for level in (0, 49)}
        assert again == {level: ids[level] for level in (0, 49)}, "a client that does not know may post again"
    for level, job_id in ids.items():
        server.client.wait(job_id, every_s=0.02)
        pixels = np.asarray(Image.open(io.BytesIO(server.client.result(job_id).content)))
        assert (pixels == 255 - level).all()
    runs_after = notes.read_text().split()[len(runs_before) :]
    assert not {int(level) for level in runs_after} & done_before, "what was done stays done"
    assert 50 <= len(notes.read_text().split()) <= 52, "each once, but for the one under way at each kill"
    code, words = server.end(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in words
    assert not list((folder / "uploads").iterdir())
    assert len(list((folder / "results").iterdir())) == 50


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_asked_to_stop_it_finishes_what_it_has_begun(tmp_path) -> None:
    folder, notes = tmp_path / "data", tmp_path / "notes"
    server = Process(folder, notes, milliseconds=400)
    ids = [server.client.submit(grey(level)).id for level in range(3)]
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(server.client.sharpen(grey(100)).content))
    asking.start()
    time.sleep(0.2)
    code, words = server.end(signal.SIGTERM)
    asking.join(20)
    assert code == 0
    assert words == ""
    assert len(answers) == 1, "a request that waits for its answer gets it"
    store = JobStore(folder)
    states = [store.get(job_id).state for job_id in ids]
    store.close()
    assert states[0] == "done"
    assert states[-1] == "queued", "what was not begun is kept for the next server"


def test_a_result_that_was_written_but_not_noted_is_not_made_again(serve, picture, tmp_path) -> None:
    served = serve()
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    served.wait(job_id)
    content = served.ask("GET", f"/v1/jobs/{job_id}/result").body
    served.stop()
    store = JobStore(served.folder)
    store._connection.execute("UPDATE jobs SET state = 'running', result_bytes = 0, media_type = NULL")
    store.close()

    def never(_: np.ndarray) -> np.ndarray:
        raise AssertionError

    again = serve(served.folder, function=never)
    job = again.job(job_id)
    assert (job["state"], job["attempts"], job["result"]["media_type"]) == ("done", 1, "image/png")
    assert again.ask("GET", f"/v1/jobs/{job_id}/result").body == content


def test_a_picture_that_takes_the_server_down_is_given_up(serve, picture, gate) -> None:
    served = serve(function=gate)
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    gate.wait_until_begun()
    served.service.store._connection.execute("UPDATE jobs SET attempts = 3")
    copy = served.folder.parent / "copy"
    served.service.store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _copy(served.folder, copy)
    again = serve(copy)
    job = again.job(job_id)
    assert (job["state"], job["error"]) == ("failed", "gave_up")
    assert "went down" in job["detail"]
    assert not list((copy / "uploads").iterdir())


def test_leftovers_are_removed(serve, tmp_path) -> None:
    files = Files(tmp_path / "data")
    for path in (files.upload("a" * 32), files.result("b" * 32), files.new_passing()):
        path.write_bytes(b"x")
    (tmp_path / "data" / "results" / "holiday.jpg").write_bytes(b"somebody's own")
    serve(tmp_path / "data")
    left = {path.name for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert left == {FILE_NAME, f"{FILE_NAME}-wal", "holiday.jpg"}


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/srv/secret")


def test_disk_full_while_taking_in(serve, picture, monkeypatch) -> None:
    served = serve()
    monkeypatch.setattr("acutance.server.uploads._write", full)
    for path in ("/v1/sharpen", "/v1/jobs"):
        reply = served.post(picture(), path)
        assert (reply.status, reply.json["error"]) == (507, "storage_full")
        assert "secret" not in reply.json["detail"]
    monkeypatch.undo()
    served.wait_until_empty()
    assert not list((served.folder / "passing").iterdir())
    assert served.post(picture()).status == 200


def test_disk_full_while_a_job_s_result_is_written(serve, picture, monkeypatch) -> None:
    served = serve(limits=limits(max_attempts=2))
    monkeypatch.setattr(Path, "write_bytes", full)
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    waiting = served.wait(job_id, "queued")
    while waiting["detail"] is None:
        waiting = served.wait(job_id, "queued")
    assert waiting["error"] == "storage_full"
    assert "tries again by itself" in waiting["detail"]
    time.sleep(0.5)
    assert served.job(job_id)["state"] in ("queued", "running"), "it is not given up, however often"
    monkeypatch.undo()
    assert served.wait(job_id)["state"] == "done"


def test_disk_full_for_the_list_of_jobs(serve, picture, tmp_path) -> None:
    """A real one: SQLite may not make its file larger."""
    (tmp_path / "data").mkdir()
    store = JobStore(tmp_path / "data")
    served = serve(tmp_path / "data", store=store)
    first = served.post(picture(), "/v1/jobs").json["id"]
    served.wait(first)
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    replies = [served.post(picture(), "/v1/jobs", Idempotency_Key=f"{index:02}" * 60) for index in range(40)]
    refused = [reply for reply in replies if reply.status != 202]
    assert refused
    assert {(reply.status, reply.json["error"]) for reply in refused} == {(507, "storage_full")}
    assert served.job(first)["state"] == "done"
    assert served.post(picture()).status == 200, "direct requests need no list"
    store._connection.execute("PRAGMA max_page_count = 100000")
    for reply in replies:
        if reply.status == 202:
            assert served.wait(reply.json["id"])["state"] == "done"
    served.wait_until_empty()
    assert not list((served.folder / "uploads").iterdir())


def test_a_list_that_cannot_be_written_says_so_in_the_job(serve, picture, gate, until) -> None:
    """Not even the reason can be noted then: who asks is told it all the same, and the job is done in the end."""
    served = serve(function=gate, limits=limits())
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    gate.wait_until_begun()
    served.service.store._connection.execute("PRAGMA query_only = ON")
    gate.is_open.set()
    job = until(lambda: job if (job := served.job(job_id))["detail"] else None)
    assert (job["state"], job["error"]) == ("running", "storage_failed")
    served.service.store._connection.execute("PRAGMA query_only = OFF")
    done = served.wait(job_id)
    assert (done["state"], done["error"], done["detail"]) == ("done", None, None)


def test_a_disk_that_is_nearly_full(serve, picture) -> None:
    served = serve(limits=limits(min_free_bytes=2**62))
    assert served.post(picture()).status == 507
    assert served.ask("GET", "/readyz").status == 507
    assert served.ask("GET", "/healthz").status == 200


def test_a_list_that_somebody_has_locked(serve, tmp_path) -> None:
    serve(tmp_path / "data")
    with pytest.raises(ConfigError, match="another acutance serve uses this folder"):
        JobStore(tmp_path / "data", busy_s=0.1)


def test_a_list_that_is_damaged_or_too_new(tmp_path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError, match="is damaged"):
        JobStore(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    store = JobStore(tmp_path)
    store._connection.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(ConfigError, match="newer acutance"):
        JobStore(tmp_path)
    with pytest.raises(ConfigError, match="cannot be opened"):
        JobStore(tmp_path / "none")


def test_memory_that_is_short_for_a_while(serve, picture) -> None:
    calls: list[int] = []
    last_short = [1000]

    def short(batch: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) <= last_short[0]:
            raise OutOfMemory("no memory at /srv")
        return 1.0 - batch

    served = serve(function=short, limits=limits())
    reply = served.post(picture())
    last_short[0] = 2 * len(calls)  # tried in quarters, too, and as often once more: the job's first attempt
    assert (reply.status, reply.json["error"]) == (503, "out_of_memory")
    assert int(reply.headers["retry-after"]) >= 1
    job = served.wait(served.post(picture(), "/v1/jobs").json["id"])
    assert (job["state"], job["attempts"], job["detail"]) == ("done", 2, None)


def test_memory_that_stays_short(serve, picture) -> None:
    def short(_: np.ndarray) -> np.ndarray:
        raise MemoryError

    served = serve(function=short, limits=limits(max_attempts=2))
    job = served.wait(served.post(picture(), "/v1/jobs").json["id"])
    assert (job["state"], job["attempts"], job["error"]) == ("failed", 2, "out_of_memory")
    assert "not enough memory" in job["detail"]
    served.wait_until_empty()


def test_a_client_that_goes_while_it_waits(serve, picture, gate, until) -> None:
    served = serve(function=gate)
    content = picture()
    head = f"POST /v1/sharpen HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    lines = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(3)]
    for line in lines:
        line.sendall(head + content)
    gate.wait_until_begun()
    until(lambda: served.service.pool.waiting == 2)
    for line in lines:
        line.close()
    until(lambda: served.service.pool.waiting == 0)
    gate.is_open.set()
    until(lambda: served.service.admission.inside == 0 and served.service.pool.busy == 0)
    until(lambda: not list((served.folder / "passing").iterdir()))
    assert not gate.begun.acquire(blocking=False), "those that waited were never begun"


def test_a_client_that_goes_while_it_sends(serve, until) -> None:
    served = serve()
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        line.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf")
        until(lambda: served.service.admission.uploads == 1)
    until(lambda: served.service.admission.uploads == 0)
    assert not list((served.folder / "passing").iterdir())
    assert served.service.store.counts() == {}


def test_stopping_ends_streams_and_puts_back_what_takes_too_long(serve, picture, gate) -> None:
    served = serve(function=gate, limits=limits(drain_s=0.2))
    first, second = (served.post(picture(), "/v1/jobs").json["id"] for _ in range(2))
    gate.wait_until_begun()
    seen: list[str] = []
    watching = threading.Thread(target=lambda: seen.extend(job.state for job in served.client().watch(first)))
    watching.start()
    served.server.should_exit = True
    watching.join(20)
    assert seen in ([], ["running"])
    threading.Timer(0.5, gate.is_open.set).start()
    served.thread.join(20)
    store = JobStore(served.folder)
    assert [(store.get(job_id).state, store.get(job_id).attempts) for job_id in (first, second)] == [("queued", 0)] * 2
    store.close()


def test_who_comes_while_it_stops_is_told(serve, picture) -> None:
    served = serve()
    served.service.stop()
    reply = served.post(picture())
    assert (reply.status, reply.json["error"]) == (503, "stopping")
    assert served.ask("GET", "/readyz").status == 503
    assert served.ask("GET", "/healthz").status == 200


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs modes")
def test_only_the_owner_may_look_into_the_folder(serve, tmp_path) -> None:
    served = serve()
    assert served.folder.stat().st_mode & 0o077 == 0


def _copy(source: Path, target: Path) -> None:
    """Copy a folder as a crash would leave it."""
    for path in sorted(source.rglob("*")):
        there = target / path.relative_to(source)
        if path.is_dir():
            there.mkdir(parents=True)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
