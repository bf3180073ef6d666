"""`/v1/jobs`: pictures that are sharpened while nobody waits, or while somebody watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response, StreamingResponse

from acutance.errors import ConfigError
from acutance.geometry import Box
from acutance.server.jobs import UNFINISHED, Job
from acutance.server.refusals import Refused
from acutance.server.responses import (
    JOB_BODY,
    PICTURE_OR_VIDEO,
    FileRangeResponse,
    TheClient,
    TheOwner,
    TheService,
    TheToken,
    disposition,
    problems,
)
from acutance.server.schemas import JobsView, JobView
from acutance.server.service import Service
from acutance.server.sharpen_query import JobQuery
from acutance.server.tiles import TILE_NAME, read_tile, tiles_in
from acutance.server.trust_files import check_done, result_name
from acutance.server.uploads import receive_upload

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"const": "job"}, "data": {"type": "string", "description": "The job as JSON."}},
}

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=128,
        pattern="^[ -~]*$",
        description="A name of your own: a post that is repeated with it, the same picture and the same options, gives "
        "the first job again; another picture or option is refused.",
    ),
]


@router.post(
    "",
    operation_id="create_job",
    summary="Leave a picture or a video to be sharpened",
    description="The file is on the server's disk when this answers: it is sharpened even if the server is killed.",
    status_code=202,
    response_model=JobView,
    responses={
        **problems(400, 408, 413, 415, 422, 429, 503, 507),
        200: {"model": JobView, "description": "There is a job of this Idempotency-Key already: this one."},
    },
    openapi_extra=JOB_BODY,
)
async def submit(
    request: Request,
    service: TheService,
    *,
    client: TheClient,
    owner: TheOwner,
    query: Annotated[JobQuery, Query()],
    key: Key = None,
) -> Response:
    """Take a picture in as a job."""
    options = query.options(service.models.offered)
    service.check(options)
    if query.webhook is not None:
        service.webhooks.target(query.webhook)
    is_known = bool(key) and await asyncio.to_thread(service.store.by_key, owner, key or "") is not None
    with service.admission.uploading(client, is_known=is_known):
        upload = await receive_upload(request, service.files, service.limits)
    service.metrics.uploaded_bytes.inc(upload.bytes)
    try:
        if upload.format is None and options.format is not None:
            raise ConfigError("format: a video stays what it is; leave it out.")
        if upload.format is None and (options.told or options.region or options.is_questioned):
            raise ConfigError(
                "motion, defocus, gaussian, region and report: only of pictures; leave them out for a video."
            )
        job, is_new = await service.submit(
            upload, options, client=client, owner=owner, key=key or None, webhook=query.webhook
        )
    finally:
        service.files.remove(upload.path)
    return _shown(service, job, 202 if is_new else 200)


@router.get(
    "",
    operation_id="list_jobs",
    summary="The jobs of your token",
    description="Newest first. Where the server asks for no token, nobody's jobs are listed: whoever knows a job's id "
    "may see it.",
    response_model=JobsView,
    responses=problems(403, 422, 503),
)
async def list_jobs(
    service: TheService,
    token: TheToken,
    owner: TheOwner,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs in one answer.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="The `next` of the answer before; left out: the newest.")
    ] = None,
) -> JobsView:
    """List a token's jobs."""
    if token is None:
        raise Refused(403, "not_listed", "jobs are listed for the token that posted them; this server asks for none.")
    before = None if cursor is None else _place_in(cursor)
    jobs = await asyncio.to_thread(service.store.of_owner, owner, count=limit + 1, before=before)
    shown = jobs[:limit]
    following = f"{shown[-1].created_at!r}_{shown[-1].id}" if len(jobs) > limit else None
    return JobsView(jobs=[_view(service, job) for job in shown], next=following)


@router.get(
    "/{job_id}",
    operation_id="get_job",
    summary="How a job is",
    response_model=JobView,
    responses=problems(404, 422, 503),
)
async def look(job_id: str, service: TheService) -> Response:
    """Show a job."""
    return _shown(service, await service.job(job_id), 200)


@router.delete(
    "/{job_id}",
    operation_id="delete_job",
    summary="Cancel a job, or remove its result",
    response_model=JobView,
    responses=problems(404, 422, 503, 507),
)
async def cancel(job_id: str, service: TheService) -> Response:
    """Cancel a job that is not done; remove the result of one that is."""
    await service.job(job_id)
    await asyncio.to_thread(service.jobs.cancel, job_id)
    return _shown(service, await service.job(job_id), 200)


@router.get(
    "/{job_id}/result",
    operation_id="get_job_result",
    summary="A job's picture",
    response_class=Response,
    responses={
        **problems(404, 409, 410, 416, 422, 503),
        200: PICTURE_OR_VIDEO,
        206: {**PICTURE_OR_VIDEO, "description": "The bytes that the header Range asks for."},
    },
)
@router.head("/{job_id}/result", include_in_schema=False)
async def result(request: Request, job_id: str, service: TheService) -> Response:
    """Send a finished job's picture, or a part of it, or only its headers."""
    job = await service.job(job_id)
    made = check_done(job)
    headers = {
        "Content-Type": made.media_type,
        "Content-Disposition": disposition(result_name(job)),
        "Accept-Ranges": "bytes",
        "ETag": f'"{job.id}"',  # a job has one result, which never changes
    }
    return FileRangeResponse(service.files.result(job.id), headers, asked=request.headers)


@router.get(
    "/{job_id}/events",
    operation_id="watch_job",
    summary="A job, at every change",
    description="Server-sent events: `job`, with the job as JSON, at every change; the stream ends when the job does, "
    "or when the server stops. Comments keep the line alive.",
    response_class=StreamingResponse,
    responses={
        **problems(404, 422, 429, 503),
        200: {"description": "Events.", "content": {"text/event-stream": {"schema": _EVENT}}},
    },
)
async def events(job_id: str, service: TheService, client: TheClient) -> Response:
    """Tell of a job's changes as they come."""
    job = await service.job(job_id)
    service.live.check(client)
    return StreamingResponse(_events(service, job, client), media_type="text/event-stream")


@router.put(
    "/{job_id}/view",
    operation_id="look_at_job",
    summary="Look at a job while it is worked on",
    description="From now on, finished tiles of the picture are in the job's `tiles`; those in view are made first. "
    "The result is the same. Models that look at a picture as a whole, such as `motion`, have no tiles.",
    response_model=JobView,
    responses=problems(404, 422, 503, 507),
)
async def view(
    job_id: str,
    service: TheService,
    box: Annotated[
        str | None,
        Query(
            pattern="^[0-9]{1,9},[0-9]{1,9},[0-9]{1,9},[0-9]{1,9}$",
            description="x,y,width,height of what is seen, in px of the picture as it is looked at; left out: all.",
            examples=["0,0,1600,1200"],
        ),
    ] = None,
) -> Response:
    """Have tiles made, those in view first."""
    seen = None
    if box is not None:
        x, y, width, height = map(int, box.split(","))
        seen = Box(y, x, y + height, x + width)
    return _shown(service, await service.look(job_id, seen), 200)


@router.get(
    "/{job_id}/tiles/{name}",
    operation_id="get_job_tile",
    summary="A finished part of a picture that is worked on",
    response_class=Response,
    responses={
        **problems(404, 422, 503),
        200: {
            "description": "The tile.",
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def tile(
    job_id: str,
    name: Annotated[str, Path(pattern=f"^{TILE_NAME}$", description="As in the job's `tiles`.")],
    service: TheService,
) -> Response:
    """Send a tile."""
    job = await service.job(job_id)
    content = await asyncio.to_thread(read_tile, service.files.tiles(job.id), name)
    return Response(content, media_type="image/jpeg")


async def _events(service: Service, job: Job, client: str) -> AsyncIterator[str]:
    with service.live.watch(job.id, client) as changed:
        told = ""
        while True:
            changed.clear()
            job = await service.job(job.id)
            shown = _view(service, job).model_dump_json()
            if shown != told:
                told = shown
                yield f"event: job\ndata: {shown}\n\n"
            if job.state not in UNFINISHED or service.is_stopping:
                return
            try:
                async with asyncio.timeout(service.limits.heartbeat_s):
                    await changed.wait()
            except TimeoutError:
                yield ": still here\n\n"


def _place_in(cursor: str) -> tuple[float, str]:
    made_at, _, job_id = cursor.partition("_")
    try:
        return float(made_at), job_id
    except ValueError:
        raise ConfigError("cursor: must be the `next` of the answer before; or leave it out.") from None


def _view(service: Service, job: Job) -> JobView:
    live = service.live
    tiles = tiles_in(service.files.tiles(job.id)) if job.state == "running" else ()
    return JobView.of(
        job, share=live.share(job.id), trouble=live.trouble(job.id), keep_s=service.limits.keep_s, tiles=tiles
    )


def _shown(service: Service, job: Job, status: int) -> Response:
    headers = {"Location": f"/v1/jobs/{job.id}"} if status == 202 else None
    return JSONResponse(_view(service, job).model_dump(mode="json"), status, headers)
