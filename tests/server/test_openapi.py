"""The OpenAPI document says what is so."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from typing import get_args

import pytest
from PIL import Image

from acutance.media.heif import is_installed
from acutance.server.access import Access
from acutance.server.refusals import TITLES, ErrorCode
from acutance.server.schemas import JobView, Problem
from acutance.server.video_work import takes_videos


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
        ("get", "/v1/jobs"),
        ("get", "/v1/jobs/{job_id}"),
        ("delete", "/v1/jobs/{job_id}"),
        ("get", "/v1/jobs/{job_id}/result"),
        ("put", "/v1/jobs/{job_id}/view"),
        ("get", "/v1/jobs/{job_id}/tiles/{name}"),
        ("get", "/v1/jobs/{job_id}/map"),
        ("get", "/v1/jobs/{job_id}/report"),
        ("get", "/v1/jobs/{job_id}/events"),
        ("put", "/v1/jobs/{job_id}/view"),
        ("get", "/v1/jobs/{job_id}/tiles/{name}"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }
    for path, method, found in operations(document):
        assert found["summary"], (path, method)
        assert found["tags"], (path, method)


def test_arrays_of_a_fixed_length_are_described_as_programs_know_them(document) -> None:
    """Generators of clients stumble over `prefixItems`."""
    worst = document["components"]["schemas"]["Inspection"]["properties"]["worst"]["anyOf"][0]
    assert worst == {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
    assert "prefixItems" not in str(document)


def test_every_refusal_is_a_problem(document) -> None:
    for path, method, found in operations(document):
        for status, response in found["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/problem+json"]["schema"]
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


def test_operations_have_tidy_names_of_their_own(document) -> None:
    names = [found["operationId"] for _, _, found in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names), names


def test_tokens_are_described_as_they_are_asked_for(document, serve) -> None:
    assert document["security"] == [{}]
    assert document["servers"][0]["url"] == "/"
    guarded = serve(access=Access.with_tokens(("a" * 20,)))
    described = guarded.ask("GET", "/openapi.json", headers={"Authorization": "Bearer " + "a" * 20}).json
    assert described["security"] == [{"bearer": []}, {"basic": []}]
    assert set(described["components"]["securitySchemes"]) == {"bearer", "basic"}
    assert described["paths"]["/healthz"]["get"]["security"] == []


def test_the_page_of_the_api_names_everything_and_loads_nothing_from_elsewhere(shared, document) -> None:
    page = shared.ask("GET", "/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = page.body.decode()
    for _, _, found in operations(document):
        assert f'id="{found["operationId"]}"' in text
    for code in get_args(ErrorCode):
        assert f'<dt id="{code}">' in text, "a problem's type leads here"
    assert not re.search(r"<script|(src|href)=.(https?:)?//", text)
    style = re.search(r'href="(/page/[^"]+)"', text)
    assert style is not None
    assert shared.ask("GET", style[1]).status == 200


def test_its_commands_work_as_they_stand(shared, serve, picture, tmp_path) -> None:
    """At the address that it was read at, with a file for what is no text, and a token where one is asked for."""
    page = html.unescape(shared.ask("GET", "/docs").body.decode())
    commands = re.findall(r"<pre><code>(curl .*?)</code></pre>", page)
    here = f"http://127.0.0.1:{shared.port}"
    assert f"curl --data-binary @photo.jpg {here}/v1/sharpen -o sharp.jpg" in commands
    assert f"curl {here}/v1/jobs/JOB/result -OJ" in commands
    assert all(here in command and "Bearer" not in command for command in commands)
    curl = shutil.which("curl")
    if curl is not None:
        (tmp_path / "photo.jpg").write_bytes(picture(format="JPEG"))
        command = next(command for command in commands if "/v1/sharpen" in command).split()
        subprocess.run([curl, "-s", *command[1:]], cwd=tmp_path, check=True)
        with Image.open(tmp_path / "sharp.jpg") as sharp:
            assert sharp.size == (7, 9)
    guarded = serve(access=Access.with_tokens(("a" * 20,)))
    page = guarded.ask("GET", "/docs", headers={"Authorization": "Bearer " + "a" * 20}).body.decode()
    commands = re.findall(r"<pre><code>(curl .*?)</code></pre>", page)
    open_ones = [command for command in commands if "Authorization: Bearer TOKEN" not in command]
    assert [command.rpartition("/")[2] for command in open_ones] == ["healthz", "readyz"]


def test_an_address_with_markup_in_it_is_text(shared) -> None:
    reply = shared.ask("GET", "/docs", headers={"Host": "127.0.0.1:80<b>"})
    assert b"<b>" not in reply.body


def test_every_code_has_a_title() -> None:
    assert set(TITLES) == set(get_args(ErrorCode))


def test_what_is_accepted_is_said(shared) -> None:
    said = shared.ask("GET", "/v1/models").json
    assert said["accepts"]["videos"] is takes_videos()
    assert "JPEG" in said["accepts"]["pictures"]
    assert ("HEIC" in said["accepts"]["pictures"]) is ("heic" in said["formats"]) is is_installed()
