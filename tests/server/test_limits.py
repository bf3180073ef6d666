"""What is bounded: bytes, places, rates, time, patience."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import numpy as np
import pytest

from acutance.errors import ConfigError
from acutance.server.access import networks_of
from acutance.server.admission import Admission
from acutance.server.file_limit import with_files
from acutance.server.limits import Limits
from acutance.server.rates import Rates
from acutance.server.refusals import Refused

HEAD = b"POST /v1/sharpen HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def limits(**values: float) -> Limits:
    return Limits(**{"min_free_bytes": 0, "drain_s": 5, **values})


@pytest.mark.parametrize("name", ["max_pixels", "runs", "run_s", "posts_per_minute"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_are_positive(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Limits(**{name: value})


def test_a_body_that_says_it_is_too_large_is_not_read(shared) -> None:
    reply = shared.raw(HEAD + b"Content-Length: 999999999\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in reply
    assert b"body_too_large" in reply


def test_a_body_that_turns_out_too_large(shared) -> None:
    """In chunks, without a length: it is counted while it comes, and the rest is let run out so that the answer is."""
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    reply = shared.raw(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunk * 20 + b"0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 413")
    assert not list((shared.folder / "passing").iterdir())


@pytest.mark.parametrize("size", [300_001, 3_000_000])
def test_a_form_that_is_too_large(shared, size: int) -> None:
    reply = shared.form(b"x" * size)
    assert (reply.status, reply.json["error"]) == (413, "body_too_large")
    assert not list((shared.folder / "passing").iterdir())


def test_many_fields_are_not_read_on(shared) -> None:
    part = b'--xyz\r\nContent-Disposition: form-data; name="file"\r\n\r\n\r\n'
    reply = shared.post(part * 3000 + b"--xyz--\r\n", Content_Type="multipart/form-data; boundary=xyz")
    assert (reply.status, reply.json["error"]) == (400, "bad_form")


def test_a_body_that_drips_is_given_up(serve) -> None:
    served = serve(limits=limits(body_grace_s=0.3, linger_s=0.2))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as line:
        line.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        found = _drip(line, b"x", every_s=0.05)
    assert found.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in found
    assert not list((served.folder / "passing").iterdir())
    served.wait_until_empty()


def test_a_head_that_drips_is_given_up(serve) -> None:
    served = serve(limits=limits(head_s=0.3))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as line:
        assert _drip(line, b"X-A: b\r\n", every_s=0.05, first=HEAD) == b""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as silent:
        assert silent.recv(10) == b""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as second:
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert _answer(second, b"}").startswith(b"HTTP/1.1 200")
        assert b"HTTP" not in _drip(second, b"X", every_s=0.05, first=b"GET /"), "the second head of a connection, too"


def test_an_answer_that_nobody_takes_is_given_up(serve, picture) -> None:
    served = serve(limits=limits(stall_s=0.3))
    content = picture(1200, 1200, format="BMP")
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(10)
        line.connect(("127.0.0.1", served.port))
        line.sendall(HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        _wait(lambda: b"acutance_run_seconds_sum" in served.service.metrics.text({}))
        _wait(lambda: not served.server.server_state.connections)
        found = 0
        with suppress(ConnectionResetError):
            while more := line.recv(65536):
                found += len(more)
    assert found < len(content)
    _wait(lambda: not list((served.folder / "passing").iterdir()))


def test_the_rest_of_a_refused_body_has_its_time(serve) -> None:
    served = serve(limits=limits(linger_s=0.3))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as line:
        line.sendall(HEAD.replace(b"sharpen", b"sharpen?strength=9") + b"Content-Length: 100000\r\n\r\n")
        found = _drip(line, b"x" * 10, every_s=0.02)
    assert found.startswith(b"HTTP/1.1 422")


def test_a_connection_goes_on_after_a_refused_body(serve, picture) -> None:
    served = serve()
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=10)) as line:
        content = picture()
        line.sendall(HEAD.replace(b"sharpen", b"sharpen?strength=9") + b"Content-Length: 50000\r\n\r\n")
        assert _answer(line, b"}").startswith(b"HTTP/1.1 422")
        line.sendall(b"x" * 50_000 + HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        assert _answer(line, b"IEND").startswith(b"HTTP/1.1 200")


def test_places_are_limited_and_given_back(serve, picture, gate) -> None:
    served = serve(function=gate, limits=limits(max_queue=3, max_queue_per_client=2, retry_s=0.01))
    jobs = [served.post(picture(), "/v1/jobs") for _ in range(3)]
    assert [job.status for job in jobs] == [202, 202, 429]
    assert jobs[2].json["error"] == "queue_full"
    assert int(jobs[2].headers["retry-after"]) >= 1
    assert served.post(picture()).status == 429, "for direct requests, too"
    assert served.ask("DELETE", f"/v1/jobs/{jobs[1].json['id']}").json["state"] == "cancelled"
    third = served.post(picture(), "/v1/jobs")
    assert third.status == 202
    gate.is_open.set()
    assert served.wait(third.json["id"])["state"] == "done"
    served.wait_until_empty()
    assert served.post(picture()).status == 200


def test_the_rate_is_limited(serve, picture) -> None:
    served = serve(limits=limits(posts_per_minute=6, posts_at_once=2))
    replies = [served.post(picture()) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].json["error"] == "too_many_requests"
    assert 1 <= int(replies[2].headers["retry-after"]) <= 10
    assert served.ask("GET", "/healthz").status == 200


def test_time_for_one_picture_is_limited(serve, picture) -> None:
    def slow(batch: np.ndarray) -> np.ndarray:
        time.sleep(0.1)
        return batch

    served = serve(function=slow, limits=limits(run_s=0.05))
    reply = served.post(picture())
    assert (reply.status, reply.json["error"]) == (413, "took_too_long")
    job = served.wait(served.post(picture(), "/v1/jobs").json["id"])
    assert (job["state"], job["error"]) == ("failed", "took_too_long")


@pytest.mark.parametrize("runs", [1, 3])
def test_runs_at_once_are_limited(serve, picture, gate, runs: int) -> None:
    served = serve(function=gate, limits=limits(runs=runs))
    ids = [served.post(picture(), "/v1/jobs").json["id"] for _ in range(5)]
    for _ in range(runs):
        gate.wait_until_begun()
    assert not gate.begun.acquire(timeout=0.1)
    assert served.service.pool.busy == runs
    gate.is_open.set()
    assert {served.wait(job_id)["state"] for job_id in ids} == {"done"}


def test_direct_requests_do_not_wait_behind_all_jobs(serve, picture, gate) -> None:
    served = serve(function=gate)
    ids = [served.post(picture(), "/v1/jobs").json["id"] for _ in range(6)]
    gate.wait_until_begun()
    direct: list[int] = []
    asking = threading.Thread(target=lambda: direct.append(served.post(picture()).status))
    asking.start()
    _wait(lambda: served.service.pool.waiting == 6)
    gate.is_open.set()
    asking.join(20)
    assert direct == [200]
    finished = {job_id: served.wait(job_id)["finished_at"] for job_id in ids}
    assert max(finished.values()) > served.job(ids[1])["started_at"]


def test_what_is_kept_is_limited(serve, picture) -> None:
    served = serve(limits=limits(max_stored_bytes=10))
    job = served.wait(served.post(picture(), "/v1/jobs").json["id"])
    reply = served.post(picture(), "/v1/jobs")
    assert (reply.status, reply.json["error"]) == (429, "queue_full")
    served.ask("DELETE", f"/v1/jobs/{job['id']}")
    assert served.post(picture(), "/v1/jobs").status == 202


def test_connections_are_limited(serve) -> None:
    served = serve(limits=limits(max_connections=3))
    lines = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(3)]
    _wait(lambda: len(served.server.server_state.connections) == 3)
    refused = served.ask("GET", "/healthz")
    assert (refused.status, refused.json["error"]) == (503, "too_many_connections")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json["request_id"] == refused.headers["x-request-id"]
    for line in lines:
        line.close()
    _wait(lambda: len(served.server.server_state.connections) == 0)
    assert served.ask("GET", "/healthz").status == 200


def test_idle_connections_of_one_leave_room_for_others(serve, picture) -> None:
    served = serve(limits=limits(max_connections=40, max_connections_per_client=20))
    with _lines(served.port, *["127.0.0.2"] * 60) as idle:
        assert _answer(idle[-1], b"}").startswith(b"HTTP/1.1 503")
        assert len(served.server.server_state.connections) == 20
        assert served.post(picture()).status == 200


def test_trickling_uploads_of_some_leave_room_for_others(serve, picture) -> None:
    served = serve(limits=limits(max_uploads=8, max_uploads_per_client=3, max_queue=2, max_queue_per_client=1))
    with _lines(served.port, *["127.0.0.2"] * 12, *["127.0.0.3"] * 12) as trickling:
        for line in trickling:
            line.sendall(HEAD + b"Content-Length: 1000\r\n\r\nx")
        _wait(lambda: served.service.admission.uploads == 6)
        assert served.service.admission.inside == 0, "who sends has no place in the queue yet"
        assert served.post(picture()).status == 200
        assert served.ask("GET", "/healthz").status == 200
        _wait(lambda: b'status="429"' in served.service.metrics.text({}))
    _wait(lambda: served.service.admission.uploads == 0)


def test_a_trusted_proxy_brings_the_connections_of_many(serve) -> None:
    served = serve(limits=limits(max_connections_per_client=2), proxies=("127.0.0.0/8",))
    with _lines(served.port, *["127.0.0.2"] * 6):
        _wait(lambda: len(served.server.server_state.connections) == 6)
        assert served.ask("GET", "/healthz").status == 200
    with pytest.raises(ConfigError, match="proxy nginx: must be an address or a network"):
        networks_of(("nginx",))


def test_event_streams_of_one_client_are_limited(serve, picture, gate) -> None:
    served = serve(function=gate, limits=limits(max_watchers=4, max_watchers_per_client=2))
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    head = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with _lines(served.port, *["127.0.0.2"] * 3, "127.0.0.3") as (first, second, third, other):
        for line in (first, second, other):
            line.sendall(head)
            assert _answer(line, b"data:").startswith(b"HTTP/1.1 200")
        third.sendall(head)
        refused = _answer(third, b"}")
        assert refused.startswith(b"HTTP/1.1 429")
        assert b"2 event streams of yours" in refused
    gate.is_open.set()
    served.wait(job_id)
    _wait(lambda: served.service.live.watchers == 0)


@contextmanager
def _lines(port: int, *addresses: str) -> Iterator[list[socket.socket]]:
    """Give a connection from each address."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0)))
            for address in addresses
        ]


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no files there")
def test_connections_never_exceed_what_files_allow(monkeypatch) -> None:
    import resource

    allowed = [(256, 500)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: allowed[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, values: allowed.append(values))
    assert with_files(Limits(max_connections=1024)).max_connections == (500 - 128) // 2
    assert allowed[-1] == (500, 500)
    allowed.append((256, resource.RLIM_INFINITY))
    assert with_files(Limits(max_connections=1024)).max_connections == 1024
    assert allowed[-1][0] == 2 * 1024 + 128
    allowed.append((100, 100))
    with pytest.raises(ConfigError, match="open files: the system allows 100"):
        with_files(Limits())


def test_buckets() -> None:
    now = [0.0]
    rates = Rates(per_minute=60, at_once=2, now=lambda: now[0], remembered=2)
    assert [rates.take("a") for _ in range(3)] == [0, 0, 1]
    assert rates.take("b") == 0, "others have their own"
    now[0] = 0.75
    assert rates.take("a") == pytest.approx(0.25)
    now[0] = 1.0
    assert rates.take("a") == 0
    for client in "cde":
        rates.take(client)
    assert len(rates) == 2, "memory is bounded"


def test_nobody_is_let_in_without_room() -> None:
    free = [100]
    admission = Admission(Limits(min_free_bytes=50), free_bytes=lambda: free[0], stored_bytes=lambda: 0)
    admission.enter("a")
    free[0] = 49
    with pytest.raises(Refused, match="disk is full"):
        admission.enter("a")
    free[0] = 100
    admission.close()
    with pytest.raises(Refused, match="stopping"):
        admission.enter("a")
    admission.leave("a")
    assert admission.inside == 0


def test_the_queue_is_limited_for_all_clients_together() -> None:
    """Two clients fill it, neither of them its own share; a third, who has nothing in it, is refused."""
    limits = Limits(max_queue=3, max_queue_per_client=2)
    admission = Admission(limits, free_bytes=lambda: 2**60, stored_bytes=lambda: 0)
    for client in ("a", "a", "b"):
        admission.enter(client)
    for client in ("b", "c"):
        with pytest.raises(Refused, match="the server's queue is full"):
            admission.enter(client)
    admission.leave("b")
    with pytest.raises(Refused, match="your share of the server's queue is full"):
        admission.enter("a")
    admission.enter("c")
    assert admission.inside == 3


def test_a_longer_queue_says_to_come_later() -> None:
    def told(places: int) -> float:
        limits = Limits(max_queue=places, max_queue_per_client=places, posts_at_once=1000)
        admission = Admission(limits, free_bytes=lambda: 2**60, stored_bytes=lambda: 0)
        for _ in range(places):
            admission.enter("a")
            admission.took(10.0)
        with pytest.raises(Refused) as refused:
            admission.enter("a")
        return refused.value.problem.retry_after_s

    assert 1 <= told(2) < told(100) <= 600


def _answer(line: socket.socket, end: bytes) -> bytes:
    """Read until some bytes have come."""
    found = b""
    while end not in found and (more := line.recv(65536)):
        found += more
    return found


def _drip(line: socket.socket, piece: bytes, *, every_s: float, first: bytes = b"") -> bytes:
    """Send a piece now and then until the other side closes; return what it said."""
    found = b""
    line.settimeout(every_s)
    try:
        line.sendall(first)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                if not (more := line.recv(65536)):
                    return found
                found += more
            except TimeoutError:
                line.sendall(piece)
    except (ConnectionResetError, BrokenPipeError):
        return found
    raise AssertionError("the server was too patient")


def _wait(holds) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
