"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of the classes of a duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """A pool of workers as it stands."""

    waiting: int
    """Pieces of work that have not begun."""
    busy: int
    """Pieces of work going on."""
    restarts: int
    """Worker processes that had to be replaced, since the server began."""


class Metrics:
    """All that is counted, in a registry of its own: a process may have several servers."""

    def __init__(self) -> None:
        # Else there is a second line for each number, of when its counting began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "acutance_requests", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "acutance_request_seconds",
            "Time of a request, upload included.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self._uploaded = Counter("acutance_uploaded_bytes", "Bytes of pictures taken in.", registry=registry)
        self._megapixels = Counter("acutance_megapixels", "Megapixels of results.", ("kind",), registry=registry)
        self._run_seconds = Histogram(
            "acutance_run_seconds", "Time of the work on a picture.", ("kind",), buckets=SECONDS, registry=registry
        )
        self._jobs = Counter("acutance_jobs", "Jobs that have ended, by how.", ("outcome",), registry=registry)
        self._webhooks = Counter(
            "acutance_webhooks", "Tries to send a webhook, by how they ended.", ("outcome",), registry=registry
        )
        self._listed = Gauge("acutance_listed_jobs", "Jobs in the list, by state.", ("state",), registry=registry)
        self._waiting = Gauge("acutance_pool_waiting", "Work that has not begun.", ("pool",), registry=registry)
        self._busy = Gauge("acutance_pool_busy", "Work going on.", ("pool",), registry=registry)
        self._restarts = Gauge(
            "acutance_pool_restarts", "Worker processes that had to be replaced.", ("pool",), registry=registry
        )
        self._gauges: dict[str, Gauge] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def uploaded(self, size_bytes: int) -> None:
        """Count what came in."""
        self._uploaded.inc(size_bytes)

    def done(self, megapixels: float, seconds: float, kind: str) -> None:
        """Count what was sharpened, as a job's or for a direct request."""
        self._megapixels.labels(kind).inc(megapixels)
        self._run_seconds.labels(kind).observe(seconds)
        if kind == "job":
            self.ended("done")

    def questioned(self, seconds: float) -> None:
        """Count a result's map or report."""
        self._run_seconds.labels("report").observe(seconds)

    def ended(self, outcome: str) -> None:
        """Count a job that has ended."""
        self._jobs.labels(outcome).inc()

    def webhook(self, outcome: str) -> None:
        """Count a try to send a webhook."""
        self._webhooks.labels(outcome).inc()

    def text(
        self,
        gauges: Mapping[str, tuple[str, float]],
        *,
        pools: Mapping[str, PoolState],
        listed: Mapping[str, int],
    ) -> bytes:
        """Write everything in Prometheus's text format (0.0.4).

        Args:
            gauges: By name: what it is, and its value now.
            pools: By name.
            listed: Jobs in the list, by state.
        """
        for name, (words, value) in gauges.items():
            if name not in self._gauges:
                self._gauges[name] = Gauge(name, words, registry=self._registry)
            self._gauges[name].set(value)
        for name, pool in pools.items():
            self._waiting.labels(name).set(pool.waiting)
            self._busy.labels(name).set(pool.busy)
            self._restarts.labels(name).set(pool.restarts)
        for state, count in listed.items():
            self._listed.labels(state).set(count)
        return generate_latest(self._registry)
