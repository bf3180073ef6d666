"""The mean over orientations by the API: what comes out, what a server allows, and that jobs and records know it."""

from __future__ import annotations

import io
import sqlite3
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acutance.client import ServerRefused
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ImageTooLarge
from acutance.inference.sharpener import Sharpener
from acutance.server import bounds
from acutance.server.admission import Admission
from acutance.server.job_store import FILE_NAME, JobStore
from acutance.server.limits import Limits
from acutance.server.migrations import STEPS
from acutance.server.models import ModelSettings, OneEngine, OpenedModels, ensembles_of
from acutance.server.options import ModelChoice, Options, fingerprint_of
from acutance.server.refusals import Refused
from acutance.server.stopping import StopSignal
from acutance.server.work import PictureTask
from acutance.trust.record import record_of
from acutance.trust.verification import verify

FIXED = replace(FAKE_SPEC, fixed_height_px=64, fixed_width_px=96)
"""Of a network for pictures of one size, which is no square."""


def lopsided(batch: np.ndarray) -> np.ndarray:
    """Add what only the upper and left places of a tile get: the mean over orientations has less of it everywhere."""
    ramp = np.zeros(batch.shape[2:], np.float32)
    ramp[: batch.shape[2] // 2, : batch.shape[3] // 2] = 0.4
    return (batch + ramp).clip(0, 1)


@pytest.fixture(scope="module")
def real(start, tmp_path_factory):
    """Give a server of a shipped model, whose workers are processes."""
    served = start(
        tmp_path_factory.mktemp("real") / "data",
        limits=Limits(min_free_bytes=0, max_pixels=1_000_000),
        models=OpenedModels(
            ModelSettings(names=("auto", "fast"), engine="onnxruntime", threads=1, max_pixels=1_000_000)
        ),
    )
    yield served
    served.stop()


def test_the_answer_is_that_of_the_library(real, picture) -> None:
    content = picture(40, 56)
    reply = real.post(content, "/v1/sharpen?model=fast&ensemble=4&format=png")
    assert reply.status == 200, reply.body
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    with Sharpener("fast", engine="onnxruntime", threads=1, ensemble=4) as sharpener:
        np.testing.assert_array_equal(reply.pixels, sharpener(pixels))
    once = real.post(content, "/v1/sharpen?model=fast&format=png")
    assert (once.pixels != reply.pixels).any()
    assert real.client().sharpen(content, model="fast", ensemble=4, format="png").content == reply.body


def test_a_job_and_its_record_know_it_and_it_verifies(real, tmp_path) -> None:
    y, x = np.mgrid[0:80, 0:96]
    soft = (128 + 60 * np.sin(x / 7.0) + 40 * np.sin(y / 9.0)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.stack([soft, soft[::-1], 255 - soft], axis=2)).save(buffer, "PNG")
    client = real.client()
    job = client.submit(buffer.getvalue(), model="fast", precision="float32", ensemble=2, report=True)
    assert real.job(job.id)["options"]["ensemble"] == 2
    client.wait(job.id)
    told = client.report(job.id)
    record = record_of(told.decode())
    assert record.settings.ensemble == 2
    assert "mean of 2 orientations" in client.report(job.id, format="html").decode()
    (tmp_path / record.source.name).write_bytes(buffer.getvalue())
    result = tmp_path / record.result.name
    result.write_bytes(client.result(job.id).content)
    (tmp_path / f"{result.name}.json").write_bytes(told)
    assert verify(result).is_complete, str(verify(result))


def test_an_engine_that_is_open_already_is_averaged_too(serve, picture) -> None:
    served = serve(function=lopsided)
    content = picture(64, 64)
    whole = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    once = served.post(content, "/v1/sharpen?format=png").pixels - whole
    mean = served.post(content, "/v1/sharpen?ensemble=4&format=png").pixels - whole
    assert mean.max() < once.max(), "what differs between orientations is less in their mean"
    assert served.post(content, "/v1/sharpen?format=png").pixels.max() <= 255, "the engine is still open"


@pytest.mark.parametrize("path", ["/v1/sharpen", "/v1/jobs"])
def test_what_there_is_not_is_refused(shared, picture, path: str) -> None:
    for text in ("0", "3", "16", "many", "-2"):
        reply = shared.post(picture(), f"{path}?ensemble={text}")
        assert (reply.status, reply.json["error"]) == (422, "invalid_option")
        shown = text if text.isdigit() else repr(text)
        assert reply.json["detail"] == f"ensemble = {shown}: input should be 1, 2, 4 or 8."


@pytest.mark.parametrize(("most", "words"), [(2, "at most 2"), (1, "1 alone")])
def test_an_operator_caps_it_or_forbids_it(serve, picture, most: int, words: str) -> None:
    served = serve(limits=Limits(min_free_bytes=0, max_ensemble=most))
    for path in ("/v1/sharpen", "/v1/jobs"):
        reply = served.post(picture(), f"{path}?ensemble=4")
        assert (reply.status, reply.json["error"]) == (422, "invalid_option")
        assert reply.json["detail"] == f"ensemble = 4: this server allows {words}; take less, or leave it out."
        assert served.post(picture(), f"{path}?ensemble={most}").status in (200, 202)
    said = served.ask("GET", "/v1/models").json
    assert said["limits"]["max_ensemble"] == most
    assert [model["ensembles"] for model in said["models"]] == [[1, 2][:most]]
    document = served.ask("GET", "/openapi.json").json
    schemas = {one["name"]: one["schema"] for one in document["paths"]["/v1/sharpen"]["post"]["parameters"]}
    assert schemas["ensemble"]["enum"] == [1, 2][:most]
    assert "in as many times the time" in served.ask("GET", "/docs").body.decode()


def test_a_model_that_cannot_be_turned_is_refused_as_on_the_command_line(serve, picture) -> None:
    served = serve(models=OneEngine(FakeEngine(spec=FIXED), max_pixels=1_000_000))
    reply = served.post(picture(), "/v1/jobs?ensemble=8")
    assert (reply.status, reply.json["error"]) == (422, "invalid_option")
    assert reply.json["detail"] == "ensemble = 8: model fake takes 96×64 px alone, which cannot be turned; use 4."
    assert served.ask("GET", "/v1/models").json["models"][0]["ensembles"] == [1, 2, 4]
    assert ensembles_of(FIXED, 2) == (1, 2)


def test_a_key_holds_for_the_ensemble_too(shared, picture) -> None:
    client = shared.client()
    first = client.submit(picture(), key="twice", ensemble=2)
    assert client.submit(picture(), key="twice", ensemble=2).id == first.id
    with pytest.raises(ServerRefused, match="other options"):
        client.submit(picture(), key="twice")
    plain = Options(model=ModelChoice(name="fast"))
    assert fingerprint_of(plain, "0") == fingerprint_of(Options(model=ModelChoice(name="fast", ensemble=1)), "0")


def test_a_list_of_before_is_read_and_gone_on_with(tmp_path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as old:
        for step in STEPS[:6]:
            old.executescript(step)
        old.execute("PRAGMA user_version = 6")
        old.execute(
            "INSERT INTO jobs (id, client, stem, model, fidelity, precision, strength, state, created_at, upload_bytes)"
            " VALUES ('a', 'c', 's', 'fast', 1, 'auto', 1, 'queued', 1, 1)"
        )
    old.close()
    store = JobStore(tmp_path)
    assert store.get("a").options == Options(model=ModelChoice(name="fast", ensemble=1))
    store.close()


def test_pixels_are_counted_once_for_each_orientation(tmp_path, picture, monkeypatch) -> None:
    monkeypatch.setattr(bounds, "MAX_ALL_PIXELS", 1_000_000)
    (tmp_path / "upload").write_bytes(picture(500, 500))
    models = OneEngine(FakeEngine(lambda batch: batch), max_pixels=1_000_000)

    def run(ensemble) -> None:
        options = Options(model=ModelChoice(name="fake", ensemble=ensemble))
        task = PictureTask(upload=tmp_path / "upload", target=tmp_path / "made", options=options, max_pixels=1_000_000)
        task.run(models, StopSignal(60), lambda _: None)

    run(4)
    with pytest.raises(
        ImageTooLarge, match=r"8 orientations of 0\.25 MP are 2\.00 MP, the limit is 1\.00 MP; take 4\.$"
    ):
        run(8)


def test_who_is_told_to_come_again_hears_of_the_runs_ahead() -> None:
    def told(runs: int, *, took_s: float) -> float:
        limits = Limits(min_free_bytes=0, max_queue=20, max_queue_per_client=20)
        admission = Admission(limits, free_bytes=lambda: 2**60, stored_bytes=lambda: 0)
        for _ in range(20):
            admission.enter("a", runs=runs)
            admission.took(took_s, runs=runs)
        with pytest.raises(Refused) as refused:
            admission.enter("a", runs=1)
        for _ in range(20):
            admission.leave("a", runs=runs)
        assert admission.inside == 0
        admission.enter("a")
        assert refused.value.problem.retry_after_s is not None
        return refused.value.problem.retry_after_s

    assert told(8, took_s=80.0) == pytest.approx(8 * told(1, took_s=10.0)), "eight runs each, of as long"


def test_a_job_gives_its_runs_back(serve, picture, gate) -> None:
    served = serve(function=gate)
    first = served.post(picture(), "/v1/jobs?ensemble=8").json["id"]
    gate.wait_until_begun()
    assert served.service.admission.runs == 8
    gate.is_open.set()
    served.wait(first)
    served.wait_until_empty()
    assert served.service.admission.runs == 0


def test_jobs_and_requests_take_as_many_turns_as_they_have_runs(serve, picture, monkeypatch) -> None:
    served = serve()
    turns: list[tuple[bool, int]] = []
    submit = served.service.pool.submit

    def noted(client: str, work: Any, *, is_job: bool, runs: int = 1) -> Any:
        turns.append((is_job, runs))
        return submit(client, work, is_job=is_job, runs=runs)

    monkeypatch.setattr(served.service.pool, "submit", noted)
    served.post(picture(), "/v1/sharpen?ensemble=4")
    served.post(picture(), "/v1/inspect")
    served.wait(served.post(picture(), "/v1/jobs?ensemble=8").json["id"])
    assert turns == [(False, 4), (False, 1), (True, 8)]
