"""Jobs as their clients see them: taken in, watched, fetched, cancelled, forgotten."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from acutance.imaging.pad import MARGIN_PX
from acutance.inference.tiling import DEFAULT_TILE_PX
from acutance.server.access import Access
from acutance.server.limits import Limits


def limits(**values: float) -> Limits:
    return Limits(**{"min_free_bytes": 0, "drain_s": 5, **values})


def test_a_job_from_post_to_result(shared, picture) -> None:
    content = picture(format="JPEG", quality=95)
    reply = shared.form(content, "/v1/jobs?strength=0.5&format=png", name="Katze.jpg")
    posted = reply.json
    assert reply.status == 202
    assert reply.headers["location"] == f"/v1/jobs/{posted['id']}"
    assert len(posted["id"]) == 32
    assert posted["options"] == {
        "model": "fake",
        "strength": 0.5,
        "fidelity": 1.0,
        "precision": "auto",
        "ensemble": 1,
        "told": None,
        "region": None,
        "report": False,
        "format": "png",
    }
    done = shared.wait(posted["id"])
    assert (done["state"], done["progress"], done["attempts"], done["error"]) == ("done", 1.0, 1, None)
    assert done["created_at"] <= done["started_at"] <= done["finished_at"] < done["expires_at"]
    result = shared.ask("GET", done["result"]["url"])
    assert result.headers["content-type"] == done["result"]["media_type"] == "image/png"
    assert len(result.body) == done["result"]["bytes"]
    assert 'filename="Katze.sharp.png"' in result.headers["content-disposition"]
    whole = np.asarray(Image.open(io.BytesIO(content))).astype(float)
    np.testing.assert_allclose(result.pixels, 0.5 * whole + 0.5 * (255 - whole), atol=0.51)
    assert shared.ask("GET", done["result"]["url"]).body == result.body, "it can be fetched again"
    assert not (shared.folder / "uploads" / posted["id"]).exists()
    assert "client" not in done


def test_a_result_before_its_time(serve, picture, gate) -> None:
    served = serve(function=gate)
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    gate.wait_until_begun()
    early = served.ask("GET", f"/v1/jobs/{job_id}/result")
    assert (early.status, early.json["error"]) == (409, "not_done")
    gate.is_open.set()
    served.wait(job_id)
    assert served.ask("GET", f"/v1/jobs/{job_id}/result").status == 200


def test_what_there_is_not(shared) -> None:
    for method, path in (("GET", ""), ("GET", "/result"), ("GET", "/events"), ("DELETE", "")):
        reply = shared.ask(method, f"/v1/jobs/{'0' * 32}{path}")
        assert (reply.status, reply.json["error"]) == (404, "not_found")


def test_a_post_that_is_repeated_is_done_once(serve, picture) -> None:
    served = serve()
    first = served.post(picture(), "/v1/jobs", Idempotency_Key="holiday-1")
    again = served.post(picture(), "/v1/jobs", Idempotency_Key="holiday-1")
    other = served.post(picture(), "/v1/jobs", Idempotency_Key="holiday-2")
    assert (first.status, again.status, other.status) == (202, 200, 202)
    assert first.json["id"] == again.json["id"] != other.json["id"]
    served.wait(other.json["id"])
    assert served.service.store.counts() == {"done": 2}
    served.wait_until_empty()
    assert served.post(picture(), "/v1/jobs", Idempotency_Key="ü" * 3).status == 422
    served.ask("DELETE", f"/v1/jobs/{first.json['id']}")
    anew = served.post(picture(), "/v1/jobs", Idempotency_Key="holiday-1")
    assert anew.status == 202, "of what is gone, it is another job"
    assert anew.json["id"] != first.json["id"]


def test_a_key_is_for_one_picture_and_its_options(serve, picture, form_of) -> None:
    served = serve()
    first = served.post(picture(), "/v1/jobs", Idempotency_Key="k").json["id"]
    assert served.form(picture(), "/v1/jobs").status == 202
    for body, path in ((picture(seed=1), "/v1/jobs"), (picture(), "/v1/jobs?strength=0.5")):
        reply = served.post(body, path, Idempotency_Key="k")
        assert (reply.status, reply.json["error"]) == (422, "key_reused")
        assert first not in reply.body.decode()
    content, content_type = form_of(picture())
    again = served.ask("POST", "/v1/jobs", content, {"Content-Type": content_type, "Idempotency-Key": "k"})
    assert (again.status, again.json["id"]) == (200, first), "as a form it is the same picture"
    served.wait_until_empty()
    assert not list((served.folder / "passing").iterdir())


def test_keys_are_each_token_s_own(serve, picture) -> None:
    tokens = ("a" * 20, "b" * 20)
    served = serve(access=Access.with_tokens(tokens))
    ids = {
        served.post(picture(), "/v1/jobs", Idempotency_Key="k", Authorization=f"Bearer {token}").json["id"]
        for token in tokens * 2
    }
    assert len(ids) == 2
    elsewhere = served.post(picture(seed=1), "/v1/jobs", Idempotency_Key="k2", Authorization=f"Bearer {tokens[0]}")
    other = served.post(picture(seed=2), "/v1/jobs", Idempotency_Key="k2", Authorization=f"Bearer {tokens[1]}")
    assert (elsewhere.status, other.status) == (202, 202)


def test_twins_that_come_at_once_are_one(serve, picture, gate) -> None:
    served = serve(function=gate)
    ids: list[str] = []

    def post() -> None:
        ids.append(served.post(picture(), "/v1/jobs", Idempotency_Key="same").json["id"])

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    gate.is_open.set()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    served.wait(ids[0])
    served.wait_until_empty()
    assert not list((served.folder / "uploads").iterdir())
    assert not list((served.folder / "passing").iterdir())


def test_a_waiting_job_is_cancelled(serve, picture, gate) -> None:
    served = serve(function=gate)
    first, second = (served.post(picture(seed=seed), "/v1/jobs").json["id"] for seed in range(2))
    gate.wait_until_begun()
    cancelled = served.ask("DELETE", f"/v1/jobs/{second}")
    assert (cancelled.status, cancelled.json["state"], cancelled.json["error"]) == (200, "cancelled", "cancelled")
    assert served.service.pool.waiting == 0
    assert served.service.admission.inside == 1
    gate.is_open.set()
    assert served.wait(first)["state"] == "done"
    assert not gate.begun.acquire(blocking=False), "the second was never begun"
    assert served.ask("GET", f"/v1/jobs/{second}/result").status == 409
    assert served.ask("DELETE", f"/v1/jobs/{second}").json["state"] == "cancelled", "once more changes nothing"


def test_a_running_job_is_cancelled_at_the_next_tile(serve, picture, gate, until) -> None:
    served = serve(function=gate)
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    gate.wait_until_begun()
    assert served.ask("DELETE", f"/v1/jobs/{job_id}").json["state"] == "cancelled"
    gate.is_open.set()
    served.wait_until_empty()
    assert served.job(job_id)["state"] == "cancelled"
    for folder in ("uploads", "results", "passing"):
        assert not list((served.folder / folder).iterdir())


def test_a_result_is_removed(serve, picture) -> None:
    served = serve()
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    served.wait(job_id)
    assert served.ask("DELETE", f"/v1/jobs/{job_id}").json["state"] == "expired"
    gone = served.ask("GET", f"/v1/jobs/{job_id}/result")
    assert (gone.status, gone.json["error"]) == (410, "gone")
    assert not list((served.folder / "results").iterdir())
    assert served.service.store.stored_bytes == 0


def test_results_expire_and_are_forgotten(serve, picture, claiming) -> None:
    served = serve(limits=limits(keep_s=0.2, remember_s=0.2))
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    failed = served.post(claiming(50_000, 50_000), "/v1/jobs").json["id"]
    served.wait(failed)
    served.wait(job_id)
    served.service.jobs.sweep()
    assert served.job(job_id)["state"] == "done", "not before its time"
    time.sleep(0.25)
    served.service.jobs.sweep()
    assert served.job(job_id)["state"] == "expired"
    assert served.job(failed)["detail"], "why it failed is still known"
    assert served.ask("GET", f"/v1/jobs/{job_id}/result").status == 410
    assert not list((served.folder / "results").iterdir())
    time.sleep(0.25)
    served.service.jobs.sweep()
    assert served.ask("GET", f"/v1/jobs/{job_id}").status == 404


def test_a_result_that_goes_while_it_is_asked_for(serve, picture) -> None:
    served = serve()
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    served.wait(job_id)
    served.service.files.result(job_id).unlink()
    assert served.ask("GET", f"/v1/jobs/{job_id}/result").status == 410


def test_events_tell_every_change_and_end_with_the_job(serve, picture, gate) -> None:
    served = serve(function=gate, limits=limits(heartbeat_s=0.1))
    client = served.client()
    job_id = client.submit(picture()).id
    gate.wait_until_begun()
    seen = []
    for job in client.watch(job_id):
        seen.append(job.state)
        if len(seen) == 1:
            threading.Timer(0.3, gate.is_open.set).start()
    assert (seen[0], seen[-1]) == ("running", "done")
    assert served.service.live.watchers == 0


def test_a_silent_stream_has_a_heartbeat(serve, picture, gate) -> None:
    served = serve(function=gate, limits=limits(heartbeat_s=0.05))
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    gate.wait_until_begun()
    threading.Timer(0.3, gate.is_open.set).start()
    reply = served.ask("GET", f"/v1/jobs/{job_id}/events")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body.count(b": still here\n\n") >= 2
    assert reply.body.startswith(b"event: job\ndata: {")
    assert served.ask("GET", f"/v1/jobs/{job_id}/events").body.count(b"event: job") == 1, "of what is done, once"


def test_watchers_are_limited_and_leave(serve, picture, gate, until) -> None:
    served = serve(function=gate, limits=limits(max_watchers=1, heartbeat_s=0.05))
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    watching = served.client().watch(job_id)
    next(watching)
    reply = served.ask("GET", f"/v1/jobs/{job_id}/events")
    assert (reply.status, reply.json["error"]) == (429, "too_many_requests")
    watching.close()
    until(lambda: served.service.live.watchers == 0)


def test_progress_is_told(serve, until) -> None:
    """A picture of many tiles: the share grows while it is worked on."""
    let_through = threading.Semaphore(0)

    def step(batch: np.ndarray) -> np.ndarray:
        assert let_through.acquire(timeout=20)
        return batch

    served = serve(function=step)
    buffer = io.BytesIO()
    width, height = 3 * DEFAULT_TILE_PX - 2 * MARGIN_PX, DEFAULT_TILE_PX - 2 * MARGIN_PX  # three tiles, margin included
    Image.new("L", (width, height)).save(buffer, "PNG")
    job_id = served.post(buffer.getvalue(), "/v1/jobs").json["id"]
    for share in ((number * DEFAULT_TILE_PX - MARGIN_PX) / width for number in (1, 2)):
        let_through.release()
        until(lambda share=share: served.job(job_id)["progress"] == pytest.approx(share))
    let_through.release()
    assert served.wait(job_id)["progress"] == 1.0


def test_parts_of_a_result(serve, picture) -> None:
    served = serve()
    job_id = served.post(picture(40, 40), "/v1/jobs").json["id"]
    served.wait(job_id)
    path = f"/v1/jobs/{job_id}/result"
    whole = served.ask("GET", path)
    size = len(whole.body)
    head = served.ask("HEAD", path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(size))
    assert head.headers["accept-ranges"] == "bytes"
    for asked, span in (
        ("bytes=0-9", (0, 10)),
        ("bytes=10-", (10, size)),
        ("bytes=-7", (size - 7, size)),
        (f"bytes=5-{size + 100}", (5, size)),
    ):
        part = served.ask("GET", path, headers={"Range": asked, "If-Range": whole.headers["etag"]})
        assert (part.status, part.body) == (206, whole.body[slice(*span)]), asked
        assert part.headers["content-range"] == f"bytes {span[0]}-{span[1] - 1}/{size}"
    for ignored in ("bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=9-3", "bytes=x-"):
        assert served.ask("GET", path, headers={"Range": ignored}).body == whole.body
    assert served.ask("GET", path, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status == 200
    beyond = served.ask("GET", path, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.json["error"]) == (416, "range_not_satisfiable")


def test_a_token_s_own_jobs_are_listed_page_by_page(serve, picture) -> None:
    tokens = ("a" * 20, "b" * 20)
    served = serve(access=Access.with_tokens(tokens))
    client, other = (served.client(token=token) for token in tokens)
    ids = [client.submit(picture(seed=seed)).id for seed in range(5)]
    other.submit(picture())
    assert [job.id for job in client.jobs(page=2)] == ids[::-1]
    headers = {"Authorization": f"Bearer {tokens[0]}"}
    first = served.ask("GET", "/v1/jobs?limit=5", headers=headers).json
    assert (len(first["jobs"]), first["next"]) == (5, None)
    wrong = served.ask("GET", "/v1/jobs?cursor=%22x", headers=headers)
    assert (wrong.status, wrong.json["error"]) == (422, "invalid_option")


def test_without_tokens_nobody_s_jobs_are_listed(shared) -> None:
    reply = shared.ask("GET", "/v1/jobs")
    assert (reply.status, reply.json["error"]) == (403, "not_listed")
