"""HTTP/1.1 with patience that ends: uvicorn's protocol, and times for what it waits for without one.

uvicorn waits for ever for the head of a request, for a client that takes nothing of its answer, and for the rest of a
body that was refused. Each of these costs a connection, of which there are only so many.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from acutance.server.access import Network, client_of, is_within
from acutance.server.limits import Limits
from acutance.server.refusals import PROBLEM_TYPE, Answer, document_of, request_id_of


class ServerConfig(uvicorn.Config):
    """uvicorn's settings, and our limits for the protocol to find."""

    limits: Limits
    trusted: tuple[Network, ...] = ()
    """Proxies: they bring the connections of many."""
    open_by_client: Counter[str]
    """Connections."""


TOO_MANY = Answer(
    status=503,
    error="too_many_connections",
    detail="too many connections are open, from you or from all; close some, or come again in a moment.",
)
NO_HTTP = Answer(
    status=400, error="bad_request", detail="this is no request of HTTP/1.1, or its head is too long; see RFC 9112."
)


class PatientProtocol(H11Protocol):
    """One connection."""

    _counted: str | None = None
    """The client whose connection this is, if it is counted."""
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _linger_timer: asyncio.TimerHandle | None = None

    @property
    def _limits(self) -> Limits:
        return cast("ServerConfig", self.config).limits

    @property
    def _open(self) -> Counter[str]:
        return cast("ServerConfig", self.config).open_by_client

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of the first request; or end it at once, where there are too many."""
        super().connection_made(transport)
        if not self._is_let_in():
            self.connections.discard(self)  # it takes nobody's place until it is closed
            self._refuse(TOO_MANY)
            return
        self._head_timer = self.loop.call_later(self._limits.head_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        for timer in (self._head_timer, self._stall_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        if self._counted is not None:
            self._open[self._counted] -= 1
            if not self._open[self._counted]:
                del self._open[self._counted]
            self._counted = None
        super().connection_lost(exc)

    def _is_let_in(self) -> bool:
        if len(self.connections) > self._limits.max_connections:
            return False
        address = self.client[0] if self.client else ""
        if is_within(address, cast("ServerConfig", self.config).trusted):
            return True
        client = client_of(address)
        if self._open[client] >= self._limits.max_connections_per_client:
            return False
        self._counted = client
        self._open[client] += 1
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP/1.1, as everything is refused: by a problem document."""
        del msg
        self._refuse(NO_HTTP)

    def _refuse(self, answer: Answer) -> None:
        """Say why, and close the connection; no request was understood, so that nothing else can say it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # an answer is under way: nothing may be put into it
            return
        request_id = request_id_of("")
        body = document_of(answer, request_id)
        head = (
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\nContent-Type: {PROBLEM_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what came; the time for a head counts from its first byte to its last."""
        if self._head_timer is None and self.conn.their_state is h11.IDLE:
            self._head_timer = self.loop.call_later(self._limits.head_s, self._give_up)
        super().data_received(data)
        if self._head_timer is not None and self.conn.their_state is not h11.IDLE:
            self._head_timer.cancel()
            self._head_timer = None
        if self._linger_timer is not None and self.conn.their_state is not h11.SEND_BODY:
            self._linger_timer.cancel()
            self._linger_timer = None
            if self._head_timer is None:  # the answer's end was long ago, and with it uvicorn's wait for more
                self._head_timer = self.loop.call_later(self._limits.head_s, self._give_up)

    def pause_writing(self) -> None:
        """Hear that the client does not keep up."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self._limits.stall_s, self._give_up)

    def resume_writing(self) -> None:
        """Hear that the client has taken something."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that nobody reads: who is cut off while sending sees no answer."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._linger_timer = self.loop.call_later(self._limits.linger_s, self._give_up)

    def _give_up(self) -> None:
        # Not close(): that waits until what is still to be sent is taken.
        self.transport.abort()
