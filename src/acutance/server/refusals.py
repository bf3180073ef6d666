"""Every answer that is not what was asked for: a status, a code for programs, one sentence for people (RFC 9457).

What the library raises is turned into such an answer by one table, `_ANSWERS`. What the user can mend is 4xx: a file
that cannot be read is never the server's fault. No sentence names a path of the server.
"""

from __future__ import annotations

import errno
import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from acutance.errors import (
    AcutanceError,
    ConfigError,
    CorruptWeights,
    EngineError,
    EngineUnavailable,
    ImageTooLarge,
    InputError,
    NonFiniteOutput,
    OutOfMemory,
    OutputError,
    UnknownModel,
    UnsupportedImage,
)

ErrorCode = Literal[
    "bad_request",
    "bad_form",
    "body_too_large",
    "body_too_slow",
    "cancelled",
    "cross_site",
    "engine_failed",
    "gave_up",
    "gone",
    "image_too_large",
    "internal",
    "invalid_option",
    "key_reused",
    "method_not_allowed",
    "no_report",
    "not_acceptable",
    "not_done",
    "not_found",
    "not_listed",
    "out_of_memory",
    "queue_full",
    "range_not_satisfiable",
    "stopping",
    "storage_busy",
    "storage_failed",
    "storage_full",
    "took_too_long",
    "too_many_connections",
    "too_many_requests",
    "too_much_memory",
    "unsupported_image",
    "worker_died",
    "wrong_host",
    "wrong_token",
]
"""What programs can tell answers apart by."""

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

DISK_FULL = "the server's disk is full; nothing was lost, try again when there is room."
DISK_FAILED = "the server cannot write to its folder; the server's log says why."
NO_MEMORY = "the server has not enough memory for this picture now; try again later, or with a smaller one."

PROBLEM_TYPE = "application/problem+json"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDetails:
    """What is said instead of what was asked for."""

    status: int
    """Of HTTP."""
    error: ErrorCode
    """For programs."""
    detail: str
    """For people: one sentence."""
    retry_after_s: float | None = None
    """When it is worth trying again."""


class Refused(AcutanceError):
    """A request that is not done, with its answer."""

    def __init__(self, status: int, error: ErrorCode, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.problem = ProblemDetails(status=status, error=error, detail=detail, retry_after_s=retry_after_s)

    @classmethod
    def of(cls, problem: ProblemDetails) -> Refused:
        """Refuse with an answer that is there already."""
        return cls(problem.status, problem.error, problem.detail, retry_after_s=problem.retry_after_s)


_STOPPED_WORDS = {
    "cancelled": "the work was cancelled.",
    "stopping": "the server is stopping; the work was not finished.",
}


class Stopped(AcutanceError):
    """A run that was stopped between two tiles."""

    def __init__(self, reason: Literal["cancelled", "stopping", "took_too_long"], detail: str = "") -> None:
        super().__init__(detail or _STOPPED_WORDS[reason])
        self.reason = reason


_ANSWERS: tuple[tuple[type[AcutanceError], int, ErrorCode], ...] = (
    # The first that fits holds.
    (ImageTooLarge, 413, "image_too_large"),
    (UnsupportedImage, 415, "unsupported_image"),
    (InputError, 400, "bad_request"),
    (ConfigError, 422, "invalid_option"),
    (UnknownModel, 422, "invalid_option"),
    (OutputError, 422, "invalid_option"),  # raised while coding: the format cannot hold the picture
)
"""Errors whose sentence is meant for who sent the picture."""

_OURS: tuple[tuple[type[Exception], int, ErrorCode, str], ...] = (
    (OutOfMemory, 503, "out_of_memory", NO_MEMORY),
    (MemoryError, 503, "out_of_memory", NO_MEMORY),
    (EngineUnavailable, 503, "engine_failed", "the server's engine cannot be opened; the server's log says why."),
    (NonFiniteOutput, 500, "engine_failed", "the network gave numbers that are none for this picture; report it."),
    (CorruptWeights, 500, "engine_failed", "a model of the server is damaged; the server's log says which."),
    (EngineError, 500, "engine_failed", "the server's engine failed on this picture; the server's log says why."),
)
"""Errors whose sentence is meant for who runs the server, and what is said instead."""

_STOPPED: dict[str, tuple[int, float | None]] = {
    "cancelled": (409, None),
    "stopping": (503, 60.0),
    "took_too_long": (413, None),
}
"""Status, and when it is worth trying again, by why a run was stopped."""

INTERNAL = ProblemDetails(
    status=500, error="internal", detail="an unexpected error, which is a bug; the server's log has the details."
)


def problem_of(error: BaseException) -> ProblemDetails:
    """Return what is said about an error."""
    problem = _own_problem(error)
    if problem is not None:
        return problem
    for kind, status, code in _ANSWERS:
        if isinstance(error, kind):
            return ProblemDetails(status=status, error=code, detail=_for_clients(error))
    for ours, status, code, detail in _OURS:
        if isinstance(error, ours):
            retry_after_s = 30.0 if code == "out_of_memory" else None
            return ProblemDetails(status=status, error=code, detail=detail, retry_after_s=retry_after_s)
    return INTERNAL


def _own_problem(error: BaseException) -> ProblemDetails | None:
    """Return the answer that an error brings with it, or that of its cause; None where the tables have it."""
    if isinstance(error, Refused):
        return error.problem
    if isinstance(error, Stopped):
        status, retry_after_s = _STOPPED[error.reason]
        return ProblemDetails(status=status, error=error.reason, detail=str(error), retry_after_s=retry_after_s)
    cause = error.__cause__ if isinstance(error, OutputError) else error
    if isinstance(cause, OSError) and (cause is error or cause.errno):
        return storage_refusal(cause).problem
    return problem_of(cause) if isinstance(cause, MemoryError) and cause is not error else None


def _for_clients(error: BaseException) -> str:
    """Return an error's sentence without the advice that only who runs the server can follow."""
    words, advice, _ = str(error).partition("; raise ")
    return f"{words}; send a smaller picture." if advice else words


def without_paths(error: BaseException, words: Mapping[Path, str]) -> Refused:
    """Return what is said about an error whose sentence may name paths, with words instead of these."""
    problem = problem_of(error)
    detail = problem.detail
    for path, what in words.items():
        detail = detail.replace(str(path), what)
    return Refused.of(replace(problem, detail=detail))


def storage_refusal(error: OSError | sqlite3.Error) -> Refused:
    """Return what is said when a file or the list of jobs cannot be written or read."""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            return Refused(507, "storage_full", DISK_FULL, retry_after_s=60)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Refused(
                503, "storage_busy", "the server's list of jobs is locked; try again in a moment.", retry_after_s=5
            )
        return Refused(500, "storage_failed", "the server's list of jobs cannot be used; the server's log says why.")
    if error.errno in _FULL_ERRNOS:
        return Refused(507, "storage_full", DISK_FULL, retry_after_s=60)
    return Refused(500, "storage_failed", DISK_FAILED)


def request_id_of(given: str) -> str:
    """Return a request's id: the one that it brings (`X-Request-Id`), if that is a harmless name, or a new one."""
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def problem_document(problem: ProblemDetails, request_id: str) -> bytes:
    """Write a refusal down as JSON.

    `type` leads to where the code is explained, `detail` is one sentence for people, `error` is the code for programs.
    """
    return json.dumps(
        {
            "type": f"/docs#{problem.error}",
            "title": TITLES[problem.error],
            "status": problem.status,
            "detail": problem.detail,
            "error": problem.error,
            "request_id": request_id,
        },
        ensure_ascii=False,
    ).encode()
