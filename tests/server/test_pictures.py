"""`/v1/sharpen` and `/v1/models`: what comes back, in which format, under which name."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import acutance


def test_a_body_comes_back_inverted_with_facts_in_headers(shared, picture) -> None:
    content = picture()
    reply = shared.post(content)
    assert reply.status == 200
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["acutance-model"] == "fake"
    assert float(reply.headers["acutance-seconds"]) >= 0
    assert (
        reply.headers["content-disposition"]
        == "attachment; filename=\"photo.sharp.png\"; filename*=UTF-8''photo.sharp.png"
    )
    np.testing.assert_array_equal(reply.pixels, 255 - np.asarray(Image.open(io.BytesIO(content))))


def test_a_form_gives_the_same(shared, picture) -> None:
    reply = shared.form(picture(), name="Ferien am Meer.png")
    assert reply.body == shared.post(picture()).body
    assert 'filename="Ferien am Meer.sharp.png"' in reply.headers["content-disposition"]


def test_strength_and_format(shared, picture) -> None:
    same = shared.post(picture(), "/v1/sharpen?strength=0&format=tiff")
    assert same.headers["content-type"] == "image/tiff"
    np.testing.assert_array_equal(same.pixels, np.asarray(Image.open(io.BytesIO(picture()))))


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*;q=0.5, text/html", "image/png"),
        ("image/webp", "image/webp"),
        ("image/webp;q=0.2, image/bmp;q=0.9", "image/bmp"),
        ("image/png;q=0, image/*", "image/jpeg"),
    ],
)
def test_the_format_is_negotiated(shared, picture, accept: str, media_type: str) -> None:
    assert shared.post(picture(), Accept=accept).headers["content-type"] == media_type


def test_no_acceptable_format(shared, picture) -> None:
    reply = shared.post(picture(), Accept="text/html, image/svg+xml")
    assert (reply.status, reply.json["error"]) == (406, "not_acceptable")
    assert not list((shared.folder / "passing").iterdir())


def test_metadata_come_back_and_what_is_lost_is_said(shared, picture) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a cat"
    content = picture(format="JPEG", exif=exif, comment=b"hello")
    kept = Image.open(io.BytesIO(shared.post(content).body))
    assert kept.getexif()[0x010E] == "a cat"
    assert kept.info["comment"] == b"hello"
    lost = unquote(shared.post(content, "/v1/sharpen?format=bmp").headers["acutance-lost"])
    assert "EXIF" in lost
    assert "comments" in lost


def test_sixteen_bits_stay(shared) -> None:
    pixels = np.arange(63, dtype=np.uint16).reshape(7, 9) * 1000
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    np.testing.assert_array_equal(shared.post(buffer.getvalue()).pixels, 65535 - pixels)


def test_several_at_once_get_their_own(shared, picture) -> None:
    pictures = [picture(8, 8, seed=seed) for seed in range(12)]
    with ThreadPoolExecutor(6) as threads:
        replies = list(threads.map(shared.post, pictures))
    for content, reply in zip(pictures, replies, strict=True):
        np.testing.assert_array_equal(reply.pixels, 255 - np.asarray(Image.open(io.BytesIO(content))))
    assert not list((shared.folder / "passing").iterdir())


def test_models(shared) -> None:
    found = shared.ask("GET", "/v1/models").json
    assert (found["default"], found["version"]) == ("fake", acutance.__version__)
    assert [model["name"] for model in found["models"]] == ["fake"]
    assert found["formats"]["jp2"] == "image/jp2"
    assert found["limits"]["max_pixels"] == 1_000_000


def test_every_format_that_is_offered_comes(shared, picture) -> None:
    for name, media_type in shared.ask("GET", "/v1/models").json["formats"].items():
        reply = shared.post(picture(), f"/v1/sharpen?format={name}")
        assert (reply.status, reply.headers["content-type"]) == (200, media_type)


def test_nothing_is_known_of_other_paths_and_methods(shared) -> None:
    assert shared.ask("GET", "/v1/sharpen").json["error"] == "method_not_allowed"
    assert shared.ask("GET", "/v1/sharpen").headers["allow"] == "POST"
    assert shared.ask("PUT", "/v1/jobs/0").headers["allow"] == "DELETE, GET"
    assert shared.ask("GET", "/redoc").json["error"] == "not_found"
    assert shared.ask("GET", "/page/nothing.js").json["error"] == "not_found"


def test_probes_and_metrics(shared, picture) -> None:
    assert shared.ask("GET", "/healthz").json == {"status": "ok"}
    assert shared.ask("GET", "/readyz").json == {"status": "ready"}
    shared.post(picture())
    reply = shared.ask("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = reply.body.decode()
    assert 'acutance_requests_total{method="POST",route="/v1/sharpen",status="200"}' in text
    assert 'acutance_run_seconds_count{kind="direct"}' in text
    assert "acutance_pictures_inside 0" in text


def test_what_was_seen_and_changed_is_said(shared, picture) -> None:
    reply = shared.post(picture())
    (words,) = (unquote(words) for words in reply.headers["acutance-found"].split(","))
    assert "of it changed" in words


def test_a_picture_is_inspected(shared, picture) -> None:
    reply = shared.post(picture(), "/v1/inspect")
    assert reply.status == 200
    assert {"kind", "kind_confidence", "noise_levels", "worth", "model", "words"} <= set(reply.json)
    assert reply.json["words"] == "nothing in it shows how blurred it is: leave it as it is"
    refused = shared.post(b"nothing", "/v1/inspect")
    assert (refused.status, refused.json["error"]) == (415, "unsupported_image")
    assert not list((shared.folder / "passing").iterdir())
