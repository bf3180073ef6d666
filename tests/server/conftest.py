"""A real server on a free port of this machine, with an engine that is a plain function."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acutance.client import Client
from acutance.engines.fake import FakeEngine
from acutance.server.access import Access
from acutance.server.app import create_app
from acutance.server.job_store import JobStore
from acutance.server.limits import Limits
from acutance.server.models import Models, OneEngine
from acutance.server.running import Certificate, Server, listen, make_server
from acutance.server.service import Service
from acutance.server.webhooks import WebhookPolicy

PATIENCE_S = 60.0
"""What no test waits for unless it fails."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def pixels(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.body)))


@dataclass
class Served:
    """A server that runs in a thread."""

    port: int
    service: Service
    server: Server
    thread: threading.Thread
    folder: Path

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> Reply:
        connection = http.client.HTTPConnection(options.get("host", "127.0.0.1"), self.port, timeout=PATIENCE_S)
        with closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())

    def post(self, body: bytes, path: str = "/v1/sharpen", **headers: str) -> Reply:
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def form(self, body: bytes, path: str = "/v1/sharpen", *, name: str = "photo.png") -> Reply:
        content, content_type = form_of(body, name)
        return self.ask("POST", path, content, {"Content-Type": content_type})

    def raw(self, data: bytes, *, timeout_s: float = PATIENCE_S) -> bytes:
        """Send bytes as they are; return all that comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as line:
            line.sendall(data)
            found = b""
            with suppress(ConnectionResetError):
                while more := line.recv(65536):
                    found += more
            return found

    def client(self, **options: Any) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", **options)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/v1/jobs/{job_id}").json

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        """Wait until a job is in one of some states (final ones, if none are given)."""
        wanted = states or ("done", "failed", "cancelled", "expired")
        return until(lambda: job if (job := self.job(job_id))["state"] in wanted else None)

    def wait_until_empty(self) -> None:
        """Wait until no picture has a place any more."""
        until(lambda: self.service.admission.inside == 0)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def until(found: Callable[[], Any]) -> Any:
    """Ask until there is something."""
    end = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


def form_of(body: bytes, filename: str = "photo.png", *, field_name: str = "file") -> tuple[bytes, str]:
    boundary = "----boundary7f3a"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field_name}"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + body + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def picture(height: int = 9, width: int = 7, *, format: str = "PNG", seed: int = 0, **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def claiming(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims a size."""
    content = bytearray(picture())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@dataclass
class Gate:
    """A network that waits until it is let through, and says when it has begun."""

    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    is_open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.begun.release()
        assert self.is_open.wait(PATIENCE_S)
        return 1.0 - batch

    def wait_until_begun(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE_S)


def start(
    folder: Path,
    *,
    function: Callable[[np.ndarray], np.ndarray] = lambda batch: 1.0 - batch,
    limits: Limits | None = None,
    access: Access | None = None,
    models: Models | None = None,
    store: JobStore | None = None,
    certificate: Certificate | None = None,
    proxies: tuple[str, ...] = (),
    webhooks: WebhookPolicy | None = None,
) -> Served:
    limits = limits or Limits(min_free_bytes=0, drain_s=5)
    listener = listen("127.0.0.1", 0)
    models = models or OneEngine(FakeEngine(function), max_pixels=limits.max_pixels)
    app = create_app(models, folder=folder, limits=limits, access=access, store=store, webhooks=webhooks)
    server = make_server(app, limits, certificate=certificate, proxies=proxies)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    return Served(listener.getsockname()[1], app.state.service, server, thread, folder)


@pytest.fixture(scope="session", name="start")
def starter() -> Callable[..., Served]:
    """Give `start(folder, function=…, limits=…, …)`: a server that somebody else stops."""
    return start


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Give `serve(function=…, limits=…, …)`, which starts a server that ends with the test."""
    running: list[Served] = []

    def begin(folder: Path | None = None, **options: Any) -> Served:
        running.append(start(folder or tmp_path / "data", **options))
        return running[-1]

    yield begin
    for served in running:
        served.stop()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give one server for all tests that leave it as it is; its network inverts."""
    served = start(
        tmp_path_factory.mktemp("shared") / "data",
        limits=Limits(min_free_bytes=0, max_pixels=1_000_000, max_body_bytes=300_000, posts_at_once=10_000),
    )
    yield served
    served.stop()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Give a network that waits; it is opened at the end in any case."""
    gate = Gate()
    yield gate
    gate.is_open.set()


@pytest.fixture(scope="session", name="picture")
def picture_maker() -> Callable[..., bytes]:
    """Give `picture(height, width, format=…, seed=…)`: the content of a file of noise."""
    return picture


@pytest.fixture(scope="session", name="claiming")
def claiming_maker() -> Callable[[int, int], bytes]:
    """Give `claiming(width, height)`: a tiny PNG that claims a size."""
    return claiming


@pytest.fixture(scope="session", name="form_of")
def form_maker() -> Callable[..., tuple[bytes, str]]:
    """Give `form_of(content, filename, field_name=…)`: a form's body and its Content-Type."""
    return form_of


@pytest.fixture(scope="session", name="until")
def patience() -> Callable[[Callable[[], Any]], Any]:
    """Give `until(found)`: ask until there is something, and return it."""
    return until
