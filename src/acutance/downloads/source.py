"""The web side of a download: one request, and what its answer is worth.

Only http and https, through the proxies that the environment names. What may pass (a broken connection, a
server that is busy) is `Dropped`; what trying again cannot mend is a `DownloadError`. It knows no files.
"""

from __future__ import annotations

import functools
import http.client
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

from acutance import __version__
from acutance.errors import ConfigError, DownloadError, first_line

CHUNK_BYTES = 1 << 16
"""Most bytes taken from the connection at a time: what a process that is killed may lose."""

USER_AGENT = f"acutance/{__version__} Python-urllib/{sys.version_info.major}.{sys.version_info.minor}"

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be better a little later."""

_NEXT_STEPS = {
    401: "it wants a password, which acutance does not give; download the file with a browser",
    403: "it refuses to give the file; download it with a browser, or use a mirror",
    404: "the file is not there; check the address, or use a mirror",
    407: "the proxy wants a password; give it in the environment as https_proxy=http://user:password@host:port",
    410: "the file is gone; use a mirror",
}


class Dropped(Exception):
    """This attempt failed; another may do better."""

    def __init__(self, reason: str, *, has_answered: bool = True, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.has_answered = has_answered
        """False when no connection came about at all."""
        self.wait_s = wait_s
        """How long the server asks to be left alone."""


class RangeLost(Dropped):
    """What was asked for is not the rest of what is there: the part is of no use any more."""


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a remote file from another."""

    etag: str | None = None
    last_modified: str | None = None
    size_bytes: int | None = None

    @property
    def validator(self) -> str | None:
        """What `If-Range` can hold the server to; a weak ETag may not be used for that (RFC 9110, 13.1.5)."""
        has_strong_etag = self.etag is not None and not self.etag.startswith("W/")
        return self.etag if has_strong_etag else self.last_modified

    def may_be(self, other: Version) -> bool:
        """Whether nothing that both know differs."""
        pairs = (
            (self.etag, other.etag),
            (self.last_modified, other.last_modified),
            (self.size_bytes, other.size_bytes),
        )
        return all(mine == theirs or mine is None or theirs is None for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Answer:
    """A file, or the rest of it, on its way."""

    response: http.client.HTTPResponse
    version: Version
    start: int
    """Where in the file the first byte belongs."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they come.

        Raises:
            Dropped: When the connection breaks, falls silent, or ends before the announced length.
        """
        # Counted here and not by http.client: its `read1` ends without a word when the connection does.
        left = self.response.length
        while left is None or left > 0:
            try:
                chunk = self.response.read1(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
            except (OSError, http.client.HTTPException) as error:
                raise Dropped(f"the connection broke ({_words(error)})") from error
            if chunk:
                left = None if left is None else left - len(chunk)
                yield chunk
            elif left is None:
                return
            else:
                raise Dropped(f"the connection ended {left} bytes too early")


def check_url(url: str) -> None:
    """Refuse what is no address of a file on the web.

    Raises:
        ConfigError: When the scheme is not http or https, or the address is malformed.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is not a number
    except ValueError as error:
        raise ConfigError(f"{url!r} is not a web address ({first_line(error)}).") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} cannot be downloaded; give an address that begins with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"the address of {parts.hostname} holds a user name or password, which is not supported.")
    if not re.fullmatch(r"[!-~]+", url):
        raise ConfigError(f"{url!r} holds characters that no address may hold; write them as %XX.")


@contextmanager
def ask(url: str, *, start: int, version: Version | None, timeout_s: float) -> Iterator[Answer]:
    """Ask for a file from byte `start` on, provided that it is still the given version; else for all of it.

    Raises:
        Dropped: When another attempt may succeed.
        DownloadError: When none can.
    """
    # identity: compressed on the way, neither the length nor a range would be those of the file.
    request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
    if start > 0:
        request.add_header("Range", f"bytes={start}-")
        if version is not None and version.validator is not None:
            request.add_header("If-Range", version.validator)
    with _open(request, timeout_s=timeout_s) as response:
        yield _read_head(url, response)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the web only, and never from an encrypted connection to an open one."""

    def redirect_request(  # noqa: PLR0917, the signature is urllib's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            fp.close()
            raise DownloadError(f"{req.full_url} leads to {newurl}, which is refused: it is not a safe web address.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request, *, timeout_s: float) -> http.client.HTTPResponse:
    """Send the request; only what is needed is installed: urllib's own opener would also read file:// and ftp://."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),  # of the environment, as everywhere in Python
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(
            context=_tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        ),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
        _SafeRedirects(),
    ):
        opener.add_handler(handler)
    url = request.full_url
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, error) from error
    except urllib.error.URLError as error:
        raise _no_connection(url, error.reason) from error
    except UnicodeError as error:  # from the encoding of odd host names
        raise _no_connection(url, str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise Dropped(f"there was no answer ({_words(error)})") from error
    return response


@functools.cache
def _tls_context(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    """Load the certificates that OpenSSL trusts under these two variables of the environment: 30 ms, so only once."""
    return ssl.create_default_context()


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    """Say what an answer other than the file means."""
    said = f"{error.code} {str(error.reason).splitlines()[0] if error.reason else ''}".strip()
    if error.code in _PASSING:
        asked = error.headers.get("Retry-After", "") or ""
        return Dropped(f"the server answered {said}", wait_s=float(asked) if asked.isascii() and asked.isdigit() else 0)
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeLost("the server does not have the rest of this file")
    next_step = _NEXT_STEPS.get(error.code, "check the address, or try later")
    return DownloadError(f"{url} answered {said}: {next_step}.")


def _no_connection(url: str, reason: str | BaseException) -> Exception:
    """Say why no connection came about."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(
            f"{url}: the server's certificate is not to be trusted ({reason.verify_message}), so nothing was "
            "downloaded; check this machine's clock and its certificates (SSL_CERT_FILE names a file of them)."
        )
    if isinstance(reason, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        return Dropped(f"the connection broke ({_words(reason)})")
    words = reason if isinstance(reason, str) else _words(reason)
    return Dropped(f"the server cannot be reached ({words})", has_answered=False)


def _read_head(url: str, response: http.client.HTTPResponse) -> Answer:
    """Make sense of status and headers.

    Raises:
        Dropped: When it is a piece, but it does not say which.
        DownloadError: When it is not the file.
    """
    headers = response.headers
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise DownloadError(f"{url} came as {encoding}, although that was not asked for; use a mirror.")
    if headers.get_content_type() == "text/html":
        raise DownloadError(f"{url} gave a web page instead of the file (a log-in page?); look at it in a browser.")
    etag, last_modified = headers.get("ETag"), headers.get("Last-Modified")
    if response.status == http.HTTPStatus.OK:
        return Answer(response, Version(etag, last_modified, response.length), start=0)
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        raise DownloadError(f"{url} answered {response.status} {response.reason} and no file; check the address.")
    span = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", headers.get("Content-Range", ""))
    if span is None:
        raise RangeLost("the server sent a piece of the file and did not say which")
    size_bytes = None if span[2] == "*" else int(span[2])
    return Answer(response, Version(etag, last_modified, size_bytes), start=int(span[1]))


def _words(error: BaseException) -> str:
    """What an error of the operating system or of http.client says, without its numbers."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
