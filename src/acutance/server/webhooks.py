"""Which webhooks are taken, and what is sent: that a job is over, signed, to hosts that the operator has allowed.

Signed as Standard Webhooks has it (standardwebhooks.com): HMAC-SHA256 over id, time and body, in `webhook-signature`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from acutance.errors import ConfigError
from acutance.server.jobs import Job

LONGEST_URL = 500
"""Characters."""

SECRET_PREFIX = "whsec_"
SECRET_BYTES = (24, 64)
"""Fewest and most, as Standard Webhooks has it."""

MOST_SECRET_BYTES = 1024
"""Of the file."""

HTTPS_PORT = 443

_URL = re.compile(r"[!-~]+")
_HOST = re.compile(r"(?P<name>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:(?P<port>[0-9]{1,5}))?")

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Addresses in which an IPv4 address lies, to which a router translates."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook goes."""

    host: str
    port: int
    path: str
    """With its query."""
    is_tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """What is allowed, and the secret. Without hosts nothing is ever sent."""

    hosts: frozenset[tuple[str, int]] = frozenset()
    """Names in lower case, and ports."""
    secret: bytes = b""
    is_test: bool = False
    """For tests alone: plain HTTP and addresses of this machine are taken, too. No option sets it."""

    @classmethod
    def of(cls, hosts: Iterable[str], secret_file: Path | None) -> WebhookPolicy:
        """Read what an operator has written.

        Args:
            hosts: Names, `hooks.example.org`, each with a port where it is not 443.
            secret_file: A file with one line, `whsec_…`.

        Raises:
            ConfigError: When a host is no name, or the secret is missing, unreadable or too short.
        """
        named = frozenset(_host_of(host) for host in hosts)
        if not named and secret_file is None:
            return cls()
        if not named or secret_file is None:
            raise ConfigError("--webhook-host and --webhook-secret-file: belong together; give both or none.")
        return cls(hosts=named, secret=read_secret(secret_file))

    def target(self, url: str) -> Target:
        """Return where a client's webhook goes.

        Raises:
            ConfigError: When it is no address, or not one of those that are allowed.
        """
        if not self.hosts:
            raise _bad("this server sends none; whoever runs it can allow a host: --webhook-host.")
        if len(url) > LONGEST_URL or not _URL.fullmatch(url):
            raise _bad(f"must be an address of up to {LONGEST_URL} visible ASCII characters.")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _bad("is no address; write https://host/path.") from None
        schemes = ("https", "http") if self.is_test else ("https",)
        if parts.scheme not in schemes or "@" in parts.netloc or parts.fragment or "\\" in url:
            raise _bad("must begin with https://, without a name, a password or a #.")
        is_tls = parts.scheme == "https"
        target = Target(
            host=(parts.hostname or "").lower(),
            port=port or (HTTPS_PORT if is_tls else 80),
            path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            is_tls=is_tls,
        )
        if (target.host, target.port) not in self.hosts:
            raise _bad("its host is not one that this server sends to; whoever runs it can allow it: --webhook-host.")
        return target

    def allows_address(self, address: str) -> bool:
        """Say whether a host's address may be connected to: no network of this machine or of its neighbours."""
        return self.is_test or is_public(address)


@dataclass(frozen=True, slots=True)
class Message:
    """A word about a job, ready to be sent."""

    body: bytes
    headers: Mapping[str, str]


def message_of(job: Job, *, secret: bytes, now: float) -> Message:
    """Write down that a job is over, and sign it.

    The id is the same at every try, so that who is told twice can tell. It tells nothing of the job's own.

    Args:
        job: Which is over.
        secret: Of the server.
        now: Seconds since 1970.
    """
    message_id = "msg_" + hashlib.sha256(f"webhook {job.id}".encode()).hexdigest()[:32]
    over_at = job.finished_at or now
    content: dict[str, Any] = {
        "type": f"job.{job.state}",
        "timestamp": datetime.fromtimestamp(over_at, UTC).isoformat(),
        "data": {
            "id": job.id,
            "state": job.state,
            "result_url": f"/v1/jobs/{job.id}/result" if job.result is not None else None,
            "error": job.error,
            "detail": job.detail,
        },
    }
    body = json.dumps(content, ensure_ascii=False).encode()
    stamp = str(int(now))
    return Message(
        body,
        {
            "Content-Type": "application/json",
            "User-Agent": "acutance",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(secret, message_id, stamp, body),
        },
    )


def signature(secret: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """Return a message's signature: `v1,` and HMAC-SHA256 in base 64."""
    digest = hmac.digest(secret, f"{message_id}.{stamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def read_secret(path: Path) -> bytes:
    """Read the secret by which messages are signed.

    Raises:
        ConfigError: When it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_SECRET_BYTES).decode("ascii").strip()
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except OSError as error:
        raise ConfigError(f"{path}: the secret of the webhooks cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, binascii.Error):
        secret = b""
    least, most = SECRET_BYTES
    if not least <= len(secret) <= most:
        raise ConfigError(
            f"{path}: must hold {SECRET_PREFIX} and {least} to {most} bytes in base 64; make one with: python -c "
            f"'import base64, secrets; print(\"{SECRET_PREFIX}\" + base64.b64encode(secrets.token_bytes(32)).decode())'"
        )
    return secret


def is_public(address: str) -> bool:
    """Say whether an address is one of the internet's, whatever other address lies in it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # an IPv6 address with a zone, for instance
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        within = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            within = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if parsed.teredo is not None:
            return False
        if within is not None:
            return is_public(str(within))
    return parsed.is_global and not parsed.is_multicast


def _host_of(text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text.lower())
    port = HTTPS_PORT if found is None or found["port"] is None else int(found["port"])
    if found is None or not 0 < port < 2**16:
        raise ConfigError(
            f"--webhook-host {text}: must be a name, such as hooks.example.org or hooks.example.org:8443."
        )
    return found["name"], port


def _bad(reason: str) -> ConfigError:
    return ConfigError(f"webhook: {reason}")
