"""What the benchmarks share: medians of repeated calls, and the cost of whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def median_s(function: Callable[[], object], *, runs: int = 7) -> float:
    """Return the median time of a call in seconds, after one call that does not count."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@dataclass(frozen=True)
class ProcessCost:
    """What a whole process took."""

    seconds: float
    peak_mb: float


def process_cost(arguments: Sequence[str]) -> ProcessCost:
    """Run a process to its end and return its wall time and peak resident memory.

    Raises:
        RuntimeError: When it fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    process.stderr.close()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {process.returncode}: {words.decode()}")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes on macOS, KiB elsewhere
    return ProcessCost(seconds, usage.ru_maxrss / unit)


def acutance(*arguments: str) -> list[str]:
    """Return the command line of the acutance that belongs to this Python."""
    return [sys.executable, "-c", "from acutance.cli.main import run; run()", *arguments]
