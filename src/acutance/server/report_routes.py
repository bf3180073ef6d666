"""`/v1/jobs/{id}/map` and `/report`: what in a job's result can be trusted, made when somebody first asks for it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from acutance.server.files import TrustFile
from acutance.server.jobs import Job
from acutance.server.picture_routes import disconnect_event
from acutance.server.responses import FileRangeResponse, TheClient, TheService, disposition, problems
from acutance.server.service import Service
from acutance.server.trust_files import result_name

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

ReportFormat = Literal["json", "html"]

_KINDS: dict[ReportFormat, TrustFile] = {"json": "records", "html": "pages"}
_TYPES: dict[TrustFile, str] = {
    "maps": "image/png",
    "records": "application/json",
    "pages": "text/html; charset=utf-8",
}
_ENDINGS: dict[TrustFile, str] = {"maps": ".map.png", "records": ".json", "pages": ".html"}

_MAP: dict[str, Any] = {
    "description": "The map, of the result's size: black is certain, yellow may be off by 96 levels of 255 or more.",
    "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
}
_RECORD: dict[str, Any] = {
    "description": "The record, sealed by its own hash; or a page to read, which holds it.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["format", "version", "source", "result", "model", "settings", "record_sha256"],
                "properties": {"format": {"const": "acutance.record"}, "version": {"const": 1}},
            }
        },
        "text/html": {"schema": {"type": "string"}},
    },
}
_REFUSALS = (404, 409, 410, 413, 415, 422, 429, 503, 507)


@router.get(
    "/{job_id}/map",
    operation_id="get_job_map",
    summary="The map of guesses of a job's result",
    description="For each pixel how far it may be off, for jobs that were posted with `report=true`. It is made when "
    "it is first asked for, and kept as long as the result.",
    response_class=Response,
    responses={**problems(*_REFUSALS), 200: _MAP},
)
async def guesses(request: Request, job_id: str, service: TheService, client: TheClient) -> Response:
    """Send the map of guesses."""
    return await _sent(request, service, await service.job(job_id), "maps", client)


@router.get(
    "/{job_id}/report",
    operation_id="get_job_report",
    summary="The record of a job's result",
    description="Hashes, versions and settings, what was seen in the picture, how far the evidence carries the result, "
    "and how much of it is a guess, for jobs that were posted with `report=true`. It is made when it is first asked "
    "for, with the map, and kept as long as the result. `acutance verify` checks it.",
    response_class=Response,
    responses={**problems(*_REFUSALS), 200: _RECORD},
)
async def report(
    request: Request,
    job_id: str,
    service: TheService,
    *,
    client: TheClient,
    format: Annotated[
        ReportFormat, Query(description="JSON for programs, or a page with pictures for people.")
    ] = "json",
) -> Response:
    """Send the record."""
    return await _sent(request, service, await service.job(job_id), _KINDS[format], client)


async def _sent(request: Request, service: Service, job: Job, kind: TrustFile, client: str) -> Response:
    async with disconnect_event(request) as gone:
        path = await service.trust.file(job, kind, client, gone)
    headers = {
        "Content-Type": _TYPES[kind],
        "Content-Disposition": disposition(result_name(job) + _ENDINGS[kind]),
        "Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    }
    return FileRangeResponse(path, headers)
