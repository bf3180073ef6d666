"""One worker's process, as the server sees it: told what to do, listened to, and ended where it must be."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acutance.errors import AcutanceError, first_line
from acutance.server.confinement import Layer
from acutance.server.refusals import ProblemDetails, Refused, Stopped
from acutance.server.stopping import StopSignal
from acutance.server.tasks import KINDS, Progress, Task
from acutance.server.worker_process import SETTINGS, TOO_MUCH_MEMORY, WorkerSettings, environment, resident_bytes

_LOG = logging.getLogger("acutance.server")

POLL_S = 0.05
"""Between two looks at a worker's memory and at whether it is to stop."""

GRACE_S = 0.5
"""What a worker that is asked to stop has for coming to the end of its tile; none where it is not needed again."""

START_S = 60.0
"""What a worker has for its first word; a cold disk is slow."""

OPENING_S = 600.0
"""What it has from then on for opening its first model: a large network of others takes minutes on a busy machine."""

PROGRAM = (
    "import sys; from acutance.server.confinement import confine; held = confine(sys.argv[1:]); "
    "from acutance.server.worker_process import main; main(held)"
)
"""Confined before anything is loaded that starts threads: these would not be."""


class WorkerDied(AcutanceError):
    """A worker ended in the middle of its work, and not because the server wanted it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What a worker may take."""

    memory_bytes: int
    """Resident, of one worker; looked at on Linux."""
    run_s: float
    """Time for one task, on the clock; processor time is that for every core."""


class WorkerProcess:
    """One worker's process, from this side."""

    def __init__(self, settings: WorkerSettings, on_ready: Callable[[tuple[Layer, ...]], None] | None = None) -> None:
        """Start it; does not wait until it is ready.

        Args:
            settings: What it is told first.
            on_ready: Called from a thread with what confines it, once that holds.
        """
        folders = [str(folder.resolve()) for folder in settings.folders]
        self._on_ready = on_ready
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(os.environ, temporary=Path(folders[0]) if folders else None),
            start_new_session=True,
        )
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._number = 0
        self._is_ready = False
        self.is_idle = True
        threading.Thread(target=self._listen, daemon=True).start()
        self._tell(SETTINGS.dump_json(settings))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def resident_bytes(self) -> int:
        """What it holds of the memory; 0 where that cannot be told."""
        return resident_bytes(self.pid) or 0

    def run(self, task: Task[Any], stop: StopSignal, progress: Progress, limits: WorkerLimits) -> object:
        """Do a task in the process; after anything but an answer the process is not idle any more, and is to be killed.

        Raises:
            Stopped, WorkerDied, Refused: See `Workers.run`.
        """
        self.is_idle = False
        kind = KINDS[type(task).__name__]
        self._until_ready(stop)
        stop.start()
        self._number += 1
        asked = {
            "kind": type(task).__name__,
            "number": self._number,
            "task": kind.task.dump_python(task, mode="json"),
            "run_s": limits.run_s,
            "cpu_s": limits.run_s * (os.cpu_count() or 1),
        }
        self._tell(json.dumps(asked).encode())
        while True:
            said = self._next(stop, limits.memory_bytes)
            if said is None:
                continue
            if "share" in said:
                progress(float(said["share"]))
                continue
            self.is_idle = True
            if "done" in said:
                return kind.result.validate_python(said["done"], strict=False)
            if said.get("stopped"):
                raise Stopped(said["stopped"], str(said["refused"]["detail"]))
            raise Refused.of(ProblemDetails(**said["refused"]))

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _until_ready(self, stop: StopSignal) -> None:
        end = time.monotonic() + START_S
        while not self._is_ready:
            stop.check()
            said = self._heard()
            if said is not None and "opening" in said:
                end = time.monotonic() + OPENING_S
            elif said is not None:
                self._is_ready = True
            elif time.monotonic() > end:
                raise WorkerDied("a worker was not ready in time.")

    def _next(self, stop: StopSignal, memory_bytes: int) -> dict[str, Any] | None:
        """Return what the worker says next; None when it said nothing for a moment.

        Raises:
            Stopped: When it is to stop.
            Refused: When it takes too much memory.
            WorkerDied: When it has ended.
        """
        said = self._heard()
        if said is not None and "share" not in said:
            return said
        try:
            stop.check()
        except Stopped as stopped:
            self._ask_to_stop(stopped)
            raise
        if self.resident_bytes > memory_bytes:
            self.kill()
            _LOG.warning("a worker took more than %.0f MB: it was ended", memory_bytes / 1e6)
            raise Refused.of(TOO_MUCH_MEMORY)
        return said

    def _ask_to_stop(self, stopped: Stopped) -> None:
        """Let the worker come to the end of its tile, which leaves it its engine, if that is soon."""
        if stopped.reason == "stopping":
            return
        with contextlib.suppress(WorkerDied):
            self._tell(json.dumps({"stop": stopped.reason, "number": self._number}).encode())
            end = time.monotonic() + GRACE_S
            while time.monotonic() < end:
                said = self._heard()
                if said is not None and "share" not in said:
                    self.is_idle = True
                    return

    def _heard(self) -> dict[str, Any] | None:
        """Wait a moment for a line of the worker's.

        Raises:
            WorkerDied: When it has ended.
        """
        try:
            said = self._said.get(timeout=POLL_S)
        except queue.Empty:
            return None
        if said is None:
            self._process.wait()
            raise self._death()
        return said

    def _death(self) -> AcutanceError:
        code = self._process.returncode
        if code == -getattr(signal, "SIGXCPU", 0):
            return Stopped("took_too_long", "it took more processor time than the server allows; send a smaller one.")
        return WorkerDied(f"a worker ended in the middle of its work (code {code}).")

    def _tell(self, line: bytes) -> None:
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerDied(f"a worker cannot be spoken to ({first_line(error)}).") from error

    def _listen(self) -> None:
        """Take the worker's lines as they come; None at their end."""
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                try:
                    said = json.loads(line)
                    if "ready" in said and self._on_ready is not None:
                        self._on_ready(tuple(said.get("held", ())))
                    self._said.put(said)
                except ValueError:  # killed in the middle of it
                    break
        self._said.put(None)
