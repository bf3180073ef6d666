"""`acutance bulk`: millions of pictures, from and to folders and object storage."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.console import INTERRUPTED, say
from acutance.cli.options import (
    BackProjection,
    Engine,
    EnsembleOption,
    Exclude,
    Fidelity,
    Include,
    MaxMemory,
    MaxPixels,
    Model,
    PrecisionOption,
    Strength,
    given_name,
)
from acutance.errors import AcutanceError, ConfigError, EngineUnavailable, InputError
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
    engine: Engine = "auto",
    precision: PrecisionOption = "auto",
    ensemble: EnsembleOption = 1,
    back_projection: BackProjection = None,
    address: Annotated[
        str | None, typer.Option(metavar="RAY", help="A Ray cluster that runs (auto, ray://…); default: this machine.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: as many as the CPUs allow.")] = None,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of each, and threads of its network.")] = 1,
    gpus: Annotated[float, typer.Option(min=0.0, max=1024.0, help="GPUs of each.")] = 0.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the ledger in DST: make only what is missing or has changed.")
    ] = False,
    include: Include = None,
    exclude: Exclude = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the totals, and every picture that failed, as JSON.")
    ] = None,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Only estimate time and cost, from a sample of 200.")
    ] = False,
    time_limit: Annotated[
        float,
        typer.Option("--time-limit", min=1.0, max=1e6, help="Seconds for one picture; then it is tried again alone."),
    ] = 600.0,
    max_pixels: MaxPixels = None,
    max_memory: MaxMemory = None,
) -> None:
    """Sharpen millions of pictures: folders or buckets, on this machine or a Ray cluster.

    A ledger in DST records what is done; a run that was stopped or killed goes on with --resume.
    """
    try:
        from acutance.bulk.job import BulkSettings, cluster, run
        from acutance.bulk.ledger import Done, Ledger
        from acutance.bulk.plan import plan
        from acutance.bulk.stores import Store
        from acutance.engines.engine import EngineSettings
        from acutance.inference.picture_settings import PictureSettings
    except ImportError as error:
        raise EngineUnavailable(
            f"bulk needs the extra of that name ({error.name} is missing): {how_to_get('bulk')}."
        ) from error
    settings = BulkSettings(
        model=model,
        engine=EngineSettings(fidelity=fidelity, engine=engine, precision=precision, ensemble=ensemble),
        pictures=PictureSettings(back_projection=back_projection, max_pixels=max_pixels, max_memory_mb=max_memory),
        workers=workers,
        cpus_per_worker=cpus,
        gpus_per_worker=gpus,
        time_limit_s=time_limit,
    )
    to = Store(target)
    from_, items, count = _inputs(source, to, strength, include or [], exclude or [])
    with settings.opened() as sharpener:
        key = settings.key(sharpener)
    ledger = Ledger(to)
    if count == 0 or (count is None and next(items(), None) is None):
        what = "holds no pictures that are wanted" if include or exclude else "holds no pictures"
        raise InputError(f"{source}: {what}; check the address and the patterns.")
    if only_plan:
        _tell_plan(plan(items(), settings, from_, done=ledger.done(key) if resume else Done(), key=key), workers or 1)
        return
    if not resume and (held := "the ledger of an earlier run" if ledger.parts() else to.any_file()):
        raise ConfigError(f"{target}: holds {held} already; go on with --resume, or choose another place.")
    to.check_writable(".acutance/try")
    done = ledger.done(key)
    if resume:
        say(f"{len(done)} need no more work, by the ledger: they are done, or were refused")
    if len(done) and all(done.has(item, key) for item in items()):
        say("nothing to do")
        _Tally(total=lambda: 0).write(report)
        return
    tally = _Tally(total=_counted(items) if count is None else lambda: count, keeps_all=report is not None)
    try:
        # Ray prints a page about each worker that dies: to stdout, however quiet it was asked to be.
        with (
            cluster(address, cpus=None if workers is None else workers * cpus),
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
        ):
            for entry in run(items(), settings, from_, to, done=done, key=key):
                tally.add(entry)
    except KeyboardInterrupt:
        say(f"acutance: interrupted after {tally.words}; go on with --resume.")
        raise typer.Exit(INTERRUPTED) from None
    tally.conclude(report)
    if tally.number_unmade:
        raise typer.Exit(1)


def _inputs(
    source: str, target: Store, strength: float, include: list[str], exclude: list[str]
) -> tuple[Store, Callable[[], Iterator[Item]], int | None]:
    """Return where inputs lie, what lists them, and how many there are, where that is known before they are listed.

    Raises:
        ConfigError: When results would come to lie among the inputs.
        InputError: When there is no such place, or a manifest is wrong.
    """
    from acutance.bulk.items import MANIFEST_SUFFIXES, SHARD_SUFFIX, Manifest, items_of, shard_item
    from acutance.bulk.stores import Store
    from acutance.media.patterns import PathFilter

    place, wanted = Store(source), PathFilter.of(include, exclude)
    folder, slash, _ = source.rpartition("/")
    above = Store((folder or slash) if slash else ".") if not source.endswith("/") else place
    if source.lower().endswith(MANIFEST_SUFFIXES):
        manifest = Manifest(place, above, strength=strength, wanted=wanted)
        return above, manifest.items, len(manifest)
    if source.lower().endswith(SHARD_SUFFIX):
        shard = shard_item(above, place.root, strength=strength)
        return above, lambda: iter([shard]), 1
    if place.is_inside(target):
        raise ConfigError(f"{target.address}: holds the inputs, and results could replace some; choose another place.")
    return place, lambda: items_of(place, strength=strength, wanted=wanted, target=target), None


def _counted(items: Callable[[], Iterator[Item]]) -> Callable[[], int | None]:
    """Count inputs beside the work; returns what tells how many there are, or None as long as that is not known."""
    counted: list[int] = []

    def count() -> None:
        with suppress(AcutanceError):  # the work lists them, too, and is told
            counted.append(sum(1 for _ in items()))

    threading.Thread(target=count, daemon=True).start()
    return lambda: counted[0] if counted else None


@dataclass
class _Tally:
    """What has happened so far, and what a person is told of it."""

    total: Callable[[], int | None]
    keeps_all: bool = False
    """For a report; else none is kept."""
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
            if self.number_unmade <= _TOLD:
                say(f"{entry.status}: {entry.reason}")
            if self.keeps_all:
                self.unmade.append(entry)
        if time.monotonic() - self._told_at > _EVERY_S:
            self._told_at = time.monotonic()
            say(self.words)

    @property
    def number_unmade(self) -> int:
        """Return how many were refused, or failed."""
        return sum(self.counts.values()) - self.counts["done"]

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
        if self.number_unmade > _TOLD:
            say(f"{self.number_unmade - _TOLD} more were not made: see --report, or the ledger in DST/.acutance")
        self.write(report)

    def write(self, report: Path | None) -> None:
        """Write the report, where there is to be one."""
        if report is None:
            return
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
