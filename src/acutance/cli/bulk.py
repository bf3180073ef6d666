"""`acutance bulk`: millions of pictures, from and to folders and object storage."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.console import INTERRUPTED, say
from acutance.cli.options import (
    Engine,
    EngineChoice,
    Exclude,
    Fidelity,
    Include,
    MaxMemory,
    MaxPixels,
    Model,
    PrecisionChoice,
    PrecisionOption,
    Strength,
    given_name,
)
from acutance.errors import ConfigError, EngineUnavailable
from acutance.extras import how_to_get

if TYPE_CHECKING:
    from acutance.bulk.items import Item
    from acutance.bulk.ledger import Entry
    from acutance.bulk.plan import Plan
    from acutance.bulk.stores import Store

_TOLD = 20
"""Failures that are told one by one; the report and the ledger hold all."""
_EVERY_S = 10.0


def bulk(
    source: Annotated[
        str,
        typer.Argument(
            parser=given_name,
            metavar="SRC",
            help="Folder, address (s3://bucket/photos), .tar file, or a manifest: .parquet, or .txt.",
        ),
    ],
    target: Annotated[
        str, typer.Argument(parser=given_name, metavar="DST", help="Folder or address; the ledger goes there, too.")
    ],
    model: Model = "auto",
    strength: Strength = 1.0,
    fidelity: Fidelity = 1.0,
    engine: Engine = EngineChoice.AUTO,
    precision: PrecisionOption = PrecisionChoice.AUTO,
    address: Annotated[
        str | None, typer.Option(metavar="RAY", help="A Ray cluster that runs (auto, ray://…); default: this machine.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: as many as the CPUs allow.")] = None,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of each, and threads of its network.")] = 1,
    gpus: Annotated[float, typer.Option(min=0.0, help="GPUs of each.")] = 0.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on by the ledger in DST: make only what is missing or has changed.")
    ] = False,
    include: Include = None,
    exclude: Exclude = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the totals and all that was not made as JSON.")
    ] = None,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Make nothing: estimate time and cost from a sample of 200.")
    ] = False,
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=1.0, help="Seconds for one picture; then it is tried again alone.")
    ] = 600.0,
    max_pixels: MaxPixels = None,
    max_memory: MaxMemory = None,
) -> None:
    """Sharpen millions of pictures: folders or buckets, on this machine or a Ray cluster.

    What is done is in a ledger in DST; a run that was stopped or killed goes on with --resume.
    """
    try:
        from acutance.bulk.job import BulkSettings, cluster, run
        from acutance.bulk.ledger import Done, Ledger
        from acutance.bulk.plan import plan
        from acutance.bulk.stores import Store
    except ImportError as error:
        raise EngineUnavailable(
            f"bulk needs the extra of that name ({error.name} is missing): {how_to_get('bulk')}."
        ) from error
    settings = BulkSettings(
        model=model,
        fidelity=fidelity,
        engine=engine.engine,
        precision=precision.precision,
        max_pixels=max_pixels,
        max_memory_mb=max_memory,
        workers=workers,
        cpus_per_worker=cpus,
        gpus_per_worker=gpus,
        time_limit_s=time_limit,
    )
    from_, items = _inputs(source, strength, include or [], exclude or [])
    with settings.opened() as sharpener:
        key = settings.key(sharpener)
    to = Store(target)
    ledger = Ledger(to)
    if only_plan:
        _tell_plan(plan(items(), settings, from_, done=ledger.done(key) if resume else Done(), key=key), workers or 1)
        return
    to.check_writable(".acutance/try")
    if not resume and ledger.parts():
        raise ConfigError(
            f"{target}: holds the ledger of an earlier run; go on with --resume, or choose another place."
        )
    done = ledger.done(key)
    if resume:
        say(f"{len(done)} are done already, by the ledger")
    tally = _Tally(total=_counted(items))
    if not any(not done.has(item, key) for item in items()):
        say("nothing to do")
        return
    try:
        with cluster(address, cpus=None if workers is None else workers * cpus):
            for entry in run(items(), settings, from_, to, done=done, key=key):
                tally.add(entry)
    except KeyboardInterrupt:
        say(f"acutance: interrupted after {tally.words}; go on with --resume.")
        raise typer.Exit(INTERRUPTED) from None
    tally.conclude(report)
    if tally.unmade:
        raise typer.Exit(1)


def _inputs(
    source: str, strength: float, include: list[str], exclude: list[str]
) -> tuple[Store, Callable[[], Iterator[Item]]]:
    """Return where inputs lie, and what lists them."""
    from acutance.bulk.items import items_of, items_of_manifest
    from acutance.bulk.stores import Store
    from acutance.media.patterns import PathFilter

    folder, _, name = source.rstrip("/").rpartition("/")
    if source.lower().endswith((".parquet", ".txt", ".list")):
        store, manifest = Store(folder or "."), Store(source)
        return store, lambda: items_of_manifest(manifest, store, strength=strength)
    if source.lower().endswith(".tar"):
        store = Store(folder or ".")
        return store, lambda: items_of(store, strength=strength, wanted=PathFilter.of([f"./{name}"], exclude))
    store, wanted = Store(source), PathFilter.of(include, exclude)
    return store, lambda: items_of(store, strength=strength, wanted=wanted)


def _counted(items: Callable[[], Iterator[Item]]) -> Callable[[], int | None]:
    """Count inputs beside the work; returns what tells how many there are, or None as long as that is not known."""
    counted: list[int] = []
    threading.Thread(target=lambda: counted.append(sum(1 for _ in items())), daemon=True).start()
    return lambda: counted[0] if counted else None


@dataclass
class _Tally:
    """What has happened so far, and what a person is told of it."""

    total: Callable[[], int | None]
    counts: Counter[str] = field(default_factory=Counter)
    megapixels: float = 0.0
    cpu_s: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    unmade: list[Entry] = field(default_factory=list)
    _told_at: float = field(default_factory=time.monotonic)

    def add(self, entry: Entry) -> None:
        self.counts[entry.status] += 1
        self.megapixels += entry.megapixels
        self.cpu_s += entry.cpu_seconds
        if entry.status != "done":
            self.unmade.append(entry)
            if len(self.unmade) <= _TOLD:
                say(f"{entry.status}: {entry.reason}")
        if time.monotonic() - self._told_at > _EVERY_S:
            self._told_at = time.monotonic()
            say(self.words)

    @property
    def words(self) -> str:
        """The state in one line."""
        count, seconds = sum(self.counts.values()), max(time.monotonic() - self.begun, 1e-9)
        rate, total = count / seconds, self.total()
        cost = f", {1000 * self.cpu_s / count:.0f} CPU seconds per thousand" if count else ""
        left = f", {(total - count) / rate / 60:.0f} minutes left" if total and total > count and rate else ""
        of = f" of {total}" if total else ""
        return f"{count}{of} inputs, {rate:.1f} a second, {self.megapixels / seconds:.2f} MP/s{cost}{left}"

    def conclude(self, report: Path | None) -> None:
        """Tell how it ended, and write the report."""
        say(self.words)
        say(", ".join(f"{number} {status}" for status, number in sorted(self.counts.items())))
        if len(self.unmade) > _TOLD:
            say(f"{len(self.unmade) - _TOLD} more were not made: see --report, or the ledger in DST/.acutance")
        if report is not None:
            from acutance.media import write_atomically

            values = {
                "counts": dict(self.counts),
                "megapixels": round(self.megapixels, 3),
                "cpu_seconds": round(self.cpu_s, 3),
                "seconds": round(time.monotonic() - self.begun, 3),
                "not_made": [asdict(entry) for entry in self.unmade],
            }
            content = json.dumps(values, indent=1, ensure_ascii=False).encode("utf-8", errors="backslashreplace")
            write_atomically(report, [content], overwrite=True)


def _tell_plan(found: Plan, workers: int) -> None:
    say(f"{found.inputs} inputs, {found.left} to do, {found.input_bytes / 1e9:.2f} GB")
    say(
        f"sample of {found.sampled}: {found.megapixels_each:.2f} megapixels each, {found.cpu_seconds_each:.3f} CPU "
        f"seconds each, {found.unmade} not made"
    )
    say(
        f"all: {found.cpu_hours:.1f} CPU hours, {found.hours(workers):.1f} hours with {workers} worker(s), "
        f"{found.left * found.output_bytes_each / 1e9:.2f} GB of results, about {found.requests} requests to the store"
    )
