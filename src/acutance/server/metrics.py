"""What the server counts, in the text format that Prometheus reads (version 0.0.4)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of the classes of a duration."""


class Counter:
    """A number that only grows, for each combination of labels. For any threads."""

    def __init__(self, name: str, help_: str, labels: Sequence[str] = ()) -> None:
        self._name, self._help, self._labels = name, help_, tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0.0) + amount

    def lines(self) -> Iterator[str]:
        """Give the lines of the text format."""
        yield from _head(self._name, self._help, "counter")
        with self._lock:
            values = sorted(self._values.items())
        for labels, value in values:
            yield f"{self._name}{_braced(zip(self._labels, labels, strict=True))} {value:.12g}"


class Histogram:
    """Durations by class, for each combination of labels. For any threads."""

    def __init__(self, name: str, help_: str, labels: Sequence[str] = (), ends: Sequence[float] = SECONDS) -> None:
        self._name, self._help, self._labels, self._ends = name, help_, tuple(labels), tuple(ends)
        self._classes: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def observe(self, seconds: float, *labels: str) -> None:
        """Count a duration."""
        index = next((index for index, end in enumerate(self._ends) if seconds <= end), len(self._ends))
        with self._lock:
            self._classes.setdefault(labels, [0] * (len(self._ends) + 1))[index] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        """Give the lines of the text format."""
        yield from _head(self._name, self._help, "histogram")
        with self._lock:
            classes = sorted((labels, list(counts), self._sums[labels]) for labels, counts in self._classes.items())
        for labels, counts, total in classes:
            pairs = list(zip(self._labels, labels, strict=True))
            ends = [*(f"{end:g}" for end in self._ends), "+Inf"]
            for index, end in enumerate(ends):
                yield f"{self._name}_bucket{_braced([*pairs, ('le', end)])} {sum(counts[: index + 1])}"
            yield f"{self._name}_sum{_braced(pairs)} {total:.12g}"
            yield f"{self._name}_count{_braced(pairs)} {sum(counts)}"


class Metrics:
    """All that is counted."""

    def __init__(self) -> None:
        self.requests = Counter(
            "acutance_requests_total", "Requests answered, by route and status.", ("route", "method", "status")
        )
        self.request_seconds = Histogram("acutance_request_seconds", "Time of a request, upload included.", ("route",))
        self.uploaded = Counter("acutance_uploaded_bytes_total", "Bytes of pictures taken in.")
        self.megapixels = Counter("acutance_megapixels_total", "Megapixels of results.", ("kind",))
        self.run_seconds = Histogram("acutance_run_seconds", "Time of the work on a picture.", ("kind",))
        self.jobs = Counter("acutance_jobs_total", "Jobs that have ended, by how.", ("outcome",))

    def done(self, megapixels: float, seconds: float, kind: str) -> None:
        """Count what was sharpened, as a job's or for a direct request."""
        self.megapixels.add(kind, amount=megapixels)
        self.run_seconds.observe(seconds, kind)
        if kind == "job":
            self.jobs.add("done")

    def text(self, gauges: dict[str, tuple[str, float]]) -> str:
        """Write everything.

        Args:
            gauges: By name: what it is, and its value now.
        """
        lines: list[str] = []
        for family in (
            *(self.requests, self.request_seconds, self.uploaded),
            *(self.megapixels, self.run_seconds, self.jobs),
        ):
            lines += family.lines()
        for name, (help_, value) in gauges.items():
            lines += [*_head(name, help_, "gauge"), f"{name} {value:.12g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, help_: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {help_}", f"# TYPE {name} {kind}"


def _braced(pairs: Iterator[tuple[str, str]] | Sequence[tuple[str, str]] | zip[tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
