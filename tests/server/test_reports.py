"""The map of guesses and the record of a job's result: what they say, and that they live and die with it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from acutance.client import ServerRefused
from acutance.server.limits import Limits
from acutance.server.models import ModelSettings, OpenedModels
from acutance.trust.record import record_of
from acutance.trust.verification import verify


def photo(width: int = 96, height: int = 80, *, format: str = "PNG", **options) -> bytes:
    y, x = np.mgrid[0:height, 0:width]
    grey = 128 + 60 * np.sin(x / 7.0) + 40 * np.sign(np.sin(y / 9.0))
    pixels = np.stack([grey, grey[::-1], 255 - grey], axis=2).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def real(start, tmp_path_factory):
    """Give one server with a shipped model, whose results can be made again."""
    served = start(
        tmp_path_factory.mktemp("real") / "data",
        limits=Limits(min_free_bytes=0, posts_at_once=1000),
        models=OpenedModels(
            ModelSettings(names=("auto", "fast"), threads=1, engine="onnxruntime", max_pixels=1_000_000)
        ),
    )
    yield served
    served.stop()


def posted(served, content: bytes, query: str = "report=true", name: str = "häuser & co.png") -> str:
    return served.wait(served.form(content, f"/v1/jobs?{query}", name=name).json["id"])["id"]


def test_the_record_is_that_of_the_command_line_and_verifies(real, tmp_path):
    content = photo()
    job = posted(real, content, "report=true&model=fast&precision=float32")
    seen = real.job(job)
    assert seen["options"]["report"]
    assert seen["result"]["model"] == "fast"
    assert seen["result"]["report"] == f"/v1/jobs/{job}/report"
    told = real.ask("GET", seen["result"]["report"])
    assert told.headers["content-type"] == "application/json"
    record = record_of(told.body.decode())
    assert (record.source.name, record.result.name) == ("häuser & co.png", "häuser & co.sharp.png")
    assert record.settings.engine == "onnxruntime"
    assert record.guesses is not None
    assert record.consistency is not None
    (tmp_path / record.source.name).write_bytes(content)
    result = tmp_path / record.result.name
    result.write_bytes(real.ask("GET", f"/v1/jobs/{job}/result").body)
    (tmp_path / f"{result.name}.json").write_bytes(told.body)
    assert verify(result).is_complete, str(verify(result))
    page = real.ask("GET", f"/v1/jobs/{job}/report?format=html")
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"], "nothing in it may act as the server's own page"
    assert replace(record_of(page.body.decode()), page_sha256="") == record


def test_the_map_is_that_of_the_library_and_upright(real):
    from acutance import map_of_guesses
    from acutance.engines.model_file import read_spec
    from acutance.zoo.catalogue import find_model

    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    content = photo(format="JPEG", exif=exif, quality=95)
    job = posted(real, content, "report=true&model=fast", "a.jpg")
    reply = real.ask("GET", f"/v1/jobs/{job}/map")
    assert reply.headers["content-type"] == "image/png"
    assert reply.pixels.shape == (96, 80, 3), "as the photo is looked at"
    spec = read_spec(find_model("fast").fidelity.read_bytes(), name="fast")
    shown = [
        np.rot90(np.asarray(Image.open(io.BytesIO(one))), -1)
        for one in (content, real.ask("GET", f"/v1/jobs/{job}/result").body)
    ]
    wanted = map_of_guesses(*(np.ascontiguousarray(one) for one in shown), model=spec)
    np.testing.assert_array_equal(reply.pixels, wanted.picture)
    # A result that was turned upright while it was written has a map all the same.
    turned = posted(real, content, "report=true&model=fast&format=png", "a.jpg")
    assert real.ask("GET", f"/v1/jobs/{turned}/map").pixels.shape == (96, 80, 3)


def test_what_was_left_as_it_is_has_a_record_and_no_map(real):
    flat = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 90, 90)).save(flat, "PNG")
    job = posted(real, flat.getvalue(), "report=true&model=auto")
    assert real.job(job)["result"]["model"] is None
    refused = real.ask("GET", f"/v1/jobs/{job}/map")
    assert (refused.status, refused.json["error"]) == (409, "no_report")
    assert "nothing was changed" in refused.json["detail"]
    record = record_of(real.ask("GET", f"/v1/jobs/{job}/report").body.decode())
    assert (record.settings.strength, record.guesses) == (0.0, None)


def test_several_pictures_are_recorded_and_not_mapped(real):
    frames = [Image.new("RGB", (32, 32), (level, 90, 90)) for level in (9, 200)]
    content = io.BytesIO()
    frames[0].save(content, "TIFF", save_all=True, append_images=frames[1:])
    job = posted(real, content.getvalue(), "report=true&model=fast", "a.tif")
    assert real.ask("GET", f"/v1/jobs/{job}/report").status == 200
    assert "several pictures" in real.ask("GET", f"/v1/jobs/{job}/map").json["detail"]


def test_it_needs_to_be_asked_for_and_done(shared, serve, gate, picture):
    job = posted(shared, picture(), "")
    for what in ("map", "report", "report?format=html"):
        refused = shared.ask("GET", f"/v1/jobs/{job}/{what}")
        assert (refused.status, refused.json["error"]) == (409, "no_report")
        assert "report=true" in refused.json["detail"]
    assert shared.ask("GET", "/v1/jobs/nothing/map").json["error"] == "not_found"
    assert shared.ask("GET", f"/v1/jobs/{job}/report?format=pdf").json["error"] == "invalid_option"
    told = shared.form(picture(32, 32), "/v1/jobs?report=true&region=0,0,9,9")
    assert (told.status, told.json["error"]) == (422, "invalid_option")
    assert shared.form(picture(), "/v1/sharpen?report=true").status == 422
    waiting = serve(function=gate)
    job = waiting.form(picture(), "/v1/jobs?report=true").json["id"]
    assert waiting.ask("GET", f"/v1/jobs/{job}/map").json["error"] == "not_done"
    gate.is_open.set()


def files_of(served, job: str) -> set[str]:
    return {path.parent.name for path in served.folder.rglob(job)}


def test_it_counts_and_goes_as_the_result_does(serve, picture):
    served = serve()
    job = posted(served, picture(40, 40))
    before = served.service.store.stored_bytes
    assert files_of(served, job) == {"uploads", "results"}
    assert served.ask("GET", f"/v1/jobs/{job}/map").status == 200
    assert files_of(served, job) == {"uploads", "results", "maps"}
    assert served.ask("GET", f"/v1/jobs/{job}/report").status == 200
    assert files_of(served, job) == {"uploads", "results", "maps", "records", "pages"}
    kept = sum(path.stat().st_size for path in served.folder.rglob(job))
    assert served.service.store.stored_bytes == kept > before
    assert 'acutance_run_seconds_count{kind="report"} 2.0' in served.ask("GET", "/metrics").body.decode()
    again = served.ask("GET", f"/v1/jobs/{job}/report")
    assert again.body == served.ask("GET", f"/v1/jobs/{job}/report").body, "made once, then kept"
    assert served.ask("DELETE", f"/v1/jobs/{job}").status == 200
    assert files_of(served, job) == set()
    assert served.service.store.stored_bytes == 0
    assert served.ask("GET", f"/v1/jobs/{job}/map").json["error"] == "gone"


def test_it_outlives_the_server_and_expires_with_the_result(serve, start, picture, tmp_path, until):
    first = start(tmp_path / "kept")
    job = posted(first, picture(40, 40))
    first.stop()
    second = serve(tmp_path / "kept", limits=Limits(min_free_bytes=0, keep_s=1e9))
    assert second.ask("GET", f"/v1/jobs/{job}/map").status == 200
    second.service.jobs.sweep()
    assert files_of(second, job) == {"uploads", "results", "maps"}
    second.stop()
    third = serve(tmp_path / "kept", limits=Limits(min_free_bytes=0, keep_s=0.001))
    until(lambda: third.service.jobs.sweep() or third.job(job)["state"] == "expired")
    assert files_of(third, job) == set()


def test_the_client_of_python(real):
    client = real.client()
    job = client.wait(client.submit(photo(), model="fast", report=True).id, every_s=0.05)
    assert client.guesses(job.id).startswith(b"\x89PNG")
    assert json.loads(client.report(job.id))["format"] == "acutance.record"
    assert client.report(job.id, format="html").startswith(b"<!doctype html>")
    with pytest.raises(ServerRefused) as refused:
        client.guesses(client.wait(client.submit(photo(), model="fast").id, every_s=0.05).id)
    assert refused.value.error == "no_report"
