"""`create_app`: the service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from acutance import __version__
from acutance.errors import AcutanceError
from acutance.server import job_routes, page_routes, picture_routes, probe_routes, report_routes
from acutance.server.access import Access
from acutance.server.access_middleware import AccessMiddleware, problem_response
from acutance.server.files import Files
from acutance.server.job_store import JobStore
from acutance.server.limits import Limits
from acutance.server.models import Models
from acutance.server.openapi import finish
from acutance.server.refusals import ErrorCode, ProblemDetails, problem_of
from acutance.server.service import Service
from acutance.server.sharpen_query import JobQuery, SharpenQuery
from acutance.server.webhooks import WebhookPolicy

_ROUTERS = (
    picture_routes.router,
    job_routes.router,
    report_routes.router,
    probe_routes.router,
    page_routes.router,
)

_HTTP_ANSWERS: dict[int, tuple[ErrorCode, str]] = {
    404: ("not_found", "there is nothing of that name here; see /docs."),
    405: ("method_not_allowed", "that cannot be done with this; see /docs."),
}

METHOD_NOT_ALLOWED = 405

SHOWN_CHARACTERS = 60
"""Of a value that is not allowed."""


def create_app(
    models: Models,
    *,
    folder: Path,
    limits: Limits | None = None,
    access: Access | None = None,
    store: JobStore | None = None,
    webhooks: WebhookPolicy | None = None,
) -> FastAPI:
    """Make the application.

    Args:
        models: Where sharpeners come from; closed when the application ends.
        folder: Where jobs and their files lie; made if it is missing.
        limits: What is allowed; None for the defaults.
        access: Who is let in; None lets in whoever reaches it by an address or as localhost.
        store: The list of jobs, if it is not to be opened in the folder; closed when the application ends.
        webhooks: Whom the server may tell that jobs are over; None is nobody.

    Raises:
        ConfigError: When the folder is in use by another server, or its list cannot be opened.
        OSError: When the folder cannot be made.
    """
    files = Files(folder)
    service = Service(
        models, store=store or JobStore(folder), files=files, limits=limits or Limits(), webhooks=webhooks
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = Application(
        title="acutance",
        version=__version__,
        summary="Makes blurred photos sharp.",
        description="Post a picture to `/v1/sharpen` and get it back sharp, or leave it as a job. Every refusal is "
        "a problem document (RFC 9457): `error` for programs, `detail` for people, `request_id` for who asks about it.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        # Routes as they are: `include_router` builds them anew at the first request, which then waits 60 ms longer.
        routes=[route for router in _ROUTERS for route in router.routes],
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.has_tokens = bool(access is not None and access.token_digests)
    app.add_exception_handler(AcutanceError, _on_error)
    app.add_exception_handler(MemoryError, _on_error)
    app.add_exception_handler(OSError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_middleware(AccessMiddleware, access=access or Access(), metrics=service.metrics)
    return app


class Application(FastAPI):
    """FastAPI's application, whose description names the models that it offers."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            service = cast("Service", self.state.service)
            finish(
                super().openapi(),
                models=[model.name for model in service.models.offered],
                max_ensemble=service.limits.max_ensemble,
                has_tokens=self.state.has_tokens,
            )
        return self.openapi_schema or {}


async def _on_error(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error), request.scope)


async def _on_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, detail = _HTTP_ANSWERS.get(status, ("bad_request", "the request cannot be understood."))
    headers = {}
    if status == METHOD_NOT_ALLOWED:
        # Starlette's own names the methods of the first route of that path only.
        routes = [route for router in _ROUTERS for route in router.routes if isinstance(route, Route)]
        fitting = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
        headers["Allow"] = ", ".join(sorted({name for route in fitting for name in route.methods or ()}))
        detail = f"{request.method[:SHOWN_CHARACTERS]}: is not done here, only {headers['Allow']}; see /docs."
    response = problem_response(ProblemDetails(status=status, error=code, detail=detail), request.scope)
    response.headers.update(headers)
    return response


async def _on_invalid(request: Request, error: Exception) -> Response:
    """Say in one sentence what is wrong with the first option that is."""
    found = error.errors()[0] if isinstance(error, RequestValidationError) and error.errors() else {}
    name = str(found.get("loc", ("", "the request"))[-1])
    if found.get("type") == "extra_forbidden":
        query = JobQuery if request.url.path.startswith("/v1/jobs") else SharpenQuery
        allowed = ", ".join(query.model_fields)
        detail = f"{_shown(name)}: is no option; there are {allowed}."
        return problem_response(ProblemDetails(status=422, error="invalid_option", detail=detail), request.scope)
    words = str(found.get("msg", "cannot be understood"))
    detail = f"{name} = {_shown(found.get('input'))}: {words[:1].lower()}{words[1:]}."
    return problem_response(ProblemDetails(status=422, error="invalid_option", detail=detail), request.scope)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
