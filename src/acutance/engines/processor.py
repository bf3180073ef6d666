"""What the processor is and can do: what the choice of engine and arithmetic depends on."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from acutance.ranges import whole_number

CPUINFO = Path("/proc/cpuinfo")
"""Linux's list of the processor's features."""

BFLOAT16_FLAG = "amx_bf16"
"""Name in it of the instructions that multiply tiles of bfloat16."""

SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/core_cpus_list"
"""Linux's list of the CPUs that share a core with one."""

NVIDIA_VERSION = Path("/sys/module/nvidia/version")
"""Linux's file with the version of NVIDIA's driver."""

DRIVER_FOLDERS = (
    "/usr/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    os.path.expandvars(r"%SystemRoot%\System32\DriverStore"),
)
"""Where Linux's Vulkan drivers and Windows' drivers are made known. On macOS they are the system's own."""

DRIVER_VARIABLES = ("VK_ICD_FILENAMES", "VK_DRIVER_FILES", "CUDA_VISIBLE_DEVICES")
"""What a user can choose drivers and devices by."""


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


@cache
def describe_machine() -> str:
    """Return what measured speeds depend on beside the network: the CPU, its share for this process, system, drivers.

    What drivers there are is told by when the places where they are installed have changed.
    """
    places = [NVIDIA_VERSION, *(Path(folder) for folder in DRIVER_FOLDERS)]
    changed = [f"{place.name} {stamp}" for place in places if (stamp := _stamp(place))]
    chosen = [f"{name}={os.environ[name]}" for name in DRIVER_VARIABLES if name in os.environ]
    return ", ".join([processor_name(), f"{usable_cpus()} CPUs", platform.platform(), *changed, *chosen])


def _stamp(place: Path) -> str:
    """Return when a folder or a file in it was last changed, or what a short file says; empty where there is none."""
    if not place.is_dir():
        return read_short(place)
    try:
        return f"{max(entry.stat().st_mtime_ns for entry in (place, *place.iterdir())) // 10**9}"
    except OSError:
        return ""


def read_short(file: Path | str) -> str:
    """Return what a short file of the system says; empty where it cannot be read."""
    try:
        return Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def processor_name() -> str:
    """Return what the processor is called, as far as the system tells."""
    return _cpuinfo().get("model name", "") or platform.processor() or platform.machine()


def usable_cpus() -> int:
    """Return how many CPUs this process may use: those of the machine, or those that it was bound to."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores_if_bound() -> int:
    """Return how many cores lie under the CPUs that this process was bound to; 0 where it has all of the machine's.

    ONNX Runtime counts those of the machine: bound to one CPU of two, its two threads wait for each other in a loop,
    and a network takes half as long again.
    """
    if not hasattr(os, "sched_getaffinity") or usable_cpus() == os.cpu_count():
        return 0
    # Two CPUs of one core (SMT) are one thread's work.
    return len({read_short(SIBLINGS.format(cpu)) or str(cpu) for cpu in os.sched_getaffinity(0)})


def pool_size(threads: int | None) -> int:
    """Return how many threads compute outside the network: those asked for, within the CPUs, else one per CPU."""
    return within_cpus(threads) or usable_cpus()


def within_cpus(threads: int | None) -> int | None:
    """Return how many threads to take of those asked for: no more than there are CPUs for this process.

    A thousand on two would hinder each other for ever. None, where nothing was asked for, stays None.

    Raises:
        ConfigError: When it is less than one, or no whole number.
    """
    if threads is None:
        return None
    return min(whole_number("threads", threads, low=1, remedy=", or left out"), usable_cpus())


def _cpuinfo() -> dict[str, str]:
    """Read what Linux tells of the processor, by key; nothing elsewhere."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
