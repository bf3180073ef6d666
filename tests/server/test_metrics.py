"""The text format of Prometheus."""

from __future__ import annotations

import re

from acutance.server.metrics import Counter, Histogram

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? [-+.0-9e]+(nan|inf)?')


def test_counters() -> None:
    counter = Counter("x_total", "Things.", ("kind",))
    counter.add("a")
    counter.add("a", amount=2.5)
    counter.add('b"\\\n')
    lines = list(counter.lines())
    assert lines[:3] == ["# HELP x_total Things.", "# TYPE x_total counter", 'x_total{kind="a"} 3.5']
    assert all(LINE.fullmatch(line) for line in lines[2:])


def test_histograms_are_cumulative() -> None:
    histogram = Histogram("s", "Time.", ends=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7):
        histogram.observe(seconds)
    assert list(histogram.lines())[2:] == [
        's_bucket{le="0.1"} 2',
        's_bucket{le="1"} 3',
        's_bucket{le="+Inf"} 4',
        "s_sum 7.65",
        "s_count 4",
    ]


def test_all_that_is_served_is_well_formed(shared, picture) -> None:
    shared.post(picture())
    shared.ask("BREW", '/coffee"\\')
    lines = shared.ask("GET", "/metrics").body.decode().splitlines()
    assert [line for line in lines if not line.startswith("# ") and not LINE.fullmatch(line)] == []
    assert any(line.startswith('acutance_requests_total{route="none",method="other"') for line in lines)
    kinds = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))
