"""What the processor is and can do: what the choice of engine and arithmetic depends on."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
"""Linux's list of the processor's features."""

BFLOAT16_FLAG = "amx_bf16"
"""Name in it of the instructions that multiply tiles of bfloat16."""


@cache
def multiplies_bfloat16() -> bool:
    """Return whether the processor multiplies tiles of bfloat16 (AMX), several times as fast as floats.

    AVX-512's own instructions for bfloat16 do not count: OpenVINO was slower with them than in float32.
    """
    return BFLOAT16_FLAG in _cpuinfo().get("flags", "").split()


@cache
def is_intel() -> bool:
    """Return whether the processor is of Intel's make, as far as the system tells."""
    return _cpuinfo().get("vendor_id", "") == "GenuineIntel" or "intel" in platform.processor().lower()


def processor_name() -> str:
    """Return what the processor is called, as far as the system tells."""
    return _cpuinfo().get("model name", "") or platform.processor() or platform.machine()


def usable_cpus() -> int:
    """Return how many CPUs this process may use: those of the machine, or those that it was bound to."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpuinfo() -> dict[str, str]:
    """Read what Linux tells of the processor, by key; nothing elsewhere."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
