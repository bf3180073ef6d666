"""What is refused: with a 4xx, a code and one clear sentence, and never more than that."""

from __future__ import annotations

import errno
import gzip
import json
import random
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acutance.errors import (
    AcutanceError,
    ConfigError,
    CorruptWeights,
    EngineUnavailable,
    ImageTooLarge,
    InputError,
    NonFiniteOutput,
    OutOfMemory,
    OutputError,
)
from acutance.server.refusals import Refused, problem_of


def check_refusal(reply, folder) -> None:
    """Hold a refusal to its form: JSON of two texts, one sentence, nothing of the server's inside."""
    assert 400 <= reply.status < 500, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(reply.json) == {"type", "title", "status", "detail", "error", "request_id"}
    assert reply.json["status"] == reply.status
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    detail = reply.json["detail"]
    assert detail.endswith("."), detail
    assert "\n" not in detail
    assert "Traceback" not in detail
    assert str(folder) not in detail
    assert not re.search(r"/(home|tmp|usr|var|root)/|\.py\b", detail)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM"])
def test_broken_files_are_the_sender_s(shared, picture, format: str) -> None:
    """Files that are cut, and files of which bytes are flipped: sharpened or refused, never the server's fault."""
    whole = picture(40, 40, format=format)
    draw = random.Random(f"broken {format}")
    broken = [whole[: draw.randrange(len(whole))] for _ in range(8)]
    for _ in range(16):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        broken.append(bytes(content))
    refused = 0
    for content in broken:
        reply = shared.post(content)
        if reply.status != 200:
            refused += 1
            check_refusal(reply, shared.folder)
    assert refused


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b"", 400, "bad_request"),
        (b"hello", 415, "unsupported_image"),
        (b"<svg onload=alert(1)>", 415, "unsupported_image"),
        (b"%PDF-1.7", 415, "unsupported_image"),
        (b"\x89PNG\r\n\x1a\n", 415, "unsupported_image"),
        (b"\xff\xd8\xff\xe0 this is no photo", 415, "unsupported_image"),
        (b"PK\x03\x04" + b"\0" * 200, 415, "unsupported_image"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/sharpen", "/v1/jobs"])
def test_what_is_no_picture(shared, content: bytes, status: int, error: str, path: str) -> None:
    reply = shared.post(content, path)
    if path == "/v1/jobs" and reply.status == 202:  # a beginning like a picture's: the job says it
        job = shared.wait(reply.json["id"])
        assert (job["state"], job["error"]) == ("failed", error)
        assert job["detail"]
    else:
        check_refusal(reply, shared.folder)
        assert (reply.status, reply.json["error"]) == (status, error)
    assert not list((shared.folder / "passing").iterdir())


def test_bombs_are_refused_before_they_are_decoded(shared, claiming) -> None:
    bomb = claiming(50_000, 50_000)
    assert len(bomb) < 1000
    reply = shared.post(bomb)
    check_refusal(reply, shared.folder)
    assert (reply.status, reply.json["error"]) == (413, "image_too_large")
    assert reply.json["detail"].endswith("the limit is 1 megapixel; send a smaller picture.")
    job = shared.wait(shared.post(bomb, "/v1/jobs").json["id"])
    assert (job["state"], job["error"]) == ("failed", "image_too_large")


@pytest.mark.parametrize("path", ["/v1/sharpen", "/v1/jobs", "/v1/inspect"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP"])
def test_a_file_that_curl_has_thinned_out_is_named(shared, picture, path: str, format: str) -> None:
    """As `curl -d @photo.jpg` sends it: it was called damaged, which it is not."""
    whole, kind = picture(60, 80, format=format), "application/x-www-form-urlencoded"
    thinned = whole.translate(None, b"\0\r\n")
    reply = shared.post(thinned, path, Content_Type=kind)
    check_refusal(reply, shared.folder)
    assert (reply.status, reply.json["error"]) == (400, "bad_request")
    assert reply.json["detail"].endswith("as curl -d leaves them out; send it with --data-binary.")
    assert shared.post(whole, path, Content_Type=kind).status in (200, 202), "--data-binary says the same of its kind"


def test_another_method_is_told_the_one_that_is_taken(shared) -> None:
    reply = shared.ask("PUT", "/v1/sharpen", b"x")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert reply.json["detail"] == "PUT: is not done here, only POST; see /docs."


def test_a_compressed_body_is_not_unpacked(shared, picture) -> None:
    reply = shared.post(gzip.compress(picture()), Content_Encoding="gzip")
    check_refusal(reply, shared.folder)
    assert reply.status == 415


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("strength=3", "strength"),
        ("strength=-1", "strength"),
        ("strength=nan", "strength"),
        ("strength=much", "strength"),
        ("fidelity=2", "fidelity"),
        ("fidelity=0.5", "perceptual"),
        ("precision=int8", "precision"),
        ("precision=bfloat16", "is run here in float32"),
        ("format=exe", "format"),
        ("model=nonesuch", "model"),
        ("model=../../../etc/passwd", "model"),
        ("model=%2Ftmp%2Fevil.onnx", "model"),
        ("model=" + "x" * 200, "model"),
        ("strenght=1", "strenght"),
        ("x%0d%0aSet-Cookie:a=b", "no option"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/sharpen", "/v1/jobs"])
def test_options_out_of_range(shared, picture, query: str, named: str, path: str) -> None:
    reply = shared.post(picture(), f"{path}?{query}")
    check_refusal(reply, shared.folder)
    assert (reply.status, reply.json["error"]) == (422, "invalid_option")
    assert named in reply.json["detail"]
    assert "set-cookie" not in reply.headers
    assert len(reply.json["detail"]) < 300


def test_a_format_that_cannot_hold_the_picture(shared, picture) -> None:
    reply = shared.post(picture(1, 17_000), "/v1/sharpen?format=webp")
    check_refusal(reply, shared.folder)
    assert (reply.status, reply.json["error"]) == (422, "invalid_option")


@pytest.mark.parametrize(
    ("error", "status", "code", "said"),
    [
        (
            ImageTooLarge(
                "it has 9 px, the limit is 4; raise the limit of pixels (--max-pixels, max_pixels) if you trust it."
            ),
            413,
            "image_too_large",
            "9 px",
        ),
        (InputError("no."), 400, "bad_request", "no."),
        (ConfigError("strength = 9: must be less."), 422, "invalid_option", "strength"),
        (OutputError("too many px for it."), 422, "invalid_option", "px"),
        (OutOfMemory("at /srv/x.onnx"), 503, "out_of_memory", "memory"),
        (MemoryError(), 503, "out_of_memory", "memory"),
        (EngineUnavailable("pip install"), 503, "engine_failed", "engine"),
        (NonFiniteOutput("model at /srv"), 500, "engine_failed", "network"),
        (CorruptWeights("/srv/x.onnx is damaged"), 500, "engine_failed", "damaged"),
        (AcutanceError("something at /srv"), 500, "internal", "bug"),
        (KeyError("secret"), 500, "internal", "bug"),
        (OSError(errno.ENOSPC, "No space left", "/srv/x"), 507, "storage_full", "disk is full"),
        (PermissionError(errno.EACCES, "denied", "/srv/x"), 500, "storage_failed", "folder"),
        (Refused(418, "not_found", "tea."), 418, "not_found", "tea"),
    ],
)
def test_the_table_of_answers(error: Exception, status: int, code: str, said: str) -> None:
    answer = problem_of(error)
    assert (answer.status, answer.error) == (status, code)
    assert said in answer.detail
    assert "/srv" not in answer.detail
    assert "secret" not in answer.detail


def test_causes_of_failed_writing_are_told_apart() -> None:
    def chained(cause: Exception) -> OutputError:
        error = OutputError("/srv/results/x cannot be written")
        error.__cause__ = cause
        return error

    assert problem_of(chained(OSError(errno.ENOSPC, "full"))).error == "storage_full"
    assert problem_of(chained(MemoryError())).error == "out_of_memory"
    assert problem_of(chained(OSError("encoder error"))).error == "invalid_option"


def test_an_unforeseen_error_shows_nothing(serve, picture, caplog) -> None:
    def broken(_: object) -> None:
        raise KeyError("the secret of /srv/keys")

    served = serve(function=broken)
    reply = served.post(picture())
    assert (reply.status, reply.json["error"]) == (500, "internal")
    assert b"secret" not in reply.body
    assert reply.headers["x-content-type-options"] == "nosniff"
    job = served.wait(served.post(picture(), "/v1/jobs").json["id"])
    assert (job["state"], job["error"]) == ("failed", "internal")
    assert "secret" not in json.dumps(job)
    assert "the secret of /srv/keys" in caplog.text, "who runs the server reads it in the log"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(max_size=40), query=st.text(max_size=40))
def test_any_path_and_query_are_answered(shared, path: str, query: str) -> None:

    reply = shared.ask("GET", f"/v1/jobs/{quote(path, safe='')}?{quote(query)}")
    assert reply.status < 500


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/../../../etc/passwd",
        "/v1/jobs/..%2f..%2fjobs.sqlite3",
        "/v1/jobs/..%2f..%2fjobs.sqlite3/result",
        "/v1/jobs/%2e%2e/result",
        "/v1/jobs/%00/result",
        "/v1/jobs/....//result",
        "/v1/../jobs.sqlite3",
        "//etc/passwd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_path_leads_out_of_the_folder(shared, path: str, method: str) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    reply = shared.raw(request.encode())
    assert reply.startswith((b"HTTP/1.1 404", b"HTTP/1.1 405"))
    assert b"SQLite format" not in reply
    assert b"root:" not in reply
    assert (shared.folder / "jobs.sqlite3").exists()
