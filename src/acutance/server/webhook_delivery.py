"""Sends webhooks: in threads of its own, tried again with longer and longer waits, never in the way of any work.

A host is looked up once for each try; the addresses that come are checked, and the connection goes to one of those, so
that a name cannot point elsewhere in between. Redirections are not followed, and no proxy of the environment is used.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable

from acutance.errors import AcutanceError, ConfigError
from acutance.server.job_store import JobStore
from acutance.server.jobs import Job
from acutance.server.metrics import Metrics
from acutance.server.refusals import Refused
from acutance.server.webhooks import Message, Target, WebhookPolicy, message_of

_LOG = logging.getLogger("acutance.server")

SENDERS = 4
"""Messages on their way at once."""

WAITS_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18000.0)
"""After each try that did not succeed; after the last one more, it is given up."""

LOOK_S = 1.0
"""Between two looks at what is due."""

CONNECT_S = 5.0
WHOLE_S = 15.0
"""Time for a connection, and for all of a try."""

GONE = 410
"""Of HTTP: the receiver wants no more."""


class WebhookDelivery:
    """Sends what is due in the list of jobs."""

    def __init__(
        self,
        policy: WebhookPolicy,
        store: JobStore,
        metrics: Metrics,
        *,
        waits_s: tuple[float, ...] = WAITS_S,
        resolve: Callable[[str, int], list[str]] | None = None,
    ) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            policy: What is allowed.
            store: The list of jobs.
            metrics: Counts what was sent.
            waits_s: Between tries.
            resolve: Returns the addresses of a host; None asks the system.
        """
        self._policy = policy
        self._store = store
        self._metrics = metrics
        self._waits_s = waits_s
        self._resolve = resolve or addresses_of
        self._tasks: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._under_way: set[str] = set()
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def start(self) -> None:
        """Begin to send, if any host is allowed."""
        if not self._policy.hosts:
            return
        # Daemons: a receiver that is slow must not hold up the end of the server; what is due stays in the list.
        for work in (self._look, *([self._send_all] * SENDERS)):
            threading.Thread(target=work, name="acutance-webhooks", daemon=True).start()

    def close(self) -> None:
        """Begin nothing more. Does not wait."""
        self._is_over.set()

    def _look(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(Refused):  # the list cannot be read now
                with self._lock:
                    busy = set(self._under_way)
                for job in self._store.webhooks_due(SENDERS + len(busy)):
                    if job.id not in busy:
                        with self._lock:
                            self._under_way.add(job.id)
                        self._tasks.put(job)
            self._is_over.wait(LOOK_S)

    def _send_all(self) -> None:
        while not self._is_over.is_set():
            job = self._tasks.get()
            try:
                self._deliver(job)
            except Exception:  # noqa: BLE001 - an edge: it is logged, and the next one is sent
                _LOG.exception("sending a webhook")
            finally:
                with self._lock:
                    self._under_way.discard(job.id)

    def _deliver(self, job: Job) -> None:
        """Try once, and note what came of it."""
        try:
            status = self._sent(job)
        except (AcutanceError, OSError, http.client.HTTPException, ValueError) as error:
            status, reason = 0, str(error)
        else:
            reason = f"it answered {status}"
        if 200 <= status < 300:
            self._store.webhook_sent(job.id)
            self._metrics.webhooks.labels("sent").inc()
            return
        is_last = job.webhook_tries >= len(self._waits_s) or status == GONE
        wait_s = None if is_last else self._waits_s[job.webhook_tries]
        self._store.webhook_failed(job.id, wait_s=wait_s)
        self._metrics.webhooks.labels("gave_up" if is_last else "failed").inc()
        _LOG.warning("a webhook was not taken: %s; %s", reason, "given up" if is_last else f"again in {wait_s:g} s")

    def _sent(self, job: Job) -> int:
        """Send a message; return the status that came.

        Raises:
            ConfigError: When its host is not allowed any more, or has an address that is not.
            OSError: When it cannot be reached.
        """
        target = self._policy.target(job.webhook or "")
        addresses = self._resolve(target.host, target.port)
        forbidden = [address for address in addresses if not self._policy.allows_address(address)]
        if forbidden or not addresses:
            raise ConfigError(f"{target.host} has no address, or one of no public network.")
        message = message_of(job, secret=self._policy.secret, now=time.time())
        return post(target, addresses[0], message)


def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host.

    Raises:
        OSError: When it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def post(target: Target, address: str, message: Message) -> int:
    """Post a message to an address of a host; return the status of the answer, whose body is not read.

    Raises:
        OSError: When it cannot be reached, or TLS cannot be spoken with it by that host's name.
        HTTPException: When it does not answer in HTTP.
    """
    plain = line = socket.create_connection((address, target.port), timeout=CONNECT_S)
    try:
        if target.is_tls:
            line = ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise
    ending = threading.Timer(WHOLE_S, _cut, (line,))  # one that answers a byte at a time never comes to an end
    ending.daemon = True
    ending.start()
    try:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = line
        connection.request("POST", target.path, message.body, {**message.headers, "Connection": "close"})
        return connection.getresponse().status
    finally:
        ending.cancel()
        line.close()


def _cut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
