"""Pieces that the routes share: how a body is described, what can be answered, and a file as an answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.datastructures import State
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from acutance.server.access import client_of
from acutance.server.access_middleware import problem_response
from acutance.server.options import MEDIA_TYPES
from acutance.server.refusals import ProblemDetails, Refused
from acutance.server.schemas import Problem
from acutance.server.service import Service
from acutance.server.video_work import VIDEO_TYPES, takes_videos

CHUNK_BYTES = 64 * 1024

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

_REASONS: Mapping[int, str] = {
    400: "The body is empty, malformed or cut off.",
    401: "A token is needed.",
    403: "The request comes from a page of another site, or what is asked for is not given without a token.",
    404: "There is no such job.",
    406: "No format that can be written is acceptable.",
    408: "The upload came too slowly.",
    409: "The job is not done.",
    410: "The result has expired.",
    416: "The result has no such bytes.",
    413: "Too many bytes, too many pixels, or too much work.",
    415: "Not a picture, or one that is damaged or of a kind that is not read.",
    421: "The server is not known by that name.",
    422: "An option is unknown or out of range.",
    429: "Too many pictures; come again after Retry-After seconds.",
    500: "A fault of the server's.",
    503: "The server is stopping or out of memory.",
    507: "The server's disk is full.",
}

Responses = dict[int | str, dict[str, Any]]
"""What FastAPI takes as `responses`."""

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
_VIDEO_TYPES = tuple(VIDEO_TYPES.values()) if takes_videos() else ()
"""Empty without the extra by which videos are read."""


def _body(what: str, *types: str) -> dict[str, Any]:
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": _UPLOAD["schema"]},
        "additionalProperties": False,
    }
    return {
        "requestBody": {
            "required": True,
            "description": f"{what}: as the field `file` of a form, or as the body itself. What it is, is read from "
            "its content, whatever the Content-Type says.",
            "content": {
                "multipart/form-data": {"schema": form},
                **dict.fromkeys(("application/octet-stream", *MEDIA_TYPES.values(), *types), _UPLOAD),
            },
        }
    }


BODY = _body("A picture")
JOB_BODY = _body("A picture or a video" if takes_videos() else "A picture", *_VIDEO_TYPES)

PICTURE: dict[str, Any] = {
    "description": "The picture, with all its metadata.",
    "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY),
}

PICTURE_OR_VIDEO: dict[str, Any] = {
    "description": "The picture or video, with all its metadata.",
    "content": dict.fromkeys((*MEDIA_TYPES.values(), *_VIDEO_TYPES, "application/octet-stream"), _BINARY),
}


def problems(*statuses: int) -> Responses:
    """Describe the refusals of a route: those given, and those of every route."""
    return {
        status: {"model": Problem, "description": _REASONS[status]}
        for status in sorted({401, 403, 421, 500, *statuses})
    }


def service_of(request: Request) -> Service:
    """Return the service that the application was made with."""
    return cast("Service", cast("State", request.app.state).service)


def client_of_request(request: Request) -> str:
    """Return whose request it is, for fairness and limits."""
    return client_of(request.client.host if request.client else None)


def owner_of_request(request: Request) -> str:
    """Return whose the jobs of a request are: its token's, or, where none is asked for, its client's."""
    token = token_of_request(request)
    return client_of_request(request) if token is None else f"token {token}"


def token_of_request(request: Request) -> str | None:
    """Return what the token of a request is called; None where none is asked for."""
    return cast("str | None", getattr(request.state, "token", None))


TheService = Annotated[Service, Depends(service_of)]
TheClient = Annotated[str, Depends(client_of_request)]
TheOwner = Annotated[str, Depends(owner_of_request)]
TheToken = Annotated[str | None, Depends(token_of_request)]


def disposition(name: str) -> str:
    """Return a Content-Disposition by which a picture is saved under a name, whatever characters that has."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_" for letter in name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def requested_range(headers: Mapping[str, str], size_bytes: int, *, tag: str) -> range | None:
    """Return the bytes that a request's Range asks for (RFC 9110, 14); None for all of them.

    Args:
        headers: Of the request. Several ranges, and units that are unknown, count as none, as the standard allows.
        size_bytes: Of the whole.
        tag: Its ETag: a range of something else (If-Range) is not given.

    Raises:
        Refused: When there are no such bytes.
    """
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or headers.get("if-range", tag) != tag:
        return None
    first, last = found[1], found[2]
    if not first and not last:
        return None
    if first:
        start, stop = int(first), min(int(last) + 1 if last else size_bytes, size_bytes)
    else:
        start, stop = max(0, size_bytes - int(last)), size_bytes
    if first and last and int(last) < int(first):
        return None
    if start >= stop:
        raise Refused(416, "range_not_satisfiable", f"Range: the result has {size_bytes} bytes; ask for some of them.")
    return range(start, stop)


class FileRangeResponse(Response):
    """A file, or a part of it, as the body, read piece by piece."""

    def __init__(
        self,
        path: Path,
        headers: Mapping[str, str],
        *,
        asked: Mapping[str, str] | None = None,
        is_passing: bool = False,
    ) -> None:
        """Prepare the answer.

        Args:
            path: Of the file.
            headers: Content-Type included.
            asked: The request's headers, where it may ask for a part by Range; the ETag is among `headers` then.
            is_passing: Whether the file is removed afterwards, sent or not.

        Raises:
            Refused: When the file is gone, or has not the bytes that are asked for.
        """
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            raise Refused(410, "gone", "the result has expired; post the picture again.") from None
        span = None if asked is None else requested_range(asked, size_bytes, tag=headers["ETag"])
        self._span = range(size_bytes) if span is None else span
        sizes = {"Content-Length": str(len(self._span))}
        if span is not None:
            sizes["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size_bytes}"
        super().__init__(None, 200 if span is None else 206, {**headers, **sizes})
        self._path = path
        self._is_passing = is_passing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            file = await asyncio.to_thread(self._path.open, "rb")
        except FileNotFoundError:  # it expired a moment ago
            gone = ProblemDetails(status=410, error="gone", detail="the result has expired.")
            await problem_response(gone, scope)(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            piece = b""
            if scope["method"] != "HEAD":
                left = len(self._span)
                await asyncio.to_thread(file.seek, self._span.start)
                piece = await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))
                left -= len(piece)
                while following := await asyncio.to_thread(file.read, min(left, CHUNK_BYTES)):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    piece = following
                    left -= len(piece)
        finally:
            file.close()
            if self._is_passing:
                self._path.unlink(missing_ok=True)
        await send({"type": "http.response.body", "body": piece, "more_body": False})  # only now: nothing is left
