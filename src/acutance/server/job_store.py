"""The list of jobs on the disk: SQLite, so that what was answered for is there after a crash.

One connection with an exclusive lock on the database: the operating system frees it with the process, so two servers
never share a folder and none needs a stale lock removed. Write-ahead log, and every change is on the disk before the
call returns. Calls block for that long: they belong into threads.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from acutance.errors import ConfigError, first_line
from acutance.inference.told import Region, ToldBlur
from acutance.server.jobs import Job, JobResult, JobState, NewJob
from acutance.server.migrations import migrate
from acutance.server.refusals import ProblemDetails, storage_refusal

FILE_NAME = "jobs.sqlite3"

T = TypeVar("T")

JOB, TOLD, REGION = TypeAdapter(Job), TypeAdapter(ToldBlur), TypeAdapter(Region)

_JSON = ("told", "region", "lost", "found")
"""Columns that hold JSON."""

BUSY_S = 2.0
"""Seconds: a backup or a server that is just ending frees it soon."""


class JobStore:
    """The list of jobs. For any threads; one at a time is served."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time, busy_s: float = BUSY_S) -> None:
        """Open the list, or begin one.

        Args:
            folder: Where it lies; it must exist.
            now: The clock.
            busy_s: How long to wait for another program that has the list open.

        Raises:
            ConfigError: When another server has it open, it is damaged, or of a newer acutance.
        """
        self._now = now
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                folder / FILE_NAME, timeout=busy_s, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _cannot_open(folder, error) from error
        try:
            self._open()
            self._stored_bytes = self._sum_bytes()
        except sqlite3.Error as error:
            self._connection.close()
            raise _cannot_open(folder, error) from error
        except ConfigError:
            self._connection.close()
            raise

    def _open(self) -> None:
        self._connection.row_factory = sqlite3.Row
        # In this order: with the lock asked for first, the write-ahead log needs no memory shared with others.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        migrate(self._connection)
        self._connection.execute("BEGIN IMMEDIATE")  # takes the lock, which then stays
        self._connection.execute("COMMIT")

    @property
    def stored_bytes(self) -> int:
        """Of all uploads and results; as of the last change, without a look into the database."""
        return self._stored_bytes

    def add(self, job: NewJob) -> Job:
        """Add a job, queued. Where its owner has one of the same key, that one is returned instead."""
        options, model = job.options, job.options.model
        with self._change() as connection:
            known = _by_key(connection, job.owner, job.key)
            if known is not None:
                return known
            connection.execute(
                "INSERT INTO jobs (id, client, owner, key, fingerprint, stem, model, fidelity, precision, strength,"
                " format, told, region, name, is_questioned, ensemble, state, created_at, upload_bytes, webhook)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
                (
                    *(job.id, job.client, job.owner, job.key, job.fingerprint, job.stem),
                    *(model.name, model.fidelity, model.precision),
                    *(options.strength, options.format, _as_json(TOLD, options.told), _as_json(REGION, options.region)),
                    *(job.name, options.is_questioned, model.ensemble),
                    *(self._now(), job.upload_bytes, job.webhook),
                ),
            )
            return _job_of(connection.execute("SELECT * FROM jobs WHERE id = ?", (job.id,)).fetchone())

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        with self._look() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job_of(row)

    def by_key(self, owner: str, key: str) -> Job | None:
        """Return the job that an owner calls by a key, or None."""
        with self._look() as connection:
            return _by_key(connection, owner, key)

    def of_owner(self, owner: str, *, count: int, before: tuple[float, str] | None = None) -> list[Job]:
        """Return an owner's jobs, newest first.

        Args:
            owner: Whose.
            count: How many at most.
            before: When the last one that is known already was made, and its id; None begins with the newest.
        """
        made_at, job_id = before or (float("inf"), "")
        with self._look() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE owner = ? AND (created_at, id) < (?, ?)"
                " ORDER BY created_at DESC, id DESC LIMIT ?",
                (owner, made_at, job_id, count),
            )
            return [_job_of(row) for row in rows.fetchall()]

    def begin(self, job_id: str) -> Job | None:
        """Note that a job is begun; None when it is no longer to be done."""
        with self._change() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, error = NULL,"
                " detail = NULL WHERE id = ? AND state IN ('queued', 'running') RETURNING *",
                (self._now(), job_id),
            ).fetchone()
        return None if row is None else _job_of(row)

    def put_back(self, job_id: str, why: ProblemDetails | None = None, *, counts: bool) -> None:
        """Queue a running job again.

        Args:
            job_id: Which.
            why: What is said of it; None says nothing.
            counts: Whether the attempt was one; it is not when the server merely stops.
        """
        with self._change() as connection:
            connection.execute(
                "UPDATE jobs SET state = 'queued', error = ?, detail = ?, attempts = attempts - ?"
                " WHERE id = ? AND state = 'running'",
                (why and why.error, why and why.detail, 0 if counts else 1, job_id),
            )

    def finish(self, job_id: str, result: JobResult) -> bool:
        """Note a running job's result; False when it was cancelled meanwhile."""
        with self._change() as connection:
            done = connection.execute(
                "UPDATE jobs SET state = 'done', finished_at = ?, result_bytes = ?, media_type = ?, seconds = ?,"
                " megapixels = ?, lost = ?, found = ?, ran = ?, upload_bytes = upload_bytes * is_questioned,"
                f" {_DUE} WHERE id = ? AND state = 'running'",
                (
                    *(self._now(), result.bytes, result.media_type, result.seconds, result.megapixels),
                    *(json.dumps(result.lost), json.dumps(result.found), result.model, self._now(), job_id),
                ),
            )
            return done.rowcount == 1

    def note_trust(self, job_id: str, size_bytes: int) -> bool:
        """Note how large a finished job's map and report are together; False when its result is gone."""
        with self._change() as connection:
            done = connection.execute(
                "UPDATE jobs SET trust_bytes = ? WHERE id = ? AND state = 'done'", (size_bytes, job_id)
            )
            return done.rowcount == 1

    def fail(self, job_id: str, why: ProblemDetails) -> bool:
        """Note that an unfinished job failed for good; False when it is no longer unfinished."""
        return self._end(job_id, "failed", why.error, why.detail)

    def cancel(self, job_id: str) -> bool:
        """Note that an unfinished job is not to be done; False when it is no longer unfinished."""
        return self._end(job_id, "cancelled", "cancelled", "the job was cancelled.")

    def discard(self, job_id: str) -> bool:
        """Note that a finished job's result is no longer wanted; False when it has none."""
        with self._change() as connection:
            done = connection.execute(f"{_EXPIRE} WHERE id = ? AND state = 'done'", (job_id,))
            return done.rowcount == 1

    def expire(self, before: float) -> list[str]:
        """Expire what was finished before a time; return the names of those jobs."""
        with self._change() as connection:
            rows = connection.execute(
                f"{_EXPIRE} WHERE state IN ('done', 'failed', 'cancelled') AND finished_at < ? RETURNING id", (before,)
            )
            return [str(row["id"]) for row in rows.fetchall()]

    def forget(self, before: float) -> None:
        """Forget expired jobs that were finished before a time."""
        with self._change() as connection:
            connection.execute("DELETE FROM jobs WHERE state = 'expired' AND finished_at < ?", (before,))

    def webhooks_due(self, count: int) -> list[Job]:
        """Return jobs of which somebody is to be told now, longest due first; so many at most."""
        with self._look() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE webhook_due <= ? ORDER BY webhook_due LIMIT ?", (self._now(), count)
            )
            return [_job_of(row) for row in rows.fetchall()]

    def webhook_sent(self, job_id: str) -> None:
        """Note that somebody was told of a job."""
        with self._change() as connection:
            connection.execute(
                "UPDATE jobs SET webhook_due = NULL, webhook_is_sent = 1, webhook_tries = webhook_tries + 1"
                " WHERE id = ?",
                (job_id,),
            )

    def webhook_failed(self, job_id: str, *, wait_s: float | None) -> None:
        """Note that somebody could not be told of a job, and when it is tried again; None is never."""
        due = None if wait_s is None else self._now() + wait_s
        with self._change() as connection:
            connection.execute(
                "UPDATE jobs SET webhook_due = ?, webhook_tries = webhook_tries + 1 WHERE id = ?", (due, job_id)
            )

    def in_states(self, *states: JobState) -> list[Job]:
        """Return the jobs in some states, oldest first."""
        marks = ", ".join("?" * len(states))
        with self._look() as connection:
            rows = connection.execute(f"SELECT * FROM jobs WHERE state IN ({marks}) ORDER BY created_at", states)
            return [_job_of(row) for row in rows.fetchall()]

    def counts(self) -> dict[str, int]:
        """Return the number of jobs in each state that there is one in."""
        with self._look() as connection:
            rows = connection.execute("SELECT state, COUNT(*) AS number FROM jobs GROUP BY state").fetchall()
        return {str(row["state"]): int(row["number"]) for row in rows}

    def close(self) -> None:
        """Free the list for others."""
        with self._lock:
            self._connection.close()

    def _end(self, job_id: str, state: JobState, error: str, detail: str) -> bool:
        with self._change() as connection:
            done = connection.execute(
                f"UPDATE jobs SET state = ?, finished_at = ?, error = ?, detail = ?, upload_bytes = 0, {_DUE}"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (state, self._now(), error, detail, self._now(), job_id),
            )
            return done.rowcount == 1

    @contextmanager
    def _look(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for reading.

        Raises:
            Refused: When the database cannot be used.
        """
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise storage_refusal(error) from error

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for a change, which is on the disk at the end, whole or not at all.

        Raises:
            Refused: When the database cannot be written.
        """
        with self._look() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._stored_bytes = self._sum_bytes()

    def _sum_bytes(self) -> int:
        (total,) = self._connection.execute(
            "SELECT COALESCE(SUM(upload_bytes + result_bytes + trust_bytes), 0) FROM jobs"
        ).fetchone()
        return int(total)


_DUE = "webhook_due = CASE WHEN webhook IS NULL THEN NULL ELSE ? END"

# Its client may post it again, by the same key, and means it.
_EXPIRE = "UPDATE jobs SET state = 'expired', upload_bytes = 0, result_bytes = 0, trust_bytes = 0, key = NULL"


def _as_json(kind: TypeAdapter[T], value: T | None) -> str | None:
    return None if value is None else kind.dump_json(value).decode()


def _job_of(row: sqlite3.Row) -> Job:
    """Take a row of the table apart."""
    columns = dict(row)
    told, region, lost, found = (columns[name] and json.loads(columns[name]) for name in _JSON)
    model = {**columns, "name": columns["model"]}
    result = {**columns, "bytes": columns["result_bytes"], "model": columns["ran"], "lost": lost, "found": found}
    return JOB.validate_python(
        {
            **columns,
            "options": {**columns, "model": model, "told": told, "region": region},
            "result": result if columns["state"] == "done" else None,
        }
    )


def _by_key(connection: sqlite3.Connection, owner: str, key: str | None) -> Job | None:
    if key is None:
        return None
    row = connection.execute("SELECT * FROM jobs WHERE owner = ? AND key = ?", (owner, key)).fetchone()
    return None if row is None else _job_of(row)


def _cannot_open(folder: Path, error: sqlite3.Error) -> ConfigError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ConfigError(f"{folder}: another acutance serve uses this folder; end it, or give another with --data.")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return ConfigError(f"{folder / FILE_NAME} is damaged; move it away, its jobs cannot be had back.")
    return ConfigError(f"{folder / FILE_NAME} cannot be opened ({first_line(error)}); give another folder with --data.")
