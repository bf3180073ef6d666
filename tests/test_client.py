"""The client of the server: what it gives, and what it says when there is nothing to give."""

from __future__ import annotations

import http.server
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.client import Client, ServerRefused
from acutance.engines.fake import FakeEngine
from acutance.errors import AcutanceError, ConfigError
from acutance.server.access import Access
from acutance.server.app import create_app
from acutance.server.limits import Limits
from acutance.server.models import OneEngine
from acutance.server.running import listen, make_server

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A server that inverts and asks for a token."""
    limits = Limits(min_free_bytes=0, max_pixels=10_000)
    folder = tmp_path_factory.mktemp("client") / "data"
    models = OneEngine(FakeEngine(lambda batch: 1.0 - batch), max_pixels=limits.max_pixels)
    server = make_server(create_app(models, folder=folder, limits=limits, access=Access.with_tokens([TOKEN])), limits)
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def client(url: str) -> Client:
    return Client(url, token=TOKEN, patience_s=20)


def picture(side: int = 6) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG", dpi=(300, 300))
    return buffer.getvalue()


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_sharpen(client: Client, tmp_path: Path) -> None:
    sharp = client.sharpen(picture())
    np.testing.assert_array_equal(opened(sharp.content), 255 - opened(picture()))
    assert (sharp.media_type, sharp.model, sharp.lost) == ("image/png", "fake", ())
    assert sharp.seconds is not None
    path = tmp_path / "a.png"
    path.write_bytes(picture())
    assert client.sharpen(path).content == client.sharpen(str(path)).content == sharp.content
    other = client.sharpen(path, strength=0, format="ppm")
    assert other.media_type == "image/x-portable-anymap"
    assert other.lost == ("the resolution (dpi)",)
    with pytest.raises(FileNotFoundError):
        client.sharpen(tmp_path / "none.png")


def test_a_job(client: Client) -> None:
    assert client.models() == ("fake",)
    shares: list[float] = []
    job = client.submit(picture(), format="bmp", key="one")
    assert client.submit(picture(), format="bmp", key="one").id == job.id
    with pytest.raises(ServerRefused, match="another picture or other options") as refused:
        client.submit(picture(), key="one")
    assert refused.value.error == "key_reused"
    assert refused.value.request_id
    done = client.wait(job.id, progress=shares.append, every_s=0.01)
    assert (done.state, done.is_final, shares[-1]) == ("done", True, 1.0)
    assert [seen.state for seen in client.watch(job.id)] == ["done"]
    result = client.result(job.id)
    assert result.media_type == "image/bmp"
    np.testing.assert_array_equal(opened(result.content), 255 - opened(picture()))
    assert client.cancel(job.id).state == "expired"
    with pytest.raises(ServerRefused, match="expired") as refused:
        client.result(job.id)
    assert (refused.value.status, refused.value.error) == (410, "gone")


def test_refusals_are_errors_with_the_server_s_sentence(client: Client, url: str) -> None:
    with pytest.raises(AcutanceError, match="not an image") as refused:
        client.sharpen(b"hello")
    assert (refused.value.status, refused.value.error) == (415, "unsupported_image")
    with pytest.raises(ServerRefused, match="a token is needed"):
        Client(url).models()
    with pytest.raises(ServerRefused, match="nothing of that name"):
        client.job("../../etc/passwd")
    with pytest.raises(ServerRefused, match="no job"):
        next(client.watch("none"))
    job = client.submit(picture(200))
    with pytest.raises(ServerRefused, match="the limit is"):
        client.wait(job.id, every_s=0.01)


@pytest.mark.parametrize("url", ["127.0.0.1:8090", "ftp://x", "http://", ""])
def test_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="must be like"):
        Client(url)


def test_nobody_there() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerRefused, match="cannot be reached") as refused:
        Client(f"http://127.0.0.1:{port}").models()
    assert refused.value.status == 0


class Busy(http.server.BaseHTTPRequestHandler):
    """Is busy twice, then not; or always, or no server of ours at all."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.path == "/strange/v1/models":
            self._say(500, b"<html>", {})
        elif self.path == "/dated/v1/models":
            date = "Wed, 21 Oct 2026 07:28:00 GMT"
            self._say(503, b'{"error": "down", "detail": "the proxy is down."}', {"Retry-After": date})
        elif self.path.endswith("/events"):
            self._say(200, b'data: {"id": "x', {"Transfer-Encoding": "chunked"})
        elif self.path == "/full/v1/models" or type(self).asked < 3:
            self._say(429, b'{"error": "queue_full", "detail": "full."}', {"Retry-After": "0"})
        else:
            self._say(200, json.dumps({"models": [{"name": "x"}]}).encode(), {})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        is_chunked = "Transfer-Encoding" in headers  # and ends within a line
        self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) if is_chunked else body)
        if self.path.startswith("/silent"):
            time.sleep(0.5)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_busy_server_is_asked_again() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert Client(url).models() == ("x",)
        assert Busy.asked == 3
        with pytest.raises(ServerRefused, match="full"):
            Client(url + "/full/", patience_s=0.05).models()
        with pytest.raises(ServerRefused, match="answered 500"):
            Client(url + "/strange").models()
        with pytest.raises(ServerRefused, match="the proxy is down"):
            Client(url + "/dated").models()
        assert list(Client(url).watch("x")) == []
        with pytest.raises(ServerRefused, match="broke the answer off") as refused:
            list(Client(url + "/silent", timeout_s=0.1).watch("x"))
        assert (refused.value.status, refused.value.error) == (0, "broken_off")
        server.shutdown()


def test_importing_it_is_light() -> None:
    heavy = ("numpy", "fastapi", "PIL", "onnxruntime")
    code = f"import sys, acutance.client; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
