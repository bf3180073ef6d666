"""What the server answers, as values."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acutance.errors import AcutanceError

FINAL = frozenset(("done", "failed", "cancelled", "expired"))
"""States that a job stays in."""


class ServerRefused(AcutanceError):
    """The server did not do what was asked for; its sentence is the message."""

    def __init__(self, status: int, error: str, detail: str, *, request_id: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        """Of HTTP; 0 when the server cannot be reached."""
        self.error = error
        """The server's code, for telling refusals apart."""
        self.request_id = request_id
        """By which the request is found in the server's log; None where it did not get that far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpPicture:
    """A picture that came back."""

    content: bytes
    """Of the file, with its metadata."""
    media_type: str
    """Such as `image/jpeg`."""
    model: str | None = None
    """The model that ran; None for a job's, which says it itself."""
    seconds: float | None = None
    """What the work took."""
    lost: tuple[str, ...] = ()
    """What the format could not hold, in words."""
    found: tuple[str, ...] = ()
    """What was seen in the picture, what was done, and what that changed, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """A job as it stood when it was asked for."""

    id: str
    state: str
    """queued, running, done, failed, cancelled or expired."""
    progress: float
    """0 … 1."""
    error: str | None
    """Why it failed, or is tried again: a code."""
    detail: str | None
    """The same in one sentence."""
    lost: tuple[str, ...]
    """What the result's format could not hold, in words."""
    found: tuple[str, ...] = ()
    """What was seen in the picture, what was done, and what that changed, in words."""

    @property
    def is_final(self) -> bool:
        """Whether it stays as it is."""
        return self.state in FINAL


def job_of(values: Mapping[str, Any]) -> RemoteJob:
    """Read a job from the server's JSON."""
    return RemoteJob(
        id=values["id"],
        state=values["state"],
        progress=values["progress"],
        error=values["error"],
        detail=values["detail"],
        lost=tuple((values["result"] or {}).get("lost", ())),
        found=tuple((values["result"] or {}).get("found", ())),
    )


def refusal_of(status: int, content: bytes) -> ServerRefused:
    """Read a problem document, or say that there was none."""
    try:
        values = json.loads(content)
        return ServerRefused(status, str(values["error"]), str(values["detail"]), request_id=values.get("request_id"))
    except (ValueError, KeyError, TypeError):
        words = f"the server answered {status} {http.client.responses.get(status, '')}."
        return ServerRefused(status, "unknown", words)
