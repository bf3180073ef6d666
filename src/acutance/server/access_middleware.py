"""The outermost layer: lets requests in or not, adds the headers of every answer, counts, and catches what is left."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acutance.errors import AcutanceError
from acutance.server import access_log
from acutance.server.access import Access, client_of
from acutance.server.metrics import Metrics
from acutance.server.rates import Rates
from acutance.server.refusals import PROBLEM_TYPE, ProblemDetails, Refused, problem_document, problem_of, request_id_of

_LOG = logging.getLogger("acutance.server")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""

WRONG_PER_MINUTE, WRONG_AT_ONCE = 60, 100
"""Wrong tokens of one client that are answered as such."""

LOGGED_PER_MINUTE, LOGGED_AT_ONCE = 2, 5
"""Wrong tokens of one client that are logged."""

AMBIGUOUS_LENGTH = "Content-Length and Transfer-Encoding: a body has one length; send one of them, by HTTP/1.1."

HSTS = "max-age=31536000"
"""Where TLS is spoken: for a year, without it nothing."""


def problem_response(problem: ProblemDetails, scope: Scope) -> Response:
    """Return a refusal as a problem document.

    Args:
        problem: What is said.
        scope: Of the request that it is the answer to.
    """
    headers = {}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(problem.retry_after_s)))
    if has_ambiguous_length(scope):
        headers["Connection"] = "close"  # where its body ends is not known
    body = problem_document(problem, scope["state"]["request_id"])
    response = Response(body, problem.status, headers, media_type=PROBLEM_TYPE)
    if problem.status == 401:
        # Basic, too: a browser then asks for the token, which is taken as the password. In a header of its own:
        # Chromium does not look for a second challenge behind a comma.
        response.headers.append("WWW-Authenticate", 'Basic realm="acutance", charset="UTF-8"')
        response.headers.append("WWW-Authenticate", 'Bearer realm="acutance"')
    return response


class AccessMiddleware:
    """Wraps the application; see the module."""

    def __init__(self, app: ASGIApp, *, access: Access, metrics: Metrics) -> None:
        self._app = app
        self._access = access
        self._metrics = metrics
        self._wrong = Rates(per_minute=WRONG_PER_MINUTE, at_once=WRONG_AT_ONCE)
        self._logged = Rates(per_minute=LOGGED_PER_MINUTE, at_once=LOGGED_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = sent_bytes = received_bytes = 0
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = scope.setdefault("state", {})["request_id"] = request_id_of(given)

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status, sent_bytes
            sent_bytes += len(message.get("body", b""))
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = request_id
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        try:
            await self._pass(scope, receive_counted, send_with_headers)
        except Exception as error:
            if not isinstance(error, AcutanceError):
                _LOG.exception("%s %r: unexpected error (%s)", scope["method"], scope["path"], request_id)
            if status:
                raise  # the answer has begun: the connection is closed, which tells that it is not whole
            await problem_response(problem_of(error), scope)(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - start
            self._metrics.answered(route, _known(scope["method"]), status, seconds)
            access_log.write(
                access_log.LoggedRequest(
                    time=access_log.now(),
                    request_id=request_id,
                    client=_client_of(scope),
                    token=scope["state"].get("token"),
                    method=_known(scope["method"]),
                    path=scope["path"],
                    options=access_log.option_names(scope["query_string"]),
                    status=status,
                    sent_bytes=sent_bytes,
                    received_bytes=received_bytes,
                    seconds=round(seconds, 4),
                )
            )

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if has_ambiguous_length(scope):
            raise Refused(400, "bad_request", AMBIGUOUS_LENGTH)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            token = self._access.check(method=scope["method"], path=scope["path"], headers=headers)
        except Refused as refused:
            if refused.problem.error == "wrong_token" and "authorization" in headers:
                self._note_wrong_token(_client_of(scope), scope["state"]["request_id"])
            raise
        scope["state"]["token"] = token
        await self._app(scope, receive, send)

    def _note_wrong_token(self, client: str, request_id: str) -> None:
        """Log a token that is not known, though not each of thousands; who tries many is told to wait.

        Raises:
            Refused: When the client has tried too many.
        """
        if self._logged.take(client) == 0:
            _LOG.warning("a wrong token from %s (%s)", client, request_id)
        wait_s = self._wrong.take(client)
        if wait_s > 0:
            raise Refused(
                429, "too_many_requests", "too many wrong tokens; wait a little.", retry_after_s=wait_s
            ) from None


def has_ambiguous_length(scope: Scope) -> bool:
    """Say whether a request tells the length of its body in two ways (RFC 9112, 6.3).

    A proxy that believes one, and a server that believes the other, see different requests in the same bytes.
    """
    names = {name.lower() for name, _ in scope["headers"]}
    return b"transfer-encoding" in names and (b"content-length" in names or scope.get("http_version") == "1.0")


def _client_of(scope: Scope) -> str:
    client = scope.get("client")
    return client_of(client[0] if client else None)


def _known(method: str) -> str:
    # Made-up methods must not make up lines in the metrics.
    return method if method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH") else "other"
