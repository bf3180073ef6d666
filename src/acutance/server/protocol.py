"""HTTP/1.1 with patience that ends: uvicorn's protocol, and times for what it waits for without one.

uvicorn waits for ever for the head of a request, for a client that takes nothing of its answer, and for the rest of a
body that was refused. Each of these costs a connection, of which there are only so many.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from acutance.server.access import Network, client_of, is_within
from acutance.server.limits import Limits
from acutance.server.refusals import PROBLEM_TYPE, ProblemDetails, problem_document, request_id_of

TOO_MANY = ProblemDetails(
    status=503,
    error="too_many_connections",
    detail="too many connections are open, from you or from all; close some, or come again in a moment.",
)
NO_HTTP = ProblemDetails(
    status=400, error="bad_request", detail="this is no request of HTTP/1.1, or its head is too long; see RFC 9112."
)


Awaited = Literal["head", "reader", "rest"]
"""The head of a request, a client that takes its answer, the rest of a body that was refused."""


class PatientProtocol(H11Protocol):
    """One connection; a server has a class of its own, see `protocol_for`."""

    limits: Limits
    trusted: tuple[Network, ...]
    """Proxies: they bring the connections of many."""
    open_by_client: Counter[str]
    """Connections."""

    _counted: str | None = None
    """The client whose connection this is, if it is counted."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of the first request; or end it at once, where there are too many."""
        super().connection_made(transport)
        self._timers: dict[Awaited, asyncio.TimerHandle] = {}
        if not self._is_let_in():
            self.connections.discard(self)  # it takes nobody's place until it is closed
            self._refuse(TOO_MANY)
            return
        self._expect("head", self.limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        for timer in self._timers.values():
            timer.cancel()
        if self._counted is not None:
            self.open_by_client[self._counted] -= 1
            if not self.open_by_client[self._counted]:
                del self.open_by_client[self._counted]
            self._counted = None
        super().connection_lost(exc)

    def _is_let_in(self) -> bool:
        if len(self.connections) > self.limits.max_connections:
            return False
        address = self.client[0] if self.client else ""
        if is_within(address, self.trusted):
            return True
        client = client_of(address)
        if self.open_by_client[client] >= self.limits.max_connections_per_client:
            return False
        self._counted = client
        self.open_by_client[client] += 1
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP/1.1, as everything is refused: by a problem document."""
        del msg
        self._refuse(NO_HTTP)

    def _refuse(self, problem: ProblemDetails) -> None:
        """Say why, and close the connection; no request was understood, so that nothing else can say it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # an answer is under way: nothing may be put into it
            return
        request_id = request_id_of("")
        body = problem_document(problem, request_id)
        head = (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nContent-Type: {PROBLEM_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what came; the time for a head counts from its first byte to its last."""
        if self.conn.their_state is h11.IDLE:
            self._expect("head", self.limits.head_s)
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._came("head")
        if self.conn.their_state is not h11.SEND_BODY and self._came("rest"):
            # The answer's end was long ago, and with it uvicorn's wait for more.
            self._expect("head", self.limits.head_s)

    def pause_writing(self) -> None:
        """Hear that the client does not keep up."""
        super().pause_writing()
        self._expect("reader", self.limits.stall_s)

    def resume_writing(self) -> None:
        """Hear that the client has taken something."""
        super().resume_writing()
        self._came("reader")

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that nobody reads: who is cut off while sending sees no answer."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._expect("rest", self.limits.linger_s)

    def _expect(self, what: Awaited, seconds: float) -> None:
        """End the connection unless something comes in time; the time begins with the first call."""
        if what not in self._timers:
            self._timers[what] = self.loop.call_later(seconds, self._give_up)

    def _came(self, what: Awaited) -> bool:
        """Wait for something no longer; whether it was waited for."""
        timer = self._timers.pop(what, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _give_up(self) -> None:
        # Not close(): that waits until what is still to be sent is taken.
        self.transport.abort()


def protocol_for(limits: Limits, trusted: tuple[Network, ...]) -> type[PatientProtocol]:
    """Return the protocol of one server, which counts its own connections."""
    own = {"limits": limits, "trusted": trusted, "open_by_client": Counter[str]()}
    return type("ServerProtocol", (PatientProtocol,), own)
