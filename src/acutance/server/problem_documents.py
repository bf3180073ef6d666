"""Refusals as problem documents (RFC 9457), with the id of the request, which is in the log, too."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping

from acutance.server.refusals import Answer, ErrorCode

MEDIA_TYPE = "application/problem+json"

TITLES: Mapping[ErrorCode, str] = {
    "bad_request": "The request cannot be understood",
    "bad_form": "The form cannot be read",
    "body_too_large": "The upload is too large",
    "body_too_slow": "The upload is too slow",
    "cancelled": "The work was cancelled",
    "cross_site": "The request comes from another site",
    "engine_failed": "The engine failed",
    "gave_up": "The picture takes workers down",
    "gone": "The result has expired",
    "image_too_large": "The picture is too large",
    "internal": "An unexpected error",
    "invalid_option": "An option is not allowed",
    "key_reused": "The key was used for something else",
    "method_not_allowed": "The method is not allowed",
    "no_report": "There is no map or report of this job",
    "not_acceptable": "No acceptable format",
    "not_done": "The job is not done",
    "not_found": "There is no such thing",
    "not_listed": "Jobs are not listed here",
    "out_of_memory": "The server is short of memory",
    "queue_full": "The queue is full",
    "range_not_satisfiable": "The result has no such bytes",
    "stopping": "The server is stopping",
    "storage_busy": "The list of jobs is locked",
    "storage_failed": "The server cannot use its folder",
    "storage_full": "The server's disk is full",
    "took_too_long": "The work took too long",
    "too_many_connections": "Too many connections",
    "too_many_requests": "Too many requests",
    "too_much_memory": "The picture takes too much memory",
    "unsupported_image": "The picture cannot be read",
    "worker_died": "A worker went down",
    "wrong_host": "The server is not known by that name",
    "wrong_token": "The token is missing or wrong",
}
"""Of each code, the same every time."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(given: str) -> str:
    """Return a request's id: the one that it brings (`X-Request-Id`), if that is a harmless name, or a new one."""
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def document_of(answer: Answer, request_id: str) -> bytes:
    """Write a refusal down as JSON.

    `type` leads to where the code is explained, `detail` is one sentence for people, `error` is the code for programs.
    """
    return json.dumps(
        {
            "type": f"/docs#{answer.error}",
            "title": TITLES[answer.error],
            "status": answer.status,
            "detail": answer.detail,
            "error": answer.error,
            "request_id": request_id,
        },
        ensure_ascii=False,
    ).encode()
