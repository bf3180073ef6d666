"""What a run will cost, told from a sample before it begins."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from acutance.bulk.items import BUNDLE, Item, bundles
from acutance.bulk.job import BulkSettings
from acutance.bulk.ledger import Done
from acutance.bulk.stores import PAGE, Store
from acutance.bulk.work import Worker
from acutance.errors import InputError

SAMPLE: Final = 200
SAMPLE_S: Final = 300.0
"""After so many seconds the sample is what it is."""
SAMPLE_OF_SHARD: Final = 50
"""Pictures of a tar file; the others are taken to be like them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, and what it will take."""

    inputs: int
    """Listed."""
    left: int
    """Of these, not done yet."""
    input_bytes: int
    """Of those that are left."""
    sampled: int
    unmade: int
    """Of the sample: refused or failed."""
    megapixels_each: float
    cpu_seconds_each: float
    seconds_each: float
    """On one worker."""
    output_bytes_each: float
    requests: int
    """To the store: listing, reading, writing, the ledger."""

    @property
    def cpu_hours(self) -> float:
        """Of all that is left."""
        return self.left * self.cpu_seconds_each / 3600

    def hours(self, workers: int) -> float:
        """Return how long it takes."""
        return self.left * self.seconds_each / 3600 / workers


def plan(items: Iterable[Item], settings: BulkSettings, source: Store, *, done: Done, key: str, seed: int = 0) -> Plan:
    """List all inputs, make the results of a sample into the bin, and say what the whole will take.

    Args:
        items: All inputs.
        settings: How.
        source: Where they lie.
        done: What is left out.
        key: `BulkSettings.key`.
        seed: Of the sample.

    Raises:
        InputError: When there is nothing.
    """
    listed, left, total_bytes, sample = 0, 0, 0, list[Item]()
    rng = np.random.default_rng(seed)
    for item in items:
        listed += 1
        if done.has(item, key):
            continue
        left, total_bytes = left + 1, total_bytes + item.size_bytes
        if len(sample) < SAMPLE:
            sample.append(item)
        elif (place := int(rng.integers(left))) < SAMPLE:  # each input is as likely as any other
            sample[place] = item
    if not sample:
        raise InputError(f"{source.address}: holds no pictures that are left to do ({listed} listed).")
    rng.shuffle(sample)  # a list will do; where time is short, the first are any
    taken = _Taken()
    with tempfile.TemporaryDirectory(prefix="acutance-plan-") as folder, settings.opened() as sharpener:
        bin_ = Store(folder)
        worker = Worker(sharpener, source, bin_, settings=key)
        until = time.perf_counter() + SAMPLE_S
        for bundle in bundles(sample):
            taken.add(worker, bundle, bin_)
            if time.perf_counter() > until:
                break
    count = taken.count
    return Plan(
        inputs=listed,
        left=left,
        input_bytes=total_bytes,
        sampled=count,
        unmade=taken.unmade,
        megapixels_each=taken.megapixels / count,
        cpu_seconds_each=taken.cpu_s / count,
        seconds_each=taken.seconds / count,
        output_bytes_each=taken.output_bytes / count,
        requests=listed // PAGE + 1 + 2 * left + left // BUNDLE,
    )


@dataclass
class _Taken:
    """What the sample took; tar files as far as they would have as a whole."""

    count: int = 0
    unmade: int = 0
    megapixels: float = 0.0
    cpu_s: float = 0.0
    seconds: float = 0.0
    output_bytes: float = 0.0

    def add(self, worker: Worker, bundle: list[Item], bin_: Store) -> None:
        """Make the results of a bundle; a tar file has one of its own."""
        begun, cpu_s, share = time.perf_counter(), time.process_time(), 1.0
        if bundle[0].is_shard:
            entry, share = worker.sample(bundle[0], SAMPLE_OF_SHARD)
            entries = [entry]
        else:
            entries = worker.work(bundle)
        self.seconds += (time.perf_counter() - begun) / share
        self.cpu_s += (time.process_time() - cpu_s) / share
        self.count += len(entries)
        for entry in entries:
            self.megapixels += entry.megapixels / share
            self.unmade += entry.status != "done"
            if entry.status == "done":
                self.output_bytes += bin_.found(bin_.path_of(entry.target)).size_bytes / share
