"""A row of the list of jobs, taken apart."""

from __future__ import annotations

import json
import sqlite3
from typing import TypeVar

from pydantic import TypeAdapter

from acutance.inference.told import Region, ToldBlur
from acutance.server.jobs import Job, JobResult
from acutance.server.options import MEDIA_TYPES, ModelChoice, Options, parse_ensemble, parse_precision

T = TypeVar("T")

TOLD = TypeAdapter(ToldBlur)
REGION = TypeAdapter(Region)


def written(kind: TypeAdapter[T], value: T | None) -> str | None:
    """Write down what is known of a picture, exactly."""
    return None if value is None else kind.dump_json(value).decode()


def job_of(row: sqlite3.Row) -> Job:
    """Take a row of the table apart."""
    model = ModelChoice(
        name=row["model"],
        fidelity=row["fidelity"],
        precision=parse_precision(row["precision"]),
        ensemble=parse_ensemble(row["ensemble"]),
    )
    result = JobResult(
        media_type=row["media_type"] or "",
        bytes=row["result_bytes"],
        seconds=row["seconds"],
        megapixels=row["megapixels"],
        lost=tuple(json.loads(row["lost"])),
        found=tuple(json.loads(row["found"])),
        model=row["ran"],
    )
    return Job(
        id=row["id"],
        client=row["client"],
        owner=row["owner"],
        fingerprint=row["fingerprint"],
        key=row["key"],
        stem=row["stem"],
        name=row["name"],
        options=Options(
            model=model,
            strength=row["strength"],
            format=next((name for name in MEDIA_TYPES if name == row["format"]), None),
            told=None if row["told"] is None else TOLD.validate_json(row["told"]),
            region=None if row["region"] is None else REGION.validate_json(row["region"]),
            is_questioned=bool(row["is_questioned"]),
        ),
        upload_bytes=row["upload_bytes"],
        state=row["state"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=row["error"],
        detail=row["detail"],
        result=result if row["state"] == "done" else None,
        webhook=row["webhook"],
        webhook_tries=row["webhook_tries"],
        webhook_due=row["webhook_due"],
        webhook_is_sent=bool(row["webhook_is_sent"]),
    )
