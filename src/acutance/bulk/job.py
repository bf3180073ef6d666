"""A run over any number of pictures: who works on what, and what becomes of workers that die, is Ray Data's affair.

The inputs are listed in waves, so that neither the driver's memory nor the wait for the first result grows with their
number. Each wave is a dataset whose blocks are bundles of inputs, mapped by a pool of actors that have the model open.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Final

# Both before Ray is imported: nothing is sent, and what its native parts log stays in its own files.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import pyarrow as pa
import ray
from ray.actor import ActorHandle
from ray.data import ActorPoolStrategy, DataContext
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from acutance import __version__
from acutance.bulk.items import Item, bundles, items_in, table_of
from acutance.bulk.ledger import COMPACT_FROM, Done, Entry, Ledger
from acutance.bulk.stores import Store
from acutance.bulk.work import Worker
from acutance.engines.engine import USUAL, EngineSettings
from acutance.errors import AcutanceError, JobError, OutputError
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.inference.picture_settings import WHOLE, PictureSettings

WAVE: Final = 512
WAVE_OF_EACH: Final = 64
"""Bundles of a dataset, at least and for each worker: the driver holds some 60 kB for each, and at the end of a dataset
workers wait for the last ones."""
CALLS: Final = 2
"""Bundles in work at once in an actor: one is fetched, decoded, coded or stored while another has the network."""
_COMPACT_S: Final = 600
_WATCH_S: Final = 1.0
_FAULT: Final = "fault"
_RESULT: Final = pa.schema([("entry", pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkSettings:
    """What the results depend on, and how the work is shared out."""

    model: str
    engine: EngineSettings = USUAL
    pictures: PictureSettings = WHOLE
    workers: int | None = None
    """Processes; None: as many as the CPUs allow."""
    cpus_per_worker: int = 1
    """Also the threads of its network."""
    gpus_per_worker: float = 0.0
    time_limit_s: float = 600.0
    """A picture that takes longer costs its worker its life."""

    def opened(self) -> PhotoSharpener:
        """Open the model.

        Raises:
            AcutanceError: See `Sharpener`.
        """
        engine = replace(self.engine, threads=self.cpus_per_worker)
        return PhotoSharpener(self.model, engine, replace(self.pictures, threads=self.cpus_per_worker))

    def key(self, sharpener: PhotoSharpener) -> str:
        """Return a short hash of all that results depend on beside input and strength."""
        spec = sharpener.spec
        model = [self.model, spec.name, spec.weights_sha256]
        engine, pictures = self.engine, self.pictures
        network = [engine.fidelity, engine.engine, engine.precision, engine.ensemble]
        values = [*model, *network, pictures.back_projection, pictures.max_pixels, __version__]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


class _Attempts:
    """Remembers which pictures are in work, on the driver's machine: it lives as long as the run.

    A picture is not to blame for a machine that vanishes: those begun there do not count.
    """

    def __init__(self) -> None:
        self._begun: dict[str, list[str]] = {}

    def known(self, names: Sequence[str]) -> list[int]:
        begun = [self._begun.get(name, []) for name in names]
        if not any(begun):
            return [0] * len(begun)
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        return [sum(node in alive for node in nodes) for nodes in begun]

    def begin(self, names: Sequence[str], node: str) -> None:
        for name in names:
            self._begun.setdefault(name, []).append(node)

    def end(self, names: Sequence[str]) -> None:
        for name in names:
            self._begun.pop(name, None)


class _RemoteAttempts:
    """`Attempts` in the actor above."""

    def __init__(self, actor: ActorHandle) -> None:
        self._actor, self._node = actor, ray.get_runtime_context().get_node_id()

    def known(self, names: Sequence[str]) -> list[int]:
        found: list[int] = ray.get(self._actor.known.remote(list(names)))
        return found

    def begin(self, names: Sequence[str]) -> None:
        ray.get(self._actor.begin.remote(list(names), self._node))

    def end(self, names: Sequence[str]) -> None:
        self._actor.end.remote(list(names))  # should it be lost, they are worked on alone, should they come again


class _Actor:
    """What Ray Data calls with each bundle, in processes of its own."""

    def __init__(self, settings: BulkSettings, source: Store, target: Store, key: str, attempts: ActorHandle) -> None:
        from ray.util.metrics import Counter

        self._worker = Worker(settings.opened(), source, target, settings=key, attempts=_RemoteAttempts(attempts))
        self._pictures = Counter("acutance_pictures", "Pictures, by what happened to them.", tag_keys=("status",))
        self._megapixels = Counter("acutance_megapixels", "Megapixels of results.")
        self._cpu_s = Counter("acutance_cpu_seconds", "CPU seconds of workers.")
        threading.Thread(target=self._watch, args=(settings.time_limit_s,), daemon=True).start()

    def __call__(self, bundle: pa.Table) -> pa.Table:
        try:
            entries = self._worker.work(items_in(bundle))
        except OutputError as error:  # nothing can be written: not raised, since Ray would make pages of it
            return pa.table({"entry": [json.dumps({_FAULT: str(error)})]}, schema=_RESULT)
        for entry in entries:
            self._pictures.inc(1, tags={"status": entry.status})
            self._megapixels.inc(max(entry.megapixels, 1e-9))
            self._cpu_s.inc(max(entry.cpu_seconds, 1e-9))
        return pa.table({"entry": [json.dumps(asdict(entry)) for entry in entries]}, schema=_RESULT)

    def _watch(self, limit_s: float) -> None:
        """End this process when a picture takes too long: code that hangs in a library can be ended in no other way."""
        while self._worker.longest_s < limit_s:
            time.sleep(_WATCH_S)
        os._exit(1)


@contextmanager
def cluster(address: str | None, *, cpus: int | None = None) -> Iterator[None]:
    """Be connected to a cluster, or to one of this machine's own that ends with this.

    Args:
        address: Of a cluster that runs: `auto`, or `ray://…`; None for one of our own.
        cpus: Of our own.

    Raises:
        JobError: When there is none, or it does not start.
    """
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        with _silent():
            if address is None:
                # Without the word, Ray would join a cluster that happens to run here, or RAY_ADDRESS names.
                ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
            else:
                ray.init(address=address, **quiet)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise JobError(
            f"no Ray cluster at {address or 'this machine'} ({reason}); start one (ray start --head) or leave out "
            "--address."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def run(
    items: Iterable[Item], settings: BulkSettings, source: Store, target: Store, *, done: Done, key: str
) -> Iterator[Entry]:
    """Make the results of all inputs that are not done; yields what happened to each as it is known.

    Within `cluster`. Leaving the iteration early ends the work; what is in place stays, and is in the ledger.

    Args:
        items: All inputs.
        settings: How.
        source: Where inputs lie.
        target: Where results and the ledger go.
        done: What is left out.
        key: `BulkSettings.key`.

    Raises:
        JobError: When the cluster cannot do it.
        OutputError: When nothing more can be written.
    """
    _quieten(DataContext.get_current())
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    attempts = ray.remote(num_cpus=0)(_Attempts).options(scheduling_strategy=here).remote()
    waiting = bundles(item for item in items if not done.has(item, key))
    pool = _pool(settings)
    compacted = time.monotonic()
    while wave := list(islice(waiting, max(WAVE, WAVE_OF_EACH * pool))):
        size = min(pool, len(wave))
        found = ray.data.from_arrow([table_of(bundle) for bundle in wave]).map_batches(
            _Actor,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            fn_constructor_args=(settings, source, target, key, attempts),
            compute=ActorPoolStrategy(
                size=size, max_concurrent_calls_per_actor=CALLS, enable_true_multi_threading=True
            ),
            num_cpus=settings.cpus_per_worker,
            num_gpus=settings.gpus_per_worker or None,
        )
        try:
            # Without a batch ahead Ray leaves a thread of each dataset behind, which holds a third of a megabyte.
            for table in found.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
                yield from map(_entry, table["entry"].to_pylist())
        except ray.exceptions.RayError as error:
            raise JobError(
                f"the cluster cannot go on ({_reason(error)}); what is made is in the ledger: go on with --resume."
            ) from error
        _give_back_memory()
        if time.monotonic() - compacted > _COMPACT_S:
            _compact(target)
            compacted = time.monotonic()
    _compact(target)


def _compact(target: Store) -> None:
    """Make one part of the ledger's small ones, if they are many; in a process whose memory goes back to the system.

    Raises:
        OutputError: When it cannot be written.
        JobError: When that process cannot be started.
    """
    if len(Ledger(target).small_parts()) < COMPACT_FROM:
        return  # without a process, which takes seconds to start
    try:
        fault = ray.get(ray.remote(num_cpus=0)(_compacting).remote(target))
    except ray.exceptions.RayError as error:
        raise JobError(f"the ledger cannot be compacted ({_reason(error)}); its parts are whole.") from error
    if fault:
        raise OutputError(fault)


def _compacting(target: Store) -> str:
    """Compact; return what went wrong, since Ray would make pages of an error."""
    try:
        Ledger(target).compact()
    except OutputError as error:
        return str(error)
    return ""


def _entry(text: str) -> Entry:
    """Return what a worker tells.

    Raises:
        OutputError: When it tells that it cannot write.
    """
    values = json.loads(text)
    if _FAULT in values:
        raise OutputError(f"{values[_FAULT].removesuffix('.')}; what is made is in the ledger: go on with --resume.")
    return Entry(**values)


@contextmanager
def _silent() -> Iterator[None]:
    """Send what native code writes to stderr nowhere: Ray says by which variable it was told to be quiet."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _pool(settings: BulkSettings) -> int:
    """Return how many workers there are to be."""
    if settings.workers is not None:
        return settings.workers
    resources = ray.cluster_resources()
    if settings.gpus_per_worker:
        return max(1, int(resources.get("GPU", 0) / settings.gpus_per_worker))
    return max(1, int(resources.get("CPU", 1)) // settings.cpus_per_worker)


def _quieten(context: DataContext) -> None:
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what goes wrong is raised as well
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def _give_back_memory() -> None:
    """Return to the system what a dataset leaves: cycles, and lists of glibc, that grow with each one otherwise."""
    gc.collect()
    with suppress(OSError, AttributeError):  # no glibc here
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _reason(error: Exception) -> str:
    """Return the one sentence of ours in what Ray tells of an error, or its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ours = [line.partition(": ")[2] for line in lines if line.startswith(f"{AcutanceError.__module__}.")]
    return ours[-1] if ours else lines[-1] if lines else type(error).__name__
