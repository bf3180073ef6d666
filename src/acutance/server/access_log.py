"""A line for each request: who, what, how it went. Never a query's values, a token or a file's name."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qsl

LOG = logging.getLogger("acutance.access")
"""Set to INFO by whoever wants the lines."""

LogFormat = Literal["none", "text", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request that was answered."""

    time: str
    """When the answer ended, in UTC."""
    request_id: str
    client: str
    token: str | None
    """What its token is called, if it brought one that is known."""
    method: str
    path: str
    options: tuple[str, ...]
    """Names of what the query asks for, without the values."""
    status: int
    """0 where the client went away before there was an answer."""
    sent_bytes: int
    """Of the answer's body."""
    received_bytes: int
    """Of the request's body, as far as it was read."""
    seconds: float


def option_names(query: bytes) -> tuple[str, ...]:
    """Return the names in a query string, each once, shortened where they are long."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32)
    except ValueError:
        return ("…",)
    return tuple(dict.fromkeys(name[:32] for name, _ in pairs))


def now() -> str:
    """Return the time as it stands in the log."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write(access: LoggedRequest) -> None:
    """Log a request."""
    if LOG.isEnabledFor(logging.INFO):
        LOG.info("%s", access.request_id, extra={"access": access})


class JsonLines(logging.Formatter):
    """A JSON object a line: of a request its fields, of anything else level and message."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record down."""
        access = getattr(record, "access", None)
        values: Mapping[str, object] = (
            asdict(access)
            if isinstance(access, LoggedRequest)
            else {"time": now(), "level": record.levelname, "message": super().format(record)}
        )
        return json.dumps(values, ensure_ascii=False)


class TextLines(logging.Formatter):
    """The same for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Write a record down."""
        access = getattr(record, "access", None)
        if not isinstance(access, LoggedRequest):
            return super().format(record)
        options = f"?{','.join(access.options)}" if access.options else ""
        return (
            f"{access.time} {access.client} {access.method} {json.dumps(access.path + options)[1:-1]} {access.status} "
            f"in {access.received_bytes} out {access.sent_bytes} {access.seconds:.3f} s {access.request_id}"
        )


def log_to_stderr(format_: LogFormat) -> None:
    """Let the server's log, and the lines of requests unless there are to be none, go to the standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if format_ == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if format_ != "none":
        LOG.setLevel(logging.INFO)
