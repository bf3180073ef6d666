"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from acutance.server.jobs import JobResult

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of the classes of a duration."""


_GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "acutance_uploads": ("Uploads that are coming in.", ()),
    "acutance_pictures_inside": ("Pictures that wait or are worked on.", ()),
    "acutance_event_streams": ("Event streams that are open.", ()),
    "acutance_stored_bytes": ("Bytes of all jobs' files.", ()),
    "acutance_free_bytes": ("Bytes free on the disk.", ()),
    "acutance_listed_jobs": ("Jobs in the list, by state.", ("state",)),
    "acutance_pool_waiting": ("Work that has not begun.", ("pool",)),
    "acutance_pool_busy": ("Work going on.", ("pool",)),
    "acutance_pool_restarts": ("Worker processes that had to be replaced.", ("pool",)),
}
"""What is told as it stands when somebody asks: words and labels, by name."""


class Metrics:
    """All that is counted, in a registry of its own: a process may have several servers."""

    def __init__(self) -> None:
        # Else there is a second line for each number, of when its counting began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        seconds = partial(Histogram, buckets=SECONDS, registry=self._registry)
        self._requests = counter("acutance_requests", "Requests answered.", ("route", "method", "status"))
        self._request_seconds = seconds("acutance_request_seconds", "Time of a request, upload included.", ("route",))
        self.uploaded_bytes = counter("acutance_uploaded_bytes", "Bytes of pictures taken in.")
        self._megapixels = counter("acutance_megapixels", "Megapixels of results.", ("kind",))
        self.run_seconds = seconds("acutance_run_seconds", "Time of the work on a picture.", ("kind",))
        self.jobs = counter("acutance_jobs", "Jobs that have ended, by how.", ("outcome",))
        self.webhooks = counter("acutance_webhooks", "Tries to send a webhook, by how they ended.", ("outcome",))
        self._gauges = {
            name: Gauge(name, words, labels, registry=self._registry) for name, (words, labels) in _GAUGES.items()
        }

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def done(self, result: JobResult, kind: str) -> None:
        """Count what was sharpened, as a job's or for a direct request."""
        self._megapixels.labels(kind).inc(result.megapixels or 0.0)
        self.run_seconds.labels(kind).observe(result.seconds or 0.0)
        if kind == "job":
            self.jobs.labels("done").inc()

    def text(self, gauges: Mapping[str, float | Mapping[str, float]]) -> bytes:
        """Write everything in Prometheus's text format (0.0.4).

        Args:
            gauges: What stands now, by name, and where that has a label, by this.
        """
        for name, values in gauges.items():
            if isinstance(values, Mapping):
                for label, value in values.items():
                    self._gauges[name].labels(label).set(value)
            else:
                self._gauges[name].set(values)
        return generate_latest(self._registry)
