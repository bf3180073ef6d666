"""The application behind a socket, until it is asked to stop."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from acutance.errors import ConfigError, first_line
from acutance.server.access import networks_of
from acutance.server.limits import Limits
from acutance.server.protocol import protocol_for
from acutance.server.service import Service

BACKLOG = 256

LOOK_S = 0.02
"""Between two looks at whether all work has ended."""

ENDING_S = 2
"""Time for the last answers, once all work has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Files by which TLS is spoken."""

    chain: Path
    """PEM file with the server's certificate and those above it."""
    key: Path
    """PEM file with its private key, not encrypted."""


class Server(uvicorn.Server):
    """uvicorn's server; its application hears at once when it is asked to stop."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order at the first signal, at once at a second Ctrl-C."""
        # uvicorn's own would raise the signal once more at the end, and the process would end as if it was killed.
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the application, then wait for what is being worked on, then for what is being answered.

        While work goes on, who comes is still answered: a balancer asks whether the server is ready, and is told no.
        """
        self._service.stop()
        end = time.monotonic() + self._service.limits.drain_s
        while not (self._service.is_idle or self.force_exit or time.monotonic() > end):
            await asyncio.sleep(LOOK_S)
        await super().shutdown(sockets)


def make_server(
    app: FastAPI, limits: Limits, *, certificate: Certificate | None = None, proxies: tuple[str, ...] = ()
) -> Server:
    """Make a server for an application of `create_app`.

    Args:
        app: The application.
        limits: The times that connections have, and how many there may be.
        certificate: None speaks plain HTTP.
        proxies: Addresses or networks of reverse proxies that are believed when they say whose request they pass on.

    Raises:
        ConfigError: When the certificate cannot be used, or a proxy is no address or network.
    """
    if certificate is not None:
        _check(certificate)
    config = uvicorn.Config(
        app,
        http=protocol_for(limits, networks_of(proxies)),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(ENDING_S, math.ceil(limits.drain_s)),
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    return Server(config, cast("Service", app.state.service))


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        host: A name or address of this machine.
        port: 0 takes a free one.

    Raises:
        ConfigError: When it cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"{host}, port {port}: cannot be listened on ({_reason(error)}); choose another --port or --host."
        ) from error


def _reason(error: OSError) -> str | None:
    # `socket.create_server` puts the address into the text, once more and in brackets.
    return error.strerror if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)


def _check(certificate: Certificate) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            certificate.chain, certificate.key, password=lambda: b""
        )
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise ConfigError(
            f"{certificate.chain}, {certificate.key}: are no certificate and its key in PEM form ({first_line(error)})."
        ) from error
