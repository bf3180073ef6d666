"""Pieces that the routes share: how a body is described, what can be answered, and a file as an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.datastructures import State
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from acutance.server.access import client_of
from acutance.server.gate import answer_response
from acutance.server.options import MEDIA_TYPES
from acutance.server.refusals import Answer
from acutance.server.schemas import Problem
from acutance.server.service import Service
from acutance.server.video_work import VIDEO_TYPES

CHUNK_BYTES = 64 * 1024

_REASONS: Mapping[int, str] = {
    400: "The body is empty, malformed or cut off.",
    401: "A token is needed.",
    403: "The request comes from a page of another site.",
    404: "There is no such job.",
    406: "No format that can be written is acceptable.",
    408: "The upload came too slowly.",
    409: "The job is not done.",
    410: "The result has expired.",
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

PICTURE: dict[str, Any] = {
    "description": "The picture, with all its metadata.",
    "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES.values()},
}

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A picture: as the field `file` of a form, or as the body itself. What it is, is read from its "
        "content, whatever the Content-Type says.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "minLength": 1}},
                    "additionalProperties": False,
                }
            },
            **{
                name: {"schema": {"type": "string", "format": "binary", "minLength": 1}}
                for name in ("application/octet-stream", *MEDIA_TYPES.values())
            },
        },
    }
}


_BINARY = {"schema": {"type": "string", "format": "binary", "minLength": 1}}

JOB_BODY: dict[str, Any] = {
    "requestBody": {
        **BODY["requestBody"],
        "description": "A picture or, where the server has the extra for it, a video: as the field `file` of a form, "
        "or as the body itself. What it is, is read from its content, whatever the Content-Type says.",
        "content": {**BODY["requestBody"]["content"], **{name: _BINARY for name in VIDEO_TYPES.values()}},
    }
}

PICTURE_OR_VIDEO: dict[str, Any] = {
    "description": "The picture or video, with all its metadata.",
    "content": {
        name: {"schema": {"type": "string", "format": "binary"}}
        for name in (*MEDIA_TYPES.values(), *VIDEO_TYPES.values(), "application/octet-stream")
    },
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


TheService = Annotated[Service, Depends(service_of)]
TheClient = Annotated[str, Depends(client_of_request)]


def disposition(name: str) -> str:
    """Return a Content-Disposition by which a picture is saved under a name, whatever characters that has."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_" for letter in name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


class FileAnswer(Response):
    """A file as the body, read piece by piece."""

    def __init__(self, path: Path, *, size_bytes: int, headers: Mapping[str, str], is_passing: bool) -> None:
        """Prepare the answer.

        Args:
            path: Of the file.
            size_bytes: Of the file.
            headers: Content-Type included.
            is_passing: Whether the file is removed afterwards, sent or not.
        """
        super().__init__(None, 200, {**headers, "Content-Length": str(size_bytes)})
        self._path = path
        self._is_passing = is_passing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            file = await asyncio.to_thread(self._path.open, "rb")
        except FileNotFoundError:  # it expired a moment ago
            gone = Answer(status=410, error="gone", detail="the result has expired.")
            await answer_response(gone)(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            piece = await asyncio.to_thread(file.read, CHUNK_BYTES)
            while following := await asyncio.to_thread(file.read, CHUNK_BYTES):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = following
        finally:
            file.close()
            if self._is_passing:
                self._path.unlink(missing_ok=True)
        await send({"type": "http.response.body", "body": piece, "more_body": False})  # only now: nothing is left
