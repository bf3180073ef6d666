"""The OpenAPI document, finished by hand where FastAPI does not know what the server does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acutance.server.access import OPEN_PATHS
from acutance.server.refusals import PROBLEM_TYPE

PROBLEM = {"$ref": "#/components/schemas/Problem"}

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the server's file of tokens."},
    "basic": {"type": "http", "scheme": "basic", "description": "The same token as the password, for browsers."},
}

_REQUEST_ID = {
    "description": "The request's id: the one that it brought, or one of the server's; it is in the server's log.",
    "schema": {"type": "string"},
}
_RETRY_AFTER = {"description": "Seconds after which it is worth trying again.", "schema": {"type": "integer"}}


def finish(document: dict[str, Any], *, models: Sequence[str], max_ensemble: int, has_tokens: bool) -> None:
    """Add what FastAPI does not know.

    Args:
        document: Changed in place.
        models: Names that the parameter `model` takes.
        max_ensemble: The most that the parameter `ensemble` takes.
        has_tokens: Whether a token is asked for.
    """
    for schema in document["components"]["schemas"].values():
        _even(schema)
    document["servers"] = [{"url": "/", "description": "This server."}]
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    document["security"] = [{"bearer": []}, {"basic": []}] if has_tokens else [{}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN_PATHS:
                operation["security"] = []
            _name_choices(operation, models, max_ensemble)
            for status, response in operation["responses"].items():
                _describe(status, response)


def _name_choices(operation: dict[str, Any], models: Sequence[str], max_ensemble: int) -> None:
    for parameter in operation.get("parameters", ()):
        if (parameter["in"], parameter["name"]) == ("query", "model"):
            parameter["schema"] = {"type": "string", "enum": list(models)}
        if (parameter["in"], parameter["name"]) == ("query", "ensemble"):
            schema = parameter["schema"]
            schema["enum"] = [count for count in schema["enum"] if count <= max_ensemble]


def _even(schema: object) -> None:
    """Describe arrays of a fixed length, whose items are all alike, as such: few programs know `prefixItems`."""
    if isinstance(schema, list):
        for part in schema:
            _even(part)
    elif isinstance(schema, dict):
        items = schema.get("prefixItems")
        if isinstance(items, list) and items and all(item == items[0] for item in items):
            del schema["prefixItems"]
            schema["items"] = items[0]
        for part in schema.values():
            _even(part)


def _describe(status: str, response: dict[str, Any]) -> None:
    headers = response.setdefault("headers", {})
    headers["X-Request-Id"] = _REQUEST_ID
    if response.get("content", {}).get("application/json", {}).get("schema") == PROBLEM:
        response["content"] = {PROBLEM_TYPE: {"schema": PROBLEM}}
        if status in ("429", "503", "507"):
            headers["Retry-After"] = _RETRY_AFTER
