"""Which processor runs a network: each is timed for half a second, once for a machine, a driver and a network.

The choice is by what was measured, never by a name. A device that gives other pixels than the CPU, or fails, is out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from acutance.engines.device_check import ALLOWED_DIFFERENCE, SIDES_PX, complaint, picture_of_noise, worst_difference
from acutance.engines.guarded_engine import LOG
from acutance.engines.trial_memory import DID_NOT_SURVIVE, Measured, TrialMemory
from acutance.errors import EngineError
from acutance.spec import ModelSpec

if TYPE_CHECKING:
    from acutance.engines.devices import Device
    from acutance.engines.engine import Engine

DevicePrecision = Literal["float32", "float16"]

TRIAL_S = 0.5
"""What a trial may take, about, once the network has run; a processor that needs longer for a small picture is timed by
that one."""

TRIAL_SIDES_PX = (SIDES_PX, (128, 128), (256, 256), (512, 512), (1024, 1024))
"""Of the pictures that a trial runs, one after the other: the larger, the nearer to what a tile gives."""

DEVICE_GAIN = 1.2
"""How many times as fast as the CPU a device must be: the CPU starts sooner, and its tiles are exact to the bit."""

FLOAT16_GAIN = 1.15
"""How many times as fast float16 must be as float32 on the same device."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device and what it would compute in."""

    device: Device
    precision: DevicePrecision

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.device.title}, {self.precision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """What a trial needs to know of machine and network."""

    spec: ModelSpec
    machine: str
    """The CPU, how much of it may be used, versions and drivers, in words."""
    opened: Callable[[Candidate], Engine]
    """Opens a candidate, unguarded."""
    reference: Engine
    """The CPU, in float32."""
    cpu: tuple[str, Callable[[], Engine]] | None
    """What would run on the CPU (engine, precision, threads), and how it is opened; None where that is no choice."""
    memory: TrialMemory
    clock: Callable[[], float] = time.perf_counter

    def fastest(self, candidates: Iterable[Candidate]) -> Candidate | None:
        """Return the fastest that may be used, if it is `DEVICE_GAIN` times as fast as the CPU; else None.

        Args:
            candidates: The devices, in both precisions where they have them, float32 first.
        """
        best: Candidate | None = None
        best_rate = 0.0
        for candidate in candidates:
            measured = self.of(candidate)
            gain = FLOAT16_GAIN if best is not None and candidate.device is best.device else 1.0
            if not measured.fault and measured.megapixels_per_s > gain * best_rate:
                best, best_rate = candidate, measured.megapixels_per_s
        if best is None or self.cpu is None:
            return best
        return best if best_rate >= DEVICE_GAIN * self.of_cpu(*self.cpu).megapixels_per_s else None

    def of(self, candidate: Candidate) -> Measured:
        """Return what was measured of a candidate, now or earlier; a word in the log tells a fault when it is new."""
        key = self._key(f"{candidate.device.key}, {candidate.precision}")
        measured = self.memory.recalled(key)
        if measured is None:
            measured = self._kept(key, lambda: self._tried(candidate))
            if measured.fault and candidate.precision == "float32":  # many have no float16: that needs no word
                LOG.warning("%s: %s; it is not used.", candidate.title, measured.fault.rstrip("."))
        return measured

    def of_cpu(self, name: str, opened: Callable[[], Engine]) -> Measured:
        """Return what was measured of the CPU, now or earlier."""
        key = self._key(f"CPU, {name}")
        return self.memory.recalled(key) or self._kept(key, lambda: self._timed(opened()))

    def forget(self, candidates: Iterable[Candidate]) -> None:
        """Have devices be measured anew, those that did not survive their trial, too."""
        for candidate in candidates:
            self.memory.keep(self._key(f"{candidate.device.key}, {candidate.precision}"), None)

    def _key(self, processor: str) -> str:
        spec = self.spec
        return f"{processor} | {spec.name}, {spec.macs_per_pixel} MACs per pixel, × {spec.scale} | {self.machine}"

    def _kept(self, key: str, trial: Callable[[], Measured]) -> Measured:
        self.memory.keep(key, DID_NOT_SURVIVE)
        try:
            measured = trial()
        except BaseException:  # Ctrl-C, say: that is no fault of the processor
            self.memory.keep(key, None)
            raise
        self.memory.keep(key, measured)
        return measured

    def _tried(self, candidate: Candidate) -> Measured:
        """Check a device, then time it."""
        try:
            engine = self.opened(candidate)
        except EngineError as error:
            return Measured(0.0, None, str(error))
        try:
            worst = worst_difference(engine, self.reference, picture_of_noise(self.spec))
            if worst > ALLOWED_DIFFERENCE:
                return Measured(0.0, worst if math.isfinite(worst) else None, complaint(worst))
            return Measured(megapixels_per_s(engine, clock=self.clock), worst)
        except EngineError as error:
            return Measured(0.0, None, str(error))
        finally:
            engine.close()

    def _timed(self, engine: Engine) -> Measured:
        try:
            return Measured(megapixels_per_s(engine, clock=self.clock), 0.0)
        finally:
            engine.close()


def megapixels_per_s(engine: Engine, *, clock: Callable[[], float]) -> float:
    """Time an engine for about `TRIAL_S`, on pictures of growing size; return the rate of the largest that it came to.

    Raises:
        EngineError: When it fails at the smallest picture already.
    """
    rate = spent = 0.0
    for sides in TRIAL_SIDES_PX:
        batch = picture_of_noise(engine.spec, sides)
        try:
            first = _seconds(engine, batch, clock)
            second = _seconds(engine, batch, clock) if spent + first < TRIAL_S else first
        except EngineError:
            if not rate:
                raise
            break  # the largest tiles need not fit
        rate = batch.shape[2] * batch.shape[3] / 1e6 / max(min(first, second), 1e-9)
        spent += first + second
        if spent + 8 * min(first, second) > TRIAL_S:  # the next has four times the pixels, and runs twice
            break
    return rate


def _seconds(engine: Engine, batch: npt.NDArray[np.float32], clock: Callable[[], float]) -> float:
    start = clock()
    engine.run(batch)
    return clock() - start
