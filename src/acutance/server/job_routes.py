"""`/v1/jobs`: pictures that are sharpened while nobody waits, or while somebody watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response, StreamingResponse

from acutance.server.answers import JOB_BODY, PICTURE_OR_VIDEO, FileAnswer, TheClient, TheService, disposition, problems
from acutance.server.jobs import UNFINISHED, Job
from acutance.server.options import FORMATS, MEDIA_TYPES, SUFFIXES
from acutance.server.refusals import Refused
from acutance.server.schemas import JobView, SharpenQuery
from acutance.server.service import Service
from acutance.server.uploads import receive_upload
from acutance.server.video_work import VIDEO_TYPES

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_SUFFIX_OF = {
    **{MEDIA_TYPES[format_]: SUFFIXES[format_] for format_ in FORMATS.values()},
    **{type_: suffix for suffix, type_ in VIDEO_TYPES.items()},
}

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
        description="A name of your own: a post that is repeated with it gives the first job again.",
    ),
]


@router.post(
    "",
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
    client: TheClient,
    query: Annotated[SharpenQuery, Query()],
    key: Key = None,
) -> Response:
    """Take a picture in as a job."""
    options = query.options(service.models.offered[0].name)
    service.check(options)
    if key:
        known = await asyncio.to_thread(service.store.by_key, client, key)
        if known is not None:
            return _shown(service, known, 200)
    service.admission.enter(client)
    try:
        upload = await receive_upload(request, service.files, service.limits)
        service.metrics.uploaded.add(amount=upload.bytes)
        try:
            if upload.format is None and options.format is not None:
                raise Refused(422, "invalid_option", "format: a video stays what it is; leave it out.")
            job = await service.submit(upload, options, client=client, key=key or None)
        finally:
            service.files.remove(upload.path)
    except BaseException:
        service.admission.leave(client)
        raise
    return _shown(service, job, 202)


@router.get("/{job_id}", summary="How a job is", response_model=JobView, responses=problems(404, 422, 503))
async def look(job_id: str, service: TheService) -> Response:
    """Show a job."""
    return _shown(service, await service.job(job_id), 200)


@router.delete(
    "/{job_id}",
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
    summary="A job's picture",
    response_class=Response,
    responses={**problems(404, 409, 410, 422, 503), 200: PICTURE_OR_VIDEO},
)
async def result(job_id: str, service: TheService) -> Response:
    """Send a finished job's picture."""
    job = await service.job(job_id)
    if job.state == "expired":
        raise Refused(410, "gone", "the result has expired; post the picture again.")
    if job.result is None:
        raise Refused(409, "not_done", f"the job is {job.state}: {job.detail or 'come again when it is done.'}")
    headers = {
        "Content-Type": job.result.media_type,
        "Content-Disposition": disposition(job.stem + _SUFFIX_OF.get(job.result.media_type, "")),
    }
    path = service.files.result(job.id)
    return FileAnswer(path, size_bytes=job.result.bytes, headers=headers, is_passing=False)


@router.get(
    "/{job_id}/events",
    summary="A job, at every change",
    description="Server-sent events: `job`, with the job as JSON, at every change; the stream ends when the job does, "
    "or when the server stops. Comments keep the line alive.",
    response_class=StreamingResponse,
    responses={
        **problems(404, 422, 429, 503),
        200: {"description": "Events.", "content": {"text/event-stream": {"schema": _EVENT}}},
    },
)
async def events(job_id: str, service: TheService) -> Response:
    """Tell of a job's changes as they come."""
    job = await service.job(job_id)
    if service.live.watchers >= service.limits.max_watchers:
        raise Refused(429, "too_many_requests", "too many event streams are open; ask now and then instead.")
    return StreamingResponse(_events(service, job), media_type="text/event-stream")


async def _events(service: Service, job: Job) -> AsyncIterator[str]:
    with service.live.watch(job.id) as changed:
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


def _view(service: Service, job: Job) -> JobView:
    live = service.live
    return JobView.of(job, share=live.share(job.id), trouble=live.trouble(job.id), keep_s=service.limits.keep_s)


def _shown(service: Service, job: Job, status: int) -> Response:
    headers = {"Location": f"/v1/jobs/{job.id}"} if status == 202 else None
    return JSONResponse(_view(service, job).model_dump(mode="json"), status, headers)
