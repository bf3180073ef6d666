"""`/v1/sharpen`, `/v1/inspect` and `/v1/models`: a picture in, a picture out or what is wrong with it; the offer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from acutance import __version__
from acutance.inference.inspection import Inspection
from acutance.media import ImageFormat
from acutance.server.options import negotiate, result_stem
from acutance.server.refusals import Refused
from acutance.server.responses import BODY, PICTURE, FileRangeResponse, TheClient, TheService, disposition, problems
from acutance.server.schemas import ModelsView, ModelView
from acutance.server.service import Service
from acutance.server.sharpen_query import SharpenQuery
from acutance.server.uploads import Upload, receive_upload
from acutance.server.video_work import suffix_of

router = APIRouter()

_HEADERS = {
    "Acutance-Model": {
        "description": "The model that ran; of `auto` the one that was chosen, `none` where the picture was left as "
        "it is.",
        "schema": {"type": "string"},
    },
    "Acutance-Seconds": {"description": "What the work took.", "schema": {"type": "number"}},
    "Acutance-Lost": {
        "description": "What the format could not hold of the picture: words, percent-encoded, separated by commas.",
        "schema": {"type": "string"},
    },
    "Acutance-Found": {
        "description": "What was seen in the picture, what was done about it, and what that changed: sentences, "
        "percent-encoded, separated by commas.",
        "schema": {"type": "string"},
    },
}


@router.post(
    "/v1/sharpen",
    operation_id="sharpen_picture",
    summary="Sharpen a picture",
    description="The answer is the picture, in the format that it came in, or the one that `format` or `Accept` asks "
    "for. For pictures that take long, and to come back later, post a job.",
    tags=["pictures"],
    response_class=Response,
    responses={
        **problems(400, 406, 408, 413, 415, 422, 429, 503, 507),
        200: {**PICTURE, "headers": _HEADERS},
    },
    openapi_extra=BODY,
)
async def sharpen(
    request: Request, service: TheService, client: TheClient, query: Annotated[SharpenQuery, Query()]
) -> Response:
    """Sharpen a picture while its client waits."""
    options = query.options(service.models.offered)
    service.check(options)
    async with admitted(request, service, client, "post it to /v1/jobs.", runs=options.model.ensemble) as (
        upload,
        kind,
        gone,
    ):
        if options.format is None:
            options = replace(options, format=negotiate(request.headers.get("accept", ""), kind))
        path, made = await service.direct.sharpen(upload, options, client, gone)
    headers = {
        "Content-Type": made.media_type,
        "Content-Disposition": disposition(result_stem(upload.filename) + suffix_of(made.media_type)),
        "Acutance-Model": quote(made.model or "none"),
        "Acutance-Seconds": f"{made.seconds:.3f}",
    }
    if made.lost:
        headers["Acutance-Lost"] = ",".join(quote(words) for words in made.lost)
    if made.found:
        headers["Acutance-Found"] = ",".join(quote(words) for words in made.found)
    return FileRangeResponse(path, headers, is_passing=True)


@router.post(
    "/v1/inspect",
    operation_id="inspect_picture",
    summary="Say what is wrong with a picture",
    description="What blurred it, how noisy it is, what JPEG did to it, whether sharpening helps, and how; nothing is "
    "sharpened. Fields that end in `_confidence` are probabilities, calibrated on held-out photos; `_within` is half "
    "of an interval that held nine of ten of them, as a share of the value. Of an animation or pages the first picture "
    "is looked at.",
    tags=["pictures"],
    response_model=Inspection,
    responses=problems(400, 408, 413, 415, 422, 429, 503, 507),
    openapi_extra=BODY,
)
async def inspect(request: Request, service: TheService, client: TheClient) -> Inspection:
    """Look at a picture while its client waits."""
    async with admitted(request, service, client, "send a picture of it.") as (upload, _, gone):
        return await service.direct.inspect(upload, client, gone)


@router.get(
    "/v1/models",
    operation_id="list_models",
    summary="What the server offers",
    tags=["pictures"],
    response_model=ModelsView,
    responses=problems(),
)
async def models(service: TheService) -> ModelsView:
    """List the models, the formats and the limits."""
    shown = [ModelView.of(model, max_ensemble=service.limits.max_ensemble) for model in service.models.offered]
    return ModelsView.of(__version__, shown, service.limits)


@asynccontextmanager
async def admitted(
    request: Request, service: Service, client: str, instead: str, *, runs: int = 1
) -> AsyncIterator[tuple[Upload, ImageFormat, asyncio.Event]]:
    """Take in a picture, and give it a place in the queue once it is here; both are gone again in the end.

    Args:
        request: Whose body is read.
        service: What it is for.
        client: Whose it is.
        instead: What to do with a video.
        runs: Of the network that the picture takes.

    Returns:
        The picture, its format, and an event that is set when its client goes away.

    Raises:
        Refused: When it is a video, or there is no place.
    """
    with service.admission.uploading(client):
        upload = await receive_upload(request, service.files, service.limits)
    service.metrics.uploaded_bytes.inc(upload.bytes)
    try:
        if upload.format is None:
            raise Refused(415, "unsupported_image", f"what was sent is a video, which takes long: {instead}")
        service.admission.enter(client, runs=runs)
        try:
            async with disconnect_event(request) as gone:
                yield upload, upload.format, gone
        finally:
            service.admission.leave(client, runs=runs)
    finally:
        service.files.remove(upload.path)


@asynccontextmanager
async def disconnect_event(request: Request) -> AsyncIterator[asyncio.Event]:
    """Give an event that is set when the client goes away; its body must have been read."""
    gone = asyncio.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    task = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        task.cancel()
