"""Opening an encoder without giving it the machine.

SVT-AV1, where root runs it (in a container, say), gives the thread that opens it and its own threads real-time priority
(4.1): nothing else of the machine gets those cores then, and what the process starts later inherits it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from av.video.codeccontext import VideoCodecContext

_TASKS = Path("/proc/self/task")
"""Linux's list of the process's threads."""


def open_encoder(context: VideoCodecContext, *, strict: bool = True) -> None:
    """Open an encoder; this thread, and those that it begins, have the priority that this one had before.

    Args:
        context: The encoder, set up.
        strict: Fail where it is open already.
    """
    if sys.platform != "linux":
        context.open(strict=strict)
        return
    policy, parameters, before = os.sched_getscheduler(0), os.sched_getparam(0), set(_threads())
    try:
        context.open(strict=strict)
    finally:
        for thread in (0, *(set(_threads()) - before)):  # 0 is this one
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, policy, parameters)


def _threads() -> list[int]:
    with suppress(OSError):
        return [int(entry.name) for entry in _TASKS.iterdir()]
    return []
