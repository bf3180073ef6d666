"""What is known of a picture, told to the server: what blurred it, and which part of it is wanted."""

from __future__ import annotations

import io
import sqlite3

import numpy as np
import pytest
from PIL import Image

from acutance.inference.told import Region, ToldBlur
from acutance.server.job_store import FILE_NAME, JobStore
from acutance.server.jobs import NewJob, new_job_id
from acutance.server.limits import Limits
from acutance.server.migrations import STEPS
from acutance.server.models import ModelSettings, OpenedModels
from acutance.server.options import ModelChoice, Options, fingerprint_of
from acutance.server.tasks import KINDS
from acutance.server.work import PictureTask

MOVED = ToldBlur.motion(12.25, degrees=30)
PLACE = Region(x=8, y=4, width=24, height=16)


@pytest.fixture(scope="module")
def real(start, tmp_path_factory):
    """Give a server of shipped models, whose workers are processes."""
    served = start(
        tmp_path_factory.mktemp("real") / "data",
        limits=Limits(min_free_bytes=0, max_pixels=1_000_000),
        models=OpenedModels(
            ModelSettings(names=("fast", "auto", "motion", "fast-x2"), threads=1, max_pixels=1_000_000)
        ),
    )
    yield served
    served.stop()


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_told_motion_in_a_region_of_a_picture(real, picture) -> None:
    content = picture(72, 96)
    reply = real.post(content, "/v1/sharpen?motion=6px@30deg&region=40,24,24,16&format=png")
    assert reply.status == 200, reply.body
    assert reply.headers["acutance-model"] == "motion", "the model that can be told, though another is the default"
    assert "straight%20motion%20of%206%20px" in reply.headers["acutance-found"]
    changed = (reply.pixels.astype(int) != pixels_of(content)).any(axis=2)
    assert changed[24:40, 40:64].mean() > 0.9
    assert not changed[:10].any(), "far from the region nothing changes"
    assert not changed[:, :20].any()


def test_a_region_alone_takes_the_default_model(real, picture) -> None:
    reply = real.post(picture(40, 40), "/v1/sharpen?region=8,8,16,16")
    assert (reply.status, reply.headers["acutance-model"]) == (200, "fast")


def test_auto_may_be_told(real, picture) -> None:
    reply = real.post(picture(40, 40), "/v1/sharpen?model=auto&defocus=2px")
    assert (reply.status, reply.headers["acutance-model"]) == (200, "motion")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("motion=fast", "motion 'fast': write its length and direction, as in 12px@30deg"),
        ("motion=300px@0", "motion of 300 px: must be above 0 and at most 100 px"),
        ("defocus=0", "defocus of 0 px: must be above 0 and at most 30 px"),
        ("gaussian=wide", "gaussian 'wide': write a number of px, as in 2.5px"),
        ("motion=9@0&defocus=2", "motion and defocus: one kernel is undone at a time"),
        ("region=1,2,3", "region '1,2,3': write four whole numbers of px"),
        ("region=0,0,4,40", "region 0,0,4,40: must begin within the picture and be 8 px wide"),
        ("region=90,0,20,20", "region 90,0,20,20: the picture has 40×40 px"),
        ("model=fast&motion=9@0", "model fast: cannot be told what blurred a picture; take the model motion"),
        ("model=fast-x2&region=0,0,20,20", "model fast-x2: enlarges pictures, of which no part can be"),
    ],
)
def test_refusals_are_those_of_the_command(real, picture, query: str, words: str) -> None:
    reply = real.post(picture(40, 40), f"/v1/sharpen?{query}")
    assert (reply.status, reply.json["error"]) == (422, "invalid_option")
    assert words in reply.json["detail"]


def test_a_job_says_what_it_was_told_and_does_it(real, picture) -> None:
    client = real.client()
    job = client.submit(picture(40, 40), gaussian="1.5px", region="8,8,16,16")
    assert client.wait(job.id).state == "done"
    seen = real.job(job.id)
    assert seen["result"]["found"][0] == "soft by σ = 1.5 px, as told: taken out"
    options = seen["options"]
    assert (options["model"], options["told"], options["region"]) == ("motion", "gaussian 1.5px", "8,8,16,16")


def test_what_was_told_goes_to_the_worker_and_lasts_on_the_disk(tmp_path) -> None:
    options = Options(model=ModelChoice(name="motion"), told=MOVED, region=PLACE)
    task = PictureTask(upload=tmp_path / "a", target=tmp_path / "b", options=options, max_pixels=9)
    kind = KINDS["PictureTask"].task
    assert kind.validate_json(kind.dump_json(task)) == task
    job = NewJob(
        id=new_job_id(),
        client="a",
        owner="a",
        key="k",
        fingerprint=None,
        stem="a",
        options=options,
        upload_bytes=1,
    )
    store = JobStore(tmp_path)
    store.add(job)
    store.close()
    again = JobStore(tmp_path)
    assert again.get(job.id).options == options
    again.close()


def test_a_list_of_before_is_read(tmp_path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as old:
        for step in STEPS[:3]:
            old.executescript(step)
        old.execute("PRAGMA user_version = 3")
        old.execute(
            "INSERT INTO jobs (id, client, stem, model, fidelity, precision, strength, state, created_at, upload_bytes)"
            " VALUES ('a', 'c', 's', 'fast', 1, 'auto', 1, 'queued', 1, 1)"
        )
    old.close()
    store = JobStore(tmp_path)
    assert store.get("a").options == Options(model=ModelChoice(name="fast"))
    store.close()


def test_a_key_holds_for_what_was_told_too() -> None:
    plain = Options(model=ModelChoice(name="motion"))
    told = Options(model=ModelChoice(name="motion"), told=MOVED)
    there = Options(model=ModelChoice(name="motion"), told=MOVED, region=PLACE)
    assert len({fingerprint_of(options, "0") for options in (plain, told, there)}) == 3
