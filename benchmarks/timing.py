"""What the benchmarks share: medians of repeated calls, and the cost of whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WATCH_S = 0.02
"""How often a process's memory is looked at."""


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
    cpu_s: float
    """On all cores: on a busy machine, steadier than the time on the clock."""
    words: str
    """What it said on stderr."""


def process_cost(arguments: Sequence[str], *, environment: Mapping[str, str] | None = None) -> ProcessCost:
    """Run a process to its end and return its wall time, processor time and peak resident memory.

    Raises:
        RuntimeError: When it fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    watch = _PeakWatch(process.pid)
    watch.start()
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    watch.join()
    process.stderr.close()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {process.returncode}: {words.decode()}")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes on macOS, KiB elsewhere
    peak_mb = watch.peak_mb or usage.ru_maxrss / unit
    return ProcessCost(seconds, peak_mb, usage.ru_utime + usage.ru_stime, words.decode())


class _PeakWatch(threading.Thread):
    """Looks at a process's peak memory until it ends, on Linux: there, `ru_maxrss` begins with what its parent had."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.peak_mb = 0.0

    def run(self) -> None:
        while True:
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
            if not peaks:  # it has ended, and waits to be asked for its exit code
                return
            self.peak_mb = max(self.peak_mb, peaks[0] * 1024 / 1e6)
            time.sleep(WATCH_S)


def acutance(*arguments: str) -> list[str]:
    """Return the command line of the acutance that belongs to this Python."""
    return [sys.executable, "-c", "from acutance.cli.main import run; run()", *arguments]
