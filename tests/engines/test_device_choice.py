"""A network on the device that suits it, through a session that is not a device's: the choice, its memory, the CPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from acutance.engines import opening as engine_module
from acutance.engines.device_choice import measure_anew, open_on_device
from acutance.engines.devices import PROVIDERS, Device, Found
from acutance.engines.engine import EngineSettings
from acutance.engines.guarded_engine import GuardedEngine
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.engines.opening import offered_precisions, open_engine
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.engines.trial_memory import FILE, TrialMemory
from acutance.errors import ConfigError, CorruptWeights, EngineUnavailable
from acutance.zoo.catalogue import ModelPaths, find_model

Batch = npt.NDArray[np.float32]
MODEL = find_model("fast").fidelity.read_bytes()

TIMED_PX = 128
"""From this side on the pictures of a trial are only timed."""


class FakeSession:
    """The CPU's session as a device's, made fast: what it has seen is not computed again, and what only a trial's clock
    looks at is not computed at all. Or made slow, or wrong."""

    def __init__(self, model: bytes, change: Callable[[Batch], Batch]) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._change = change
        self._seen: dict[bytes, Batch] = {}

    def run(self, output_names: None, input_feed: Mapping[str, Batch]) -> Sequence[Batch]:
        (batch,) = input_feed.values()
        if batch.shape[2] >= TIMED_PX:
            return [self._change(batch)]
        key = batch.tobytes()
        if key not in self._seen:
            (self._seen[key],) = self._session.run(output_names, dict(input_feed))
        return [self._change(self._seen[key])]


class FakeDevice:
    """A device whose sessions are counted."""

    def __init__(self, change: Callable[[Batch], Batch] = lambda batch: batch, *, row: int = 4) -> None:
        self.sessions = 0
        self._change = change
        self.device = Device(
            provider=PROVIDERS[row],  # the default is one without float16
            title="a chip",
            key="a chip",
            kind="GPU",
            memory_bytes=None,
            opened=self._open,
        )

    def _open(self, model: bytes, settings: object) -> FakeSession:
        self.sessions += 1
        return FakeSession(model, self._change)


def slow(batch: Batch) -> Batch:
    time.sleep(0.6)
    return batch


def refuse(model: bytes, settings: object) -> FakeSession:
    raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : /src/context.cc:65 f() status was false. no adapter\nand more")


@pytest.fixture
def memory(tmp_path: Path) -> TrialMemory:
    return TrialMemory(tmp_path / FILE)


@pytest.fixture(autouse=True)
def no_cache_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def on_cpu() -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine.from_bytes(MODEL, 1)


def chosen(fake: FakeDevice, memory: TrialMemory, *, or_cpu: bool = True) -> GuardedEngine | None:
    cpu = ("onnxruntime float32", on_cpu) if or_cpu else None
    opened = open_on_device(MODEL, [fake.device], name="fast", precision="auto", threads=1, cpu=cpu, memory=memory)
    assert opened is None or isinstance(opened, GuardedEngine)
    return opened


def test_a_faster_device_is_taken_and_its_trial_remembered(memory: TrialMemory) -> None:
    fake = FakeDevice()
    opened = chosen(fake, memory)
    assert opened is not None
    batch = np.random.default_rng(0).random((1, 3, 40, 48), dtype=np.float32)
    np.testing.assert_array_equal(opened.run(batch), on_cpu().run(batch))
    assert opened.is_offloaded
    assert opened.title == "a chip, float32"
    assert opened.spec.name == "fast"
    assert fake.sessions == 2, "one for the trial, one to work"
    again = FakeDevice()
    assert chosen(again, memory) is not None
    assert again.sessions == 1


def test_a_slower_device_is_not_and_that_is_remembered_too(
    memory: TrialMemory, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen(FakeDevice(slow), memory) is None
    again = FakeDevice(slow)
    assert chosen(again, memory) is None
    assert again.sessions == 0
    assert not caplog.records


def test_a_wrong_device_is_told_once_and_the_cpu_taken(memory: TrialMemory, caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeDevice(lambda batch: batch * np.float32(0.9))
    assert chosen(fake, memory) is None
    assert "a chip, float32: gave wrong pixels" in caplog.text
    caplog.clear()
    assert chosen(fake, memory) is None
    assert not caplog.records
    assert chosen(fake, memory, or_cpu=False) is None
    assert "gave wrong pixels" in caplog.text, "who asks for a device is told every time"


def test_a_device_that_has_turned_wrong_since_its_trial_is_found_out(
    memory: TrialMemory, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen(FakeDevice(), memory) is not None
    assert chosen(FakeDevice(lambda batch: batch + np.float32(0.1)), memory) is None
    assert "a chip, float32: gave wrong pixels, 25.5 levels of 255 off; the CPU does it." in caplog.text


def test_a_device_that_cannot_be_opened(memory: TrialMemory, caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeDevice()
    fake.device = Device(provider=PROVIDERS[4], title="a chip", key="b", kind="GPU", memory_bytes=None, opened=refuse)
    assert chosen(fake, memory) is None
    assert [record.getMessage() for record in caplog.records] == [
        "a chip, float32: cannot run this network (no adapter); it is not used."
    ]


def test_float16_is_tried_where_a_provider_has_it_and_doctor_tries_anew(memory: TrialMemory) -> None:
    fake = FakeDevice(row=0)
    for sessions in (2, 4):
        tried = measure_anew(MODEL, [fake.device], name="fast", memory=memory)
        assert [(candidate.precision, measured.fault) for candidate, measured in tried] == [
            ("float32", ""),
            ("float16", ""),
        ]
        assert fake.sessions == sessions
    opened = open_on_device(MODEL, [fake.device], name="fast", precision="float16", threads=1, cpu=None, memory=memory)
    assert isinstance(opened, GuardedEngine)
    assert opened.title == "a chip, float16"


def test_a_damaged_model_is_not_the_devices_fault(memory: TrialMemory, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CorruptWeights):
        open_on_device(
            MODEL[:5000], [FakeDevice().device], name="cut", precision="auto", threads=1, cpu=None, memory=memory
        )
    assert not caplog.records


def test_a_network_of_one_size_cannot_be_checked_and_runs_on_the_cpu(
    memory: TrialMemory, caplog: pytest.LogCaptureFixture
) -> None:
    onnx = pytest.importorskip("onnx", reason="changes a model's file")
    model = onnx.load_from_string(MODEL)
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_value = 64
    fixed = model.SerializeToString()
    fake = FakeDevice()
    for cpu, words in ((("onnxruntime float32", on_cpu), 0), (None, 1)):
        opened = open_on_device(fixed, [fake.device], name="fixed", precision="auto", threads=1, cpu=cpu, memory=memory)
        assert opened is None
        assert len(caplog.records) == words
    assert fake.sessions == 0


def test_a_network_that_tells_its_one_size_is_checked_at_that(memory: TrialMemory) -> None:
    pytest.importorskip("onnx", reason="networks of others are built with the extra 'torch'")
    from tests.engines import alien_networks as alien

    from acutance.engines.foreign import adopt
    from acutance.engines.foreign_told import Told

    net = adopt(alien.minus_mean(shape=[1, 3, 64, 64], out=[1, 3, 64, 64]), name="net", told=Told(range="0..1")).file
    fake = FakeDevice()
    opened = open_on_device(net, [fake.device], name="net", precision="auto", threads=1, cpu=None, memory=memory)
    assert isinstance(opened, GuardedEngine)
    batch = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
    np.testing.assert_array_equal(opened.run(batch), OnnxRuntimeEngine.from_bytes(net, 1).run(batch))
    assert opened.uses_device


# --- by the names of engines ------------------------------------------------------------------------------


@pytest.fixture
def with_devices(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeDevice], None]:
    """Let a fake device be what is found on this machine."""

    def found(fake: FakeDevice) -> None:
        monkeypatch.setattr("acutance.engines.devices.find_devices", lambda: Found((fake.device,), ()))
        monkeypatch.setattr(engine_module, "find_devices", lambda: Found((fake.device,), ()))

    return found


def test_engines_by_name(with_devices: Callable[[FakeDevice], None]) -> None:
    fake = FakeDevice(row=0)
    with_devices(fake)
    paths = find_model("fast")
    for engine in ("onnxruntime", "cpu"):
        assert not isinstance(open_engine(paths, EngineSettings(engine=engine, threads=1)), GuardedEngine)  # type: ignore[arg-type]
    assert fake.sessions == 0
    for engine in ("auto", "gpu", "webgpu"):
        assert isinstance(open_engine(paths, EngineSettings(engine=engine, threads=1)), GuardedEngine)  # type: ignore[arg-type]
    with pytest.raises(EngineUnavailable, match="engine cuda: "):
        open_engine(paths, EngineSettings(engine="cuda"))
    assert offered_precisions("gpu") == offered_precisions("webgpu") == ("float32", "float16")
    assert offered_precisions("cpu")[-1] != "float16"
    assert offered_precisions("cuda") == ("float32",)


def test_precisions_by_name(with_devices: Callable[[FakeDevice], None]) -> None:
    fake = FakeDevice(row=0)
    with_devices(fake)
    paths = ModelPaths(fidelity=find_model("fast").fidelity)
    opened = open_engine(paths, EngineSettings(engine="auto", precision="float16", threads=1))
    assert isinstance(opened, GuardedEngine)
    assert opened.title == "a chip, float16"
    with pytest.raises(ConfigError, match="precision bfloat16: engine gpu has it not"):
        open_engine(paths, EngineSettings(engine="gpu", precision="bfloat16"))
    with pytest.raises(ConfigError, match="precision float16: only devices such as a GPU have it"):
        open_engine(paths, EngineSettings(engine="onnxruntime", precision="float16"))
    with_devices(FakeDevice())
    with pytest.raises(ConfigError, match="precision float16: engine coreml has it not"):
        open_engine(paths, EngineSettings(engine="coreml", precision="float16"))


def test_blended_weights_run_on_a_device(with_devices: Callable[[FakeDevice], None]) -> None:
    with_devices(FakeDevice())
    opened = open_engine(find_model("fast"), EngineSettings(engine="coreml", fidelity=0.5, threads=1))
    assert isinstance(opened, GuardedEngine)
    batch = np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    expected = open_engine(find_model("fast"), EngineSettings(engine="onnxruntime", fidelity=0.5, threads=1)).run(batch)
    np.testing.assert_array_equal(opened.run(batch), expected)
