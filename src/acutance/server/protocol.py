"""HTTP/1.1 with patience that ends: uvicorn's protocol, and times for what it waits for without one.

uvicorn waits for ever for the head of a request, for a client that takes nothing of its answer, and for the rest of a
body that was refused. Each of these costs a connection, of which there are only so many.
"""

from __future__ import annotations

import asyncio
from typing import cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from acutance.server.limits import Limits


class ServerConfig(uvicorn.Config):
    """uvicorn's settings, and our limits for the protocol to find."""

    limits: Limits


class PatientProtocol(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _linger_timer: asyncio.TimerHandle | None = None

    @property
    def _limits(self) -> Limits:
        return cast("ServerConfig", self.config).limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of the first request."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self._limits.head_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        for timer in (self._head_timer, self._stall_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

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
