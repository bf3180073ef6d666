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
    with tempfile.TemporaryDirectory(prefix="acutance-plan-") as folder, settings.opened() as sharpener:
        bin_ = Store(folder)
        worker = Worker(sharpener, source, bin_, settings=key)
        begun, cpu_s = time.perf_counter(), time.process_time()
        entries = [entry for bundle in bundles(sample) for entry in worker.work(bundle)]
        seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_s
        written = sum(entry.size_bytes for entry in bin_.listed())
    count = len(entries)
    return Plan(
        inputs=listed,
        left=left,
        input_bytes=total_bytes,
        sampled=count,
        unmade=sum(entry.status != "done" for entry in entries),
        megapixels_each=sum(entry.megapixels for entry in entries) / count,
        cpu_seconds_each=cpu_s / count,
        seconds_each=seconds / count,
        output_bytes_each=written / count,
        requests=listed // PAGE + 1 + 2 * left + left // BUNDLE,
    )
