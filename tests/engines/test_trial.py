"""Which processor a trial chooses, and what is remembered of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acutance.engines.devices import PROVIDERS, Device
from acutance.engines.fake import Batch, FakeEngine
from acutance.engines.trial import Candidate, Trials, megapixels_per_s
from acutance.engines.trial_memory import FILE, KEPT, Measured, TrialMemory
from acutance.errors import EngineError


class Clock:
    """A clock that only engines move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def engine(self, rate: float, function: Callable[[Batch], Batch] = lambda batch: batch) -> FakeEngine:
        """Return an engine that takes its time: so many megapixels per second."""

        def run(batch: Batch) -> Batch:
            self.now += batch.shape[2] * batch.shape[3] / 1e6 / rate
            return function(batch)

        return FakeEngine(run)


def device(key: str) -> Device:
    def opened(model: bytes, settings: object) -> object:
        raise AssertionError("trials open candidates by their own function")

    return Device(
        provider=PROVIDERS[0],
        title=f"WebGPU on {key}",
        key=key,
        kind="GPU",
        memory_bytes=None,
        opened=opened,  # type: ignore[arg-type]
    )


class Machine:
    """Devices by name, the CPU, and how often each was opened."""

    def __init__(self, memory: TrialMemory, engines: dict[str, Callable[[], FakeEngine]], clock: Clock) -> None:
        self.opened: list[str] = []
        self._engines = engines
        self.trials = Trials(
            spec=FakeEngine().spec,
            machine="a machine",
            opened=lambda candidate: self.open(f"{candidate.device.key} {candidate.precision}"),
            reference=FakeEngine(),
            cpu=("onnxruntime float32", lambda: self.open("cpu")),
            memory=memory,
            clock=clock,
        )

    def open(self, name: str) -> FakeEngine:
        self.opened.append(name)
        return self._engines[name]()


FLOAT32 = Candidate(device("chip"), "float32")
FLOAT16 = Candidate(FLOAT32.device, "float16")
OTHER = Candidate(device("other chip"), "float32")


@pytest.fixture
def memory(tmp_path: Path) -> TrialMemory:
    return TrialMemory(tmp_path / FILE)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"cpu": 1, "chip float32": 5, "chip float16": 9, "other chip float32": 2}, FLOAT16),
        ({"cpu": 1, "chip float32": 5, "chip float16": 5.2, "other chip float32": 2}, FLOAT32),
        ({"cpu": 1, "chip float32": 5, "chip float16": 9, "other chip float32": 10}, OTHER),
        ({"cpu": 4.5, "chip float32": 5, "chip float16": 5, "other chip float32": 2}, None),
        ({"cpu": 4.5, "chip float32": 0.001, "chip float16": 0.0001, "other chip float32": 1e-5}, None),
    ],
)
def test_the_fastest_is_taken_and_only_measured_once(
    memory: TrialMemory, rates: dict[str, float], expected: Candidate | None
) -> None:
    clock = Clock()
    machine = Machine(memory, {name: (lambda rate=rate: clock.engine(rate)) for name, rate in rates.items()}, clock)
    candidates = [FLOAT32, FLOAT16, OTHER]
    assert machine.trials.fastest(candidates) == expected
    assert sorted(machine.opened) == sorted(rates)
    again = Machine(TrialMemory(memory.path), {}, clock)
    assert again.trials.fastest(candidates) == expected
    assert again.opened == []


def test_a_trial_takes_half_a_second_even_where_the_cpu_is_slow() -> None:
    for rate in (0.2, 1.0, 30.0, 500.0):
        clock = Clock()
        measured = megapixels_per_s(clock.engine(rate), clock=clock)
        assert measured == pytest.approx(rate)
        assert clock.now < 0.75
    clock = Clock()
    engine = clock.engine(0.001)  # a software renderer: one small picture takes seconds
    assert megapixels_per_s(engine, clock=clock) == pytest.approx(0.001)
    assert len(engine.sizes) == 1


@pytest.mark.parametrize(
    ("behaves", "told"),
    [
        (lambda batch: batch + np.float32(0.01), "wrong pixels, 2.55 levels of 255 off"),
        (lambda batch: batch * np.float32(np.nan), "no numbers"),
        (lambda batch: batch[..., :-1], "no numbers"),
        (None, "the driver is too old"),
    ],
)
def test_a_device_that_is_wrong_or_fails_is_out_and_told_once(
    memory: TrialMemory, caplog: pytest.LogCaptureFixture, behaves: Callable[[Batch], Batch] | None, told: str
) -> None:
    clock = Clock()

    def bad() -> FakeEngine:
        if behaves is None:
            raise EngineError("cannot run this network (the driver is too old).")
        return clock.engine(1000, behaves)

    machine = Machine(memory, {"cpu": lambda: clock.engine(1), "chip float32": bad, "chip float16": bad}, clock)
    assert machine.trials.fastest([FLOAT32, FLOAT16]) is None
    (record,) = caplog.records  # none of float16: many devices have it not
    assert told in record.getMessage()
    assert record.getMessage().startswith("WebGPU on chip, float32: ")
    assert record.getMessage().endswith("; it is not used.")
    caplog.clear()
    assert Machine(memory, {"cpu": lambda: clock.engine(1)}, clock).trials.fastest([FLOAT32, FLOAT16]) is None
    assert not caplog.records


def test_what_rounding_explains_is_no_fault(memory: TrialMemory) -> None:
    clock = Clock()
    engines = {"cpu": lambda: clock.engine(1), "chip float32": lambda: clock.engine(9, lambda batch: batch + 1e-3)}
    assert Machine(memory, engines, clock).trials.fastest([FLOAT32]) == FLOAT32  # type: ignore[arg-type]


def test_a_driver_that_takes_the_process_with_it_does_so_once(memory: TrialMemory) -> None:
    clock = Clock()
    marked: list[Measured | None] = []

    def dying() -> FakeEngine:
        rows = json.loads(memory.path.read_bytes())["trials"] if memory.path else {}
        marked.extend(Measured(**row) for row in rows.values())
        raise SystemExit  # the trial cannot tell it from the end of the process, but for what follows

    machine = Machine(memory, {"cpu": lambda: clock.engine(1), "chip float32": dying}, clock)
    with pytest.raises(SystemExit):
        machine.trials.fastest([FLOAT32])
    assert [row.fault for row in marked if row] == ["its trial was not finished: the process ended, or is still at it"]
    assert memory.path is not None
    assert json.loads(memory.path.read_bytes())["trials"] == {}, "Ctrl-C is no fault of the device"

    key = machine.trials._key("chip, float32")
    memory.keep(key, marked[0])  # as a crash would have left it
    after = Machine(memory, {"cpu": lambda: clock.engine(1)}, clock)
    assert after.trials.fastest([FLOAT32]) is None
    assert after.opened == []
    after.trials.forget([FLOAT32])
    better = Machine(memory, {"cpu": lambda: clock.engine(1), "chip float32": lambda: clock.engine(9)}, clock)
    assert better.trials.fastest([FLOAT32]) == FLOAT32


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"format": 1}', b'{"format": 2, "trials": {}}', b'{"format": 1, "trials": {"a": {}}}',
     b'{"format": 1, "trials": {"a": {"megapixels_per_s": "9", "worst_difference": 0, "fault": ""}}}'],
)  # fmt: skip
def test_a_damaged_memory_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(content)
    memory = TrialMemory(path)
    assert memory.recalled("a") is None
    memory.keep("a", Measured(1.0, 0.0))
    assert TrialMemory(path).recalled("a") == Measured(1.0, 0.0)
    assert os.listdir(tmp_path) == [FILE]


def test_the_memory_does_not_grow_for_ever_and_forgets_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "made when needed" / FILE
    rows = {f"{n}": {"megapixels_per_s": 1.0, "worst_difference": None, "fault": "x"} for n in range(KEPT)}
    path.parent.mkdir()
    path.write_text(json.dumps({"format": 1, "trials": rows}))
    memory = TrialMemory(path)
    memory.keep("0", Measured(2.0, 0.0))
    memory.keep("new", Measured(1.0, 0.0))
    kept = json.loads(path.read_bytes())["trials"]
    assert len(kept) == KEPT
    assert list(kept)[-2:] == ["0", "new"]
    assert "1" not in kept


def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    memory = TrialMemory(tmp_path / "file" / FILE)
    memory.keep("a", Measured(1.0, 0.0))
    assert memory.recalled("a") is None
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        assert TrialMemory().path == tmp_path / "cache" / "acutance" / FILE
