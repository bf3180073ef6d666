"""Who may talk to the server: tokens, host names, and no other web site's pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from acutance.errors import ConfigError
from acutance.server.refusals import Refused

SHORTEST_TOKEN = 16
"""Characters; a shorter one could be guessed."""

TOKEN_NAME_DIGITS = 16
"""Of a token's SHA-256, by which it is called in the list of jobs and in the log."""

MOST_TOKEN_BYTES = 2**20

OPEN_PATHS = frozenset(("/healthz", "/readyz"))
"""What needs no token, so that a supervisor needs none."""

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
"""What changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is let in."""

    token_digests: tuple[bytes, ...] = ()
    """SHA-256 of each token; empty: none is asked for."""
    host_names: frozenset[str] = frozenset()
    """Names besides `localhost` and addresses that the server may be called by, where no token is asked for."""

    @classmethod
    def with_tokens(cls, tokens: Iterable[str], *, host_names: Iterable[str] = ()) -> Access:
        """Ask for one of some tokens.

        Raises:
            ConfigError: When one is too short to be a secret, or not of visible ASCII characters.
        """
        digests = []
        for token in tokens:
            if len(token) < SHORTEST_TOKEN or not all("!" <= letter <= "~" for letter in token):
                raise ConfigError(
                    f"a token has {len(token)} characters: must have at least {SHORTEST_TOKEN}, all of them visible "
                    "ASCII; make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
                )
            digests.append(hashlib.sha256(token.encode("ascii")).digest())
        names = frozenset(name.lower() for name in host_names)
        return cls(token_digests=tuple(digests), host_names=names)

    def check(self, *, method: str, path: str, headers: dict[str, str]) -> str | None:
        """Let a request in, or not.

        Args:
            method: Of the request.
            path: Of the request.
            headers: By their names in lower case.

        Returns:
            What the token that it brings is called here, which does not tell the token; None where none is asked for.

        Raises:
            Refused: When it is not let in.
        """
        host = headers.get("host", "")
        if not self.token_digests and not self._is_ours(host):
            # Else a page of evil.example could, by letting that name point here, read what is here.
            raise Refused(
                421, "wrong_host", "this server is not known by that name; whoever runs it can allow it: --allow-host."
            )
        if method not in SAFE_METHODS:
            _check_site(host, headers)
        if path in OPEN_PATHS or not self.token_digests:
            return None
        name = self._token_name(headers.get("authorization", ""))
        if name is None:
            raise Refused(401, "wrong_token", "a token is needed: send the header Authorization: Bearer <token>.")
        return name

    def _is_ours(self, host: str) -> bool:
        name = _name_of(host)
        return name == "localhost" or name in self.host_names or _parsed(name) is not None

    def _token_name(self, authorization: str) -> str | None:
        digest = hashlib.sha256(_token_in(authorization).encode("utf-8", "surrogateescape")).digest()
        # All of them, always: neither the time nor the order tells anything.
        matches = [hmac.compare_digest(digest, known) for known in self.token_digests]
        return digest.hex()[:TOKEN_NAME_DIGITS] if any(matches) else None


def read_token_file(path: Path) -> tuple[str, ...]:
    """Read tokens, one a line; empty lines and those that begin with # do not count.

    Raises:
        ConfigError: When the file cannot be read or holds none.
    """
    try:
        with path.open("rb") as file:
            lines = file.read(MOST_TOKEN_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{path}: the tokens cannot be read ({reason}).") from error
    tokens = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not tokens:
        raise ConfigError(f"{path}: holds no token; write one into it, a line each.")
    return tokens


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks_of(proxies: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that proxies are in.

    Args:
        proxies: Addresses, or networks such as `10.0.0.0/8`.

    Raises:
        ConfigError: When one is neither.
    """
    found = []
    for proxy in proxies:
        try:
            found.append(ipaddress.ip_network(proxy))
        except ValueError:
            raise ConfigError(
                f"proxy {proxy}: must be an address or a network, such as 127.0.0.1 or 10.0.0.0/8."
            ) from None
    return tuple(found)


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Say whether an address is in one of some networks."""
    parsed = _parsed(address.partition("%")[0])
    return parsed is not None and any(parsed in network for network in networks)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address that a server binds to."""
    parsed = _parsed(host)
    return host == "localhost" or (parsed is not None and parsed.is_loopback)


def client_of(address: str | None) -> str:
    """Return what counts as one client: an IPv4 address, or the 2^64 addresses that one IPv6 customer has."""
    parsed = _parsed((address or "").partition("%")[0])
    if parsed is None:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)


def _check_site(host: str, headers: dict[str, str]) -> None:
    """Refuse what a page of another site makes a browser send. Programs send none of these headers.

    Raises:
        Refused: When it comes from another site.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    is_foreign = site not in (None, "same-origin", "none")
    if origin is not None and not is_foreign:
        own = _authority(f"//{host}")
        is_foreign = own is None or _authority(origin) != own
    if is_foreign:
        raise Refused(403, "cross_site", "the request comes from a page of another site; use the server's own page.")


def _authority(url: str) -> tuple[str, int | None] | None:
    """Return host and port of an origin, without the port where it is the scheme's own; None for one that has no host.

    The scheme is not compared: behind a proxy that speaks TLS the server hears http.
    """
    try:
        parts = urlsplit(url)
        port = None if parts.port in (80, 443) else parts.port
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _token_in(authorization: str) -> str:
    """Return the token of a header: a bearer's, or a password, which browsers can ask for; empty without one."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode("utf-8", "surrogateescape").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""
