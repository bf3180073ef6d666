"""A device's engine with the CPU behind it: whatever the device does, the pixels are right.

The device is checked against the CPU when it is opened, and at the first tile of each size in the tile's far corner.
What it cannot do is done in smaller tiles or on the CPU. When it fails for good, the CPU takes over, with a word in the
log (`acutance.inference`, on stderr unless a program says otherwise).
"""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acutance.engines.device_check import (
    ALLOWED_DIFFERENCE,
    complaint,
    corner_difference,
    difference,
    is_finite,
    picture_of_noise,
    worst_difference,
)
from acutance.errors import EngineError, OutOfMemory

if TYPE_CHECKING:
    from acutance.engines.engine import Engine

LOG = logging.getLogger("acutance.inference")

BYTES_PER_PX = 1000
"""Of a tile in a device's memory, halos included: three sets of `paper`'s 64 channels in float32, and copies."""

SHARE_OF_MEMORY = 0.5
"""Of a device's memory that a tile may take; the rest is the screen's and other programs'."""

LEAST_PX = 256 * 256
"""Where a device fails with no more than this, smaller tiles are not tried: the CPU does it."""


class GuardedEngine:
    """A device's engine that the CPU watches; see `acutance.engines.engine.Engine`."""

    def __init__(
        self, device: Engine, cpu: Engine, *, title: str, memory_bytes: int | None = None, is_rounded: bool = False
    ) -> None:
        """Take two engines of one model, both of which it closes.

        Args:
            device: Whose work is checked.
            cpu: The reference.
            title: What the device is called in words.
            memory_bytes: The device's memory, if it is known.
            is_rounded: Whether the device computes in 16 bits. What overflows there is no fault: the CPU does that
                tile.
        """
        self._device: Engine | None = device
        self._cpu = cpu
        self.title = title
        self.spec, self.is_offloaded = cpu.spec, device.is_offloaded
        self._is_rounded = is_rounded
        self._most_px = (
            None if memory_bytes is None else max(LEAST_PX, int(SHARE_OF_MEMORY * memory_bytes / BYTES_PER_PX))
        )
        self._checked: set[tuple[int, ...]] = set()
        self._lock = threading.Lock()

    @property
    def uses_device(self) -> bool:
        """Whether the device still works, as far as is known."""
        return self._device is not None

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch; see `Engine.run`."""
        device = self._device
        if device is None:
            return self._cpu.run(batch)
        self._refuse_too_large(batch)
        try:
            restored = device.run(batch)
        except OutOfMemory:
            self._try_smaller(batch)
            return self._instead(batch, "has not enough memory for a small tile")
        except EngineError as error:
            if self._passes_check(device):  # so it is this batch that it cannot do
                self._try_smaller(batch)
            return self._instead(batch, str(error))
        if not is_finite(restored):
            return self._without_infinity(batch, device)
        if batch.shape not in self._checked:
            worst = self._difference(restored, batch)
            if worst > ALLOWED_DIFFERENCE:
                if self._passes_check(device):
                    self._try_smaller(batch)
                return self._instead(batch, complaint(worst))
            self._checked.add(batch.shape)
        return restored

    def close(self) -> None:
        """Free both engines."""
        if self._device is not None:
            self._device.close()
        self._cpu.close()

    def _refuse_too_large(self, batch: npt.NDArray[np.float32]) -> None:
        """Have the caller cut smaller tiles at once where a batch as large is known not to fit."""
        if self._most_px is not None and _pixels(batch) > self._most_px:
            raise OutOfMemory(f"{self.title}: not enough memory for a batch of {_pixels(batch)} pixels.")

    def _try_smaller(self, batch: npt.NDArray[np.float32]) -> None:
        """Remember that a batch was too large, and have the caller cut it; return where it is small already."""
        if _pixels(batch) > LEAST_PX:
            self._limit_to(_pixels(batch) - 1)
            self._refuse_too_large(batch)

    def _limit_to(self, most_px: int) -> None:
        with self._lock:
            self._most_px = most_px if self._most_px is None else min(most_px, self._most_px)

    def _difference(self, restored: npt.NDArray[np.float32], batch: npt.NDArray[np.float32]) -> float:
        """Return how far a tile of a new size is from the CPU's, by its corner, or as a whole where that is off."""
        try:
            worst = corner_difference(restored, self._cpu, batch)
        except EngineError:  # a network that takes one size only
            worst = math.inf
        if worst <= ALLOWED_DIFFERENCE:
            return worst
        return difference(restored, self._cpu.run(batch))  # the network may look further than a halo

    def _passes_check(self, device: Engine) -> bool:
        try:
            return worst_difference(device, self._cpu, picture_of_noise(self.spec)) <= ALLOWED_DIFFERENCE
        except EngineError:
            return False

    def _without_infinity(self, batch: npt.NDArray[np.float32], device: Engine) -> npt.NDArray[np.float32]:
        """Run on the CPU what came back with values that are no numbers, and see whose fault it was."""
        restored = self._cpu.run(batch)
        if self._is_rounded or not is_finite(restored):
            return restored  # the latter is the network's own, which the caller tells
        if _pixels(batch) > LEAST_PX and self._passes_check(device):
            self._limit_to(_pixels(batch) - 1)
        else:
            self._leave(complaint(math.inf))
        return restored

    def _instead(self, batch: npt.NDArray[np.float32], fault: str) -> npt.NDArray[np.float32]:
        """Give the device up, and run a batch on the CPU."""
        restored = self._cpu.run(batch)  # first: what the CPU cannot do either is not the device's fault
        self._leave(fault)
        return restored

    def _leave(self, fault: str) -> None:
        with self._lock:
            is_first, self._device = self._device is not None, None
        if is_first:
            LOG.warning("%s: %s; the CPU does the rest.", self.title, fault.rstrip("."))


def _pixels(batch: npt.NDArray[np.float32]) -> int:
    count, _, height, width = batch.shape
    return int(count * height * width)
