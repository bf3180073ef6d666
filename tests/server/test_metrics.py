"""What is counted, as Prometheus itself reads it."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from acutance.server.jobs import JobResult
from acutance.server.metrics import Metrics


def read(text: bytes) -> dict[tuple[str, str], float]:
    """Return each number by its name and its labels' values, in the order of their names."""
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_what_is_counted() -> None:
    metrics = Metrics()
    metrics.answered("/v1/jobs", "POST", 202, 0.3)
    metrics.uploaded_bytes.inc(100)
    made = JobResult(media_type="image/png", bytes=1, seconds=2.0, megapixels=1.5, lost=())
    metrics.done(made, "job")
    metrics.done(replace(made, seconds=0.2, megapixels=0.5), "direct")
    metrics.jobs.labels("failed").inc()
    for _ in range(2):  # asked twice, it is not counted twice
        found = read(metrics.text({"acutance_uploads": 7, "acutance_pool_busy": {"videos": 1, "pictures": 0}}))
    assert found["acutance_requests_total", "POST /v1/jobs 202"] == 1
    assert found["acutance_request_seconds_bucket", "0.25 /v1/jobs"] == 0
    assert found["acutance_request_seconds_bucket", "0.5 /v1/jobs"] == 1
    assert found["acutance_uploaded_bytes_total", ""] == 100
    assert found["acutance_megapixels_total", "job"] == 1.5
    assert found["acutance_run_seconds_sum", "direct"] == 0.2
    assert (found["acutance_jobs_total", "done"], found["acutance_jobs_total", "failed"]) == (1, 1)
    assert (found["acutance_pool_busy", "videos"], found["acutance_pool_busy", "pictures"]) == (1, 0)
    assert found["acutance_uploads", ""] == 7
    assert not [name for name, _ in found if name.endswith("_created")]


def test_servers_of_one_process_count_for_themselves() -> None:
    Metrics().uploaded_bytes.inc(5)
    assert read(Metrics().text({}))["acutance_uploaded_bytes_total", ""] == 0


def test_all_that_is_served_is_well_formed(shared, picture) -> None:
    shared.post(picture())
    shared.ask("BREW", '/coffee"\\')
    reply = shared.ask("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = read(reply.body)
    assert any(name == "acutance_requests_total" and labels.startswith("other none") for name, labels in found)
    assert {labels for name, labels in found if name == "acutance_pool_busy"} == {"pictures", "videos"}
