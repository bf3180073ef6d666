"""A web server on this machine that serves bytes from memory and misbehaves as told: for tests without a network.

By default it does what a good server does: lengths, ETags, ranges, `If-Range`. Faults are given one per request,
in order; requests are kept, so that a test can see what was asked.
"""

from __future__ import annotations

import hashlib
import re
import socket
import socketserver
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

PIECE_BYTES = 1 << 14
"""Bytes sent at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one answer; the default is nothing."""

    status: int | None = None
    """Answered instead of the file."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent besides the usual ones; those of the same name are left out."""
    without: frozenset[str] = frozenset()
    """Headers that are left out."""
    drop_at: int | None = None
    """Bytes of the body after which the connection is closed."""
    is_silent: bool = False
    """The connection is closed without an answer."""
    stall_s: float = 0.0
    """Pause in the middle of the body, or before it is dropped."""
    ignores_range: bool = False
    """All of the file is sent, whatever was asked for."""
    ignores_if_range: bool = False
    """The range is sent even when the file has changed."""
    content: bytes | None = None
    """Sent instead of the file."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """What a client asked for."""

    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        """The bytes asked for, or None when it was all of them."""
        return self.headers.get("Range")


class FakeServer:
    """Serves `files` (name → bytes) on 127.0.0.1 while its context is open.

    The files may be exchanged while it runs: a new content has a new ETag.
    """

    def __init__(
        self, files: Mapping[str, bytes], faults: Iterable[Fault] = (), *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.files = dict(files)
        self.faults = deque(faults)
        """Used up by requests, one each."""
        self.always = Fault()
        """What is wrong when no other fault is left."""
        self.requests: list[SeenRequest] = []
        self._scheme = "http" if tls is None else "https"
        self._server = _QuietServer(("127.0.0.1", 0), partial(_Handler, self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.is_closing = threading.Event()

    @property
    def address(self) -> str:
        """Its address, without a slash at the end."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.is_closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for the answers, and leaves no socket open

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(
        self,
        fake: FakeServer,
        request: socket.socket,
        client_address: tuple[str, int],
        server: socketserver.BaseServer,
    ) -> None:
        self.fake = fake
        super().__init__(request, client_address, server)

    def do_GET(self) -> None:
        """Answer one request, with the fault whose turn it is."""
        fake = self.fake
        fake.requests.append(SeenRequest(self.path, dict(self.headers)))
        fault = fake.faults.popleft() if fake.faults else fake.always
        name = urlsplit(self.path).path.removeprefix("/")  # of a proxy the whole address is asked
        content = fake.files.get(name) if fault.content is None else fault.content
        if fault.is_silent:
            fake.is_closing.wait(fault.stall_s)
        elif fault.status is not None or content is None:
            self._send(fault.status or 404, {"Content-Length": "0"}, b"", fault)
        else:
            self._send_file(content, fault)

    def _send_file(self, content: bytes, fault: Fault) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        start = self._wanted_start(etag, fault)
        if start is None:
            self._send(200, headers | {"Content-Length": str(len(content))}, content, fault)
        elif start >= len(content):
            self._send(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"}, b"", fault)
        else:
            body = content[start:]
            headers |= {
                "Content-Length": str(len(body)),
                "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}",
            }
            self._send(206, headers, body, fault)

    def _wanted_start(self, etag: str, fault: Fault) -> int | None:
        """First byte asked for, or None when the whole file is to be sent."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_changed = not fault.ignores_if_range and self.headers.get("If-Range", etag) != etag
        return None if asked is None or is_changed or fault.ignores_range else int(asked[1])

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        replaced = {name for name, _ in fault.headers} | fault.without
        self.send_response(status)
        for name, value in (*((name, headers[name]) for name in headers if name not in replaced), *fault.headers):
            self.send_header(name, value)
        self.end_headers()
        body = body[: fault.drop_at]
        middle = len(body) // 2 // PIECE_BYTES * PIECE_BYTES
        for position in range(0, len(body), PIECE_BYTES):
            if position == middle:
                self.fake.is_closing.wait(fault.stall_s)
            self.wfile.write(body[position : position + PIECE_BYTES])

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
