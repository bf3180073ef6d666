"""`/v1/inspect`: a picture in, what is wrong with it out, as JSON."""

from __future__ import annotations

from fastapi import APIRouter, Request

from acutance.inference.inspection import Inspection
from acutance.server.answers import BODY, TheClient, TheService, problems
from acutance.server.picture_routes import admitted

router = APIRouter()


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
