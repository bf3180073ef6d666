"""How much memory this process has: that of the machine or, in a container, its share."""

from __future__ import annotations

import math
import os
from pathlib import Path

from acutance.ranges import number_within

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows its control groups (version 2)."""

MEMBERSHIP = Path("/proc/self/cgroup")
"""Linux's file that says which group this process is in."""

DEFAULT_MEMORY_MB = 2000
"""What a process takes, about, where there is enough."""

SHARE = 0.75
"""Of a small memory: the system, or what else runs in the container, needs the rest, and estimates are estimates."""

SMALLEST_MB = 200
"""Less is never taken for a limit: Python and the engine alone need it."""


def default_memory_mb() -> int:
    """Return what may be taken where nothing is said, in MB: 2000, or less where the process has less."""
    limits = [limit for limit in (_machine_bytes(), group_bytes()) if limit is not None]
    share = min(limits, default=float("inf")) * SHARE / 1e6
    return int(max(SMALLEST_MB, min(DEFAULT_MEMORY_MB, share)))


def check_limits(*, max_pixels: float | None, max_memory_mb: float | None) -> None:
    """Refuse limits that are none; None stands for no word on one.

    Raises:
        ConfigError: When one is no number, or less than 1.
    """
    for name, limit in (("max_pixels", max_pixels), ("max_memory_mb", max_memory_mb)):
        if limit is not None:
            number_within(name, limit, 1, math.inf)


def allowed_bytes(max_memory_mb: int | None) -> float:
    """Return what may be taken, in bytes: what was said, or `default_memory_mb`."""
    return 1e6 * (default_memory_mb() if max_memory_mb is None else max_memory_mb)


def group_bytes() -> int | None:
    """Return the tightest limit of the process's control group and those above it; None where there is none."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        return None
    # In a container the own group is often shown as the root, or not at all: what is not there limits nothing.
    place = CGROUPS / own.lstrip("/")
    folders = [folder for folder in (place, *place.parents) if folder.is_relative_to(CGROUPS)]
    limits = [limit for folder in (*folders, CGROUPS) if (limit := _limit_in(folder)) is not None]
    return min(limits, default=None)


def _limit_in(folder: Path) -> int | None:
    """Return the limit of a group, in bytes; None where it has none ("max")."""
    try:
        return int((folder / "memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _machine_bytes() -> int | None:
    """Return the machine's memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
