"""The tables of the list of jobs, as the steps by which they came about.

A step is never changed once it was released; `user_version` of the database is the number of steps taken.
"""

from __future__ import annotations

import sqlite3

from acutance.errors import ConfigError

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        client TEXT NOT NULL,
        key TEXT,
        stem TEXT NOT NULL,
        model TEXT NOT NULL,
        fidelity REAL NOT NULL,
        precision TEXT NOT NULL,
        strength REAL NOT NULL,
        format TEXT,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')),
        attempts INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        started_at REAL,
        finished_at REAL,
        error TEXT,
        detail TEXT,
        upload_bytes INTEGER NOT NULL,
        result_bytes INTEGER NOT NULL DEFAULT 0,
        media_type TEXT,
        seconds REAL,
        megapixels REAL,
        lost TEXT NOT NULL DEFAULT '[]'
    );
    CREATE UNIQUE INDEX jobs_by_key ON jobs (client, key) WHERE key IS NOT NULL;
    CREATE INDEX jobs_by_state ON jobs (state, created_at);
    """,
    """
    ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN fingerprint TEXT;
    UPDATE jobs SET owner = client;
    DROP INDEX jobs_by_key;
    CREATE UNIQUE INDEX jobs_by_key ON jobs (owner, key) WHERE key IS NOT NULL;
    CREATE INDEX jobs_by_owner ON jobs (owner, created_at, id);
    """,
    """
    ALTER TABLE jobs ADD COLUMN found TEXT NOT NULL DEFAULT '[]';
    """,
    """
    ALTER TABLE jobs ADD COLUMN told TEXT;
    ALTER TABLE jobs ADD COLUMN region TEXT;
    """,
    """
    ALTER TABLE jobs ADD COLUMN webhook TEXT;
    ALTER TABLE jobs ADD COLUMN webhook_tries INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN webhook_due REAL;
    ALTER TABLE jobs ADD COLUMN webhook_is_sent INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX jobs_by_webhook ON jobs (webhook_due) WHERE webhook_due IS NOT NULL;
    """,
    """
    ALTER TABLE jobs ADD COLUMN name TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN is_questioned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN ran TEXT;
    ALTER TABLE jobs ADD COLUMN trust_bytes INTEGER NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE jobs ADD COLUMN ensemble INTEGER NOT NULL DEFAULT 1;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest tables; each step is done whole or not at all.

    Raises:
        ConfigError: When it was written by a newer acutance.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise ConfigError("the server's folder was written by a newer acutance; upgrade, or give another with --data.")
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")
