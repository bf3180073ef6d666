"""What a job is: a picture that was taken in, and what became of it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Literal

from acutance.server.options import Options

JobState = Literal["queued", "running", "done", "failed", "cancelled", "expired"]
"""queued → running → done, failed or cancelled; after a while, expired. A job that was running when the server died is
queued again."""

UNFINISHED: frozenset[JobState] = frozenset(("queued", "running"))

ID_BYTES = 16
"""Of a job's random name: who knows it may see the job, so it must not be guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """Facts about a finished job's picture."""

    media_type: str
    bytes: int
    seconds: float | None
    """What the work took; None where the server died between writing the result and noting it."""
    megapixels: float | None
    """Of the result; None as above."""
    lost: tuple[str, ...]
    """What the format could not hold, in words."""
    found: tuple[str, ...] = ()
    """What was seen in the picture, what was done, and what that changed, in words."""
    model: str | None = None
    """The model that ran; None where the picture was left as it is, and where `seconds` is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A picture that was taken in."""

    id: str
    client: str
    """Whose it is, for fairness."""
    owner: str
    """Whose it is, for keys and lists: a token's name, or the client."""
    key: str | None
    """What its owner calls it, so that a post that is repeated is not done twice."""
    fingerprint: str | None
    """Of the upload and the options: a key that is used again must come with the same; None for jobs of before."""
    stem: str
    """Of the result's name."""
    name: str = ""
    """Of the photo, as it was uploaded; nothing where it had none."""
    options: Options
    upload_bytes: int
    webhook: str | None = None
    """Where a word is sent when the job is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(NewJob):
    """A job as it stands; times are seconds since 1970."""

    state: JobState
    attempts: int
    """How often it was begun."""
    created_at: float
    started_at: float | None
    finished_at: float | None
    error: str | None
    """Code of why it failed, or of why it is tried again."""
    detail: str | None
    """The same in one sentence."""
    result: JobResult | None
    webhook_tries: int = 0
    """How often the word was sent."""
    webhook_due: float | None = None
    """When it is to be sent; None when it was taken, was given up, or the job is not over."""
    webhook_is_sent: bool = False
    """Whether it was taken."""


JOB_ID = re.compile(f"[0-9a-f]{{{2 * ID_BYTES}}}")
"""What `new_job_id` makes up."""


def is_job_id(name: str) -> bool:
    """Say whether a name is like those that `new_job_id` makes up."""
    return JOB_ID.fullmatch(name) is not None


def new_job_id() -> str:
    """Make up a job's name: 32 hexadecimal digits."""
    return secrets.token_hex(ID_BYTES)
