"""A worker's process: decodes, runs and encodes what nobody trusts, one task after the other, within limits.

It is started by `worker_handle.PROGRAM`, which confines it first, and speaks lines of JSON: in by its standard input,
out by its standard output. Nothing in it is needed by anybody else, so that it can be killed at any moment. Where its
server ends, however it does, it ends too.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from acutance.errors import AcutanceError, OutOfMemory
from acutance.server.confinement import Layer
from acutance.server.models import Models, ModelSettings, OpenedModels
from acutance.server.options import ModelChoice
from acutance.server.refusals import INTERNAL, ProblemDetails, Stopped, problem_of
from acutance.server.stopping import StopSignal
from acutance.server.tasks import KINDS

_LOG = logging.getLogger("acutance.server")

TOLD_S = 0.05
"""Progress is told no more often than this."""

REST_S = 0.2
"""Without a task for so long, a worker gives its memory back."""

HELD_BYTES = 400 * 10**6
"""A worker that holds more gives it back after each task."""

OPEN_FILES = 256
"""That a worker may have open at once."""

_DIE_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG` of Linux."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What a worker is told first."""

    models: ModelSettings
    memory_bytes: int
    """Of address space that one task may add to what the worker has."""
    opens_first: bool
    """Whether the default model is opened before there is work."""
    folders: tuple[Path, ...] = ()
    """That it may write into, on Linux; the first is for temporary files. None: wherever its user may."""


SETTINGS = TypeAdapter(WorkerSettings)


def main(held: tuple[Layer, ...]) -> None:
    """Work until the standard input ends.

    Args:
        held: What confines the process already.
    """
    out = _own_output()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s worker: %(message)s")
    settings = SETTINGS.validate_json(sys.stdin.buffer.readline())
    _confine()
    _Worker(settings, out, held=held).work()


class _Worker:
    def __init__(self, settings: WorkerSettings, out: BinaryIO, *, held: tuple[Layer, ...]) -> None:
        self._settings = settings
        self._out = out
        self._held = held
        self._tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stop: tuple[int, StopSignal] | None = None
        self._told_at = 0.0

    def work(self) -> None:
        self._say(opening=True)
        models = OpenedModels(self._settings.models)
        if self._settings.opens_first:
            with contextlib.suppress(AcutanceError), models.borrow(ModelChoice(name=models.offered[0].name)):
                pass  # whoever asks for it is told what is wrong
        threading.Thread(target=self._listen, daemon=True).start()
        self._say(ready=True, held=self._held)
        gc.collect()
        gc.freeze()  # what is here stays: looking through it took 14 ms after each picture
        while True:
            self._do(self._next(), models)
            held = resident_bytes("self")
            if held is None or held > HELD_BYTES:
                _give_memory_back()

    def _next(self) -> dict[str, Any]:
        """Return the next task; memory is given back once there is a rest, which under load there is not."""
        try:
            return self._tasks.get(timeout=REST_S)
        except queue.Empty:
            _give_memory_back()
            return self._tasks.get()

    def _listen(self) -> None:
        """Take what comes in, also while something is worked on."""
        for line in sys.stdin.buffer:
            asked = json.loads(line)
            if "stop" not in asked:
                self._tasks.put(asked)
            elif self._stop is not None and self._stop[0] == asked["number"]:
                self._stop[1].set(asked["stop"])
        os._exit(0)  # the server is gone, and nobody wants what is being done

    def _do(self, asked: dict[str, Any], models: Models) -> None:
        kind = KINDS[asked["kind"]]
        task = kind.task.validate_python(asked["task"], strict=False)
        stop = StopSignal(asked["run_s"])
        self._stop = (asked["number"], stop)
        self._told_at = 0.0
        _limit_task(memory_bytes=self._settings.memory_bytes, cpu_s=asked["cpu_s"])
        try:
            made = task.run(models, stop, self._tell)
        except Stopped as error:
            self._say(refused=asdict(problem_of(error)), stopped=error.reason)
        except Exception as error:  # noqa: BLE001 - an edge: the server gets an answer
            self._say(refused=asdict(_answer(error)))
        else:
            self._say(done=kind.result.dump_python(made, mode="json"))  # type: ignore[arg-type]
        finally:
            self._stop = None

    def _tell(self, share: float) -> None:
        now = time.monotonic()
        if now - self._told_at >= TOLD_S:
            self._told_at = now
            self._say(share=share)

    def _say(self, **values: object) -> None:
        self._out.write(json.dumps(values).encode() + b"\n")
        self._out.flush()


def _answer(error: Exception) -> ProblemDetails:
    if isinstance(error, (MemoryError, OutOfMemory)):
        # The limit was reached, not the machine's end: trying again would not help.
        return TOO_MUCH_MEMORY
    is_known = isinstance(error, (AcutanceError, OSError))
    problem = problem_of(error) if is_known else INTERNAL
    if problem.status >= 500:
        _LOG.warning("%s", error, exc_info=error)
    return problem


TOO_MUCH_MEMORY = ProblemDetails(
    status=413,
    error="too_much_memory",
    detail="the picture takes more memory than the server gives to one; send a smaller one, or choose another model.",
)


def _own_output() -> BinaryIO:
    """Take the standard output for ourselves: what a library prints goes where errors go."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _confine() -> None:
    """Bound what the process may take from now on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all its processes; the server decides
    if sys.platform == "win32":
        return
    import resource

    _limit(resource.RLIMIT_CORE, 0)  # somebody's picture would be in it
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _limit_task(*, memory_bytes: int, cpu_s: float) -> None:
    """Let the process take so much more address space and processor time than it has taken by now."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + cpu_s) + 1)
    if sys.platform == "linux":  # elsewhere the limit is not kept, or counts what all programs share
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)


def _limit(what: int, value: int) -> None:
    """Set a soft limit, as far as the system lets us."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(what)
        with contextlib.suppress(OSError, ValueError):  # a filter of system calls forbids it; the server looks, too
            resource.setrlimit(what, (value if most == resource.RLIM_INFINITY else min(value, most), most))


def resident_bytes(pid: int | str) -> int | None:
    """Return what a process holds of the memory; None where that cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _give_memory_back() -> None:
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)


def environment(inherited: Mapping[str, str], *, temporary: Path | None = None) -> dict[str, str]:
    """Return a worker's environment: that of its server, where that finds its modules, and a folder of its own."""
    folders = (folder or os.getcwd() for folder in sys.path)
    own = {} if temporary is None else {"TMPDIR": str(temporary)}
    # Many threads each with an arena of their own would hold memory that nobody uses.
    return {"MALLOC_ARENA_MAX": "2", **inherited, **own, "PYTHONPATH": os.pathsep.join(folders)}
