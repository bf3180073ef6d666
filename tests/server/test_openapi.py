"""The OpenAPI document says what is so."""

from __future__ import annotations

from typing import get_args

import pytest

from acutance.server.refusals import ErrorCode
from acutance.server.schemas import JobView, Problem


@pytest.fixture(scope="module")
def document(shared) -> dict:
    return shared.ask("GET", "/openapi.json").json


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [(path, method, found) for path, methods in document["paths"].items() for method, found in methods.items()]


def test_every_route_is_described(document) -> None:
    assert document["openapi"].startswith("3.")
    assert {(method, path) for path, method, _ in operations(document)} == {
        ("post", "/v1/sharpen"),
        ("post", "/v1/inspect"),
        ("get", "/v1/models"),
        ("post", "/v1/jobs"),
        ("get", "/v1/jobs/{job_id}"),
        ("delete", "/v1/jobs/{job_id}"),
        ("get", "/v1/jobs/{job_id}/result"),
        ("get", "/v1/jobs/{job_id}/events"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }
    for path, method, found in operations(document):
        assert found["summary"], (path, method)
        assert found["tags"], (path, method)


def test_every_refusal_is_a_problem(document) -> None:
    for path, method, found in operations(document):
        for status, response in found["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (path, method, status)
    assert document["components"]["schemas"]["Problem"]["properties"]["error"]["enum"] == list(get_args(ErrorCode))


def test_bodies_and_pictures_are_described(document) -> None:
    for path in ("/v1/sharpen", "/v1/jobs"):
        body = document["paths"][path]["post"]["requestBody"]
        assert body["required"]
        assert body["content"]["multipart/form-data"]["schema"]["required"] == ["file"]
        assert {"application/octet-stream", "image/jpeg", "image/png"} < set(body["content"])
    assert "image/avif" in document["paths"]["/v1/sharpen"]["post"]["responses"]["200"]["content"]


def test_models_are_named(document) -> None:
    for path in ("/v1/sharpen", "/v1/jobs"):
        parameters = {found["name"]: found for found in document["paths"][path]["post"]["parameters"]}
        assert parameters["model"]["schema"]["enum"] == ["fake"]
        assert parameters["strength"]["schema"]["maximum"] == 2


@pytest.mark.parametrize("model", [JobView, Problem])
def test_examples_are_true(model) -> None:
    for example in model.model_config["json_schema_extra"]["examples"]:
        assert model.model_validate(example).model_dump(mode="json") == example


def test_what_comes_is_as_described(shared, picture, document) -> None:
    statuses = {
        ("post", "/v1/sharpen"): [shared.post(b"x"), shared.post(picture(), "/v1/sharpen?strength=9")],
        ("post", "/v1/jobs"): [shared.post(b""), shared.post(picture(), "/v1/jobs")],
        ("get", "/v1/jobs/{job_id}"): [shared.ask("GET", "/v1/jobs/0")],
        ("get", "/v1/jobs/{job_id}/result"): [shared.ask("GET", "/v1/jobs/0/result")],
    }
    for (method, path), replies in statuses.items():
        for reply in replies:
            described = document["paths"][path][method]["responses"][str(reply.status)]
            assert reply.headers["content-type"].partition(";")[0] in described["content"]
