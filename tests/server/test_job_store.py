"""The list of jobs: which changes are allowed, and that they last."""

from __future__ import annotations

import pytest

from acutance.server.job_store import JobStore
from acutance.server.jobs import JobResult, NewJob, new_job_id
from acutance.server.options import ModelChoice, Options
from acutance.server.refusals import INTERNAL, ProblemDetails

RESULT = JobResult(
    media_type="image/png", bytes=70, seconds=0.5, megapixels=0.1, lost=("EXIF", "a, b"), found=("sharp, already",)
)


def new(*, key: str | None = None, client: str = "a") -> NewJob:
    choice = ModelChoice(name="fast", fidelity=0.25, precision="bfloat16")
    options = Options(model=choice, strength=0.5, format="WEBP")
    return NewJob(
        id=new_job_id(),
        client=client,
        owner=client,
        key=key,
        fingerprint=None,
        stem="猫.sharp",
        options=options,
        upload_bytes=100,
    )


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def store(tmp_path, now):
    store = JobStore(tmp_path, now=lambda: now[0])
    yield store
    store.close()


def test_what_is_added_lasts(tmp_path, store) -> None:
    job = new(key="k")
    added = store.add(job)
    assert (added.state, added.attempts, added.created_at, added.result) == ("queued", 0, 1000.0, None)
    assert (added.options, added.stem, added.key, added.client) == (job.options, job.stem, "k", "a")
    store.begin(job.id)
    assert store.finish(job.id, RESULT)
    store.close()
    again = JobStore(tmp_path)
    found = again.get(job.id)
    again.close()
    assert (found.state, found.result, found.attempts) == ("done", RESULT, 1)


def test_the_life_of_a_job(store, now) -> None:
    job = new()
    store.add(job)
    assert store.stored_bytes == 100
    assert not store.finish(job.id, RESULT), "what was not begun is not done"
    assert store.begin(job.id).state == "running"
    store.put_back(job.id, ProblemDetails(status=503, error="out_of_memory", detail="later."), counts=True)
    waiting = store.get(job.id)
    assert (waiting.state, waiting.attempts, waiting.error, waiting.detail) == ("queued", 1, "out_of_memory", "later.")
    now[0] = 1005
    begun = store.begin(job.id)
    assert (begun.attempts, begun.error, begun.started_at) == (2, None, 1005)
    store.put_back(job.id, counts=False)
    assert store.get(job.id).attempts == 1
    store.begin(job.id)
    assert store.finish(job.id, RESULT)
    assert store.stored_bytes == 70
    assert store.begin(job.id) is None
    assert not store.cancel(job.id)
    assert not store.fail(job.id, INTERNAL)
    assert store.expire(1005) == []
    assert store.expire(1006) == [job.id]
    assert store.stored_bytes == 0
    assert store.get(job.id).result is None
    store.forget(1006)
    assert store.get(job.id) is None


def test_cancelled_and_failed_jobs_stay_so(store) -> None:
    cancelled, failed = new(), new()
    for job in (cancelled, failed):
        store.add(job)
        store.begin(job.id)
    assert store.cancel(cancelled.id)
    assert store.fail(failed.id, ProblemDetails(status=413, error="image_too_large", detail="too large."))
    for job in (cancelled, failed):
        assert not store.finish(job.id, RESULT)
        assert not store.discard(job.id)
        assert store.begin(job.id) is None
    assert store.get(failed.id).detail == "too large."
    assert store.counts() == {"cancelled": 1, "failed": 1}
    assert [job.id for job in store.in_states("cancelled", "failed")] == [cancelled.id, failed.id]


def test_keys_are_each_client_s_own(store) -> None:
    first = store.add(new(key="k"))
    assert store.add(new(key="k")).id == first.id
    assert store.add(new(key="k", client="b")).id != first.id
    assert store.add(new()).id != store.add(new()).id
    assert store.by_key("a", "k").id == first.id
    assert store.by_key("c", "k") is None


def test_names_are_parameters_never_commands(store) -> None:
    store.add(new())
    for name in ("' OR 1=1 --", "x'; DROP TABLE jobs; --", "\0", "😀"):
        assert store.get(name) is None
        assert not store.cancel(name)
    assert store.counts() == {"queued": 1}
