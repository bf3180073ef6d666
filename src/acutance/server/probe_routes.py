"""`/healthz`, `/readyz` and `/metrics`: for supervisors."""

from __future__ import annotations

import asyncio
from typing import get_args

from fastapi import APIRouter
from starlette.responses import Response

from acutance.server.jobs import JobState
from acutance.server.metrics import MEDIA_TYPE
from acutance.server.refusals import DISK_FULL, Refused
from acutance.server.responses import TheService, problems
from acutance.server.schemas import HealthView

router = APIRouter(tags=["supervision"])


@router.get(
    "/healthz",
    operation_id="get_health",
    summary="Whether the server lives",
    response_model=HealthView,
    responses=problems(),
)
async def health() -> HealthView:
    """Answer, which is all that is asked."""
    return HealthView(status="ok")


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether the server takes pictures",
    response_model=HealthView,
    responses=problems(503, 507),
)
async def ready(service: TheService) -> HealthView:
    """Say whether a picture would be taken now."""
    if service.is_stopping:
        raise Refused(503, "stopping", "the server is stopping.")
    if service.files.free_bytes < service.limits.min_free_bytes:
        raise Refused(507, "storage_full", DISK_FULL, retry_after_s=60)
    await asyncio.to_thread(service.store.counts)
    return HealthView(status="ready")


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={**problems(503), 200: {"description": "Text format 0.0.4.", "content": {"text/plain": {}}}},
)
async def metrics(service: TheService) -> Response:
    """Write down what is counted."""
    counts = await asyncio.to_thread(service.store.counts)
    pools = {
        "pictures": (service.pool, service.picture_workers),
        "videos": (service.videos, service.video_workers),
    }
    gauges: dict[str, float | dict[str, float]] = {
        "acutance_uploads": service.admission.uploads,
        "acutance_pictures_inside": service.admission.inside,
        "acutance_event_streams": service.live.watchers,
        "acutance_stored_bytes": service.store.stored_bytes,
        "acutance_free_bytes": service.files.free_bytes,
        "acutance_listed_jobs": {state: counts.get(state, 0) for state in get_args(JobState)},
        "acutance_pool_waiting": {name: pool.waiting for name, (pool, _) in pools.items()},
        "acutance_pool_busy": {name: pool.busy for name, (pool, _) in pools.items()},
        "acutance_pool_restarts": {name: workers.restarts for name, (_, workers) in pools.items()},
    }
    return Response(service.metrics.text(gauges), headers={"Content-Type": MEDIA_TYPE})
