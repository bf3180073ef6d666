"""Finding devices: in stand-ins for ONNX Runtime as it is on other machines, and on this one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import get_args

import numpy as np
import pytest

from acutance.engines import devices
from acutance.engines.device_check import ALLOWED_DIFFERENCE
from acutance.engines.devices import PROVIDERS, Device, devices_for, find_devices, graphics_makers
from acutance.engines.engine import DeviceEngine, EngineSettings
from acutance.engines.guarded_engine import GuardedEngine
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.engines.opening import open_engine
from acutance.errors import EngineUnavailable
from acutance.zoo.catalogue import find_model


@dataclass
class Runtime:
    """A stand-in for `onnxruntime`: what it lists, and what it was asked for."""

    available: list[str] = field(default_factory=lambda: ["AzureExecutionProvider", "CPUExecutionProvider"])
    entries: list[SimpleNamespace] = field(default_factory=list)
    registered: list[tuple[str, str]] = field(default_factory=list)
    sessions: list[tuple[object, dict[str, object]]] = field(default_factory=list)
    used: list[str] = field(default_factory=lambda: ["CPUExecutionProvider"])
    __version__: str = "9.9"

    def get_available_providers(self) -> list[str]:
        return self.available

    def get_ep_devices(self) -> list[SimpleNamespace]:
        return self.entries

    def set_default_logger_severity(self, level: int) -> None:
        assert level == 4

    def preload_dlls(self) -> None:
        print("Failed to load libcudart.so.13")  # noqa: T201 - as the real one does

    def register_execution_provider_library(self, name: str, path: str) -> None:
        if "broken" in path:
            raise RuntimeError("needs a newer onnxruntime\nand more lines")
        self.registered.append((name, path))

    def InferenceSession(self, model: bytes, settings: object, **more: object) -> SimpleNamespace:  # noqa: N802
        self.sessions.append((settings, more))
        return SimpleNamespace(get_providers=lambda: self.used, run=lambda names, feed: [feed["degraded"]])


def entry(
    ep_name: str, kind: str, vendor_id: int, metadata: dict[str, str] | None = None, **told: str
) -> SimpleNamespace:
    chip = SimpleNamespace(
        type=SimpleNamespace(name=kind), vendor="", vendor_id=vendor_id, device_id=0x2684, metadata=metadata or {}
    )
    return SimpleNamespace(ep_name=ep_name, ep_vendor="", ep_metadata={"version": "0.4.0", **told}, device=chip)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Runtime]:
    """A stand-in in place of ONNX Runtime, with no plug-in installed."""
    stand_in = Runtime()
    monkeypatch.setattr(devices, "onnxruntime", stand_in)
    monkeypatch.setattr(devices, "find_spec", lambda name: name in plugged_in or None)
    monkeypatch.setattr(devices, "import_module", lambda name: plugged_in[name])
    monkeypatch.setattr(devices, "SYSFS_CARDS", tmp_path)
    plugged_in.clear()
    find_devices.cache_clear()
    yield stand_in
    find_devices.cache_clear()


plugged_in: dict[str, ModuleType] = {}


def plug_in(module: str, path: str = "/somewhere/lib.so") -> None:
    plugged_in[module] = SimpleNamespace(get_library_path=lambda: path)  # type: ignore[assignment]


def test_every_engine_of_the_list_is_one_provider() -> None:
    assert sorted(provider.engine for provider in PROVIDERS) == sorted(get_args(DeviceEngine))


def test_a_plain_installation_has_none(runtime: Runtime) -> None:
    assert find_devices().devices == ()
    assert devices_for("auto") == ()
    assert runtime.registered == []
    with pytest.raises(
        EngineUnavailable, match=r"engine gpu: is not installed; pip install .*'onnxruntime-ep-webgpu>=[\d.]+'\.$"
    ):
        devices_for("gpu")
    with pytest.raises(EngineUnavailable, match=r"engine cuda: .*pip install onnxruntime-gpu in place of onnxruntime"):
        devices_for("cuda")
    with pytest.raises(EngineUnavailable, match="engine coreml: is not installed; only macOS has it"):
        devices_for("coreml")


def test_a_plug_in_without_a_device_says_so_only_when_asked(
    runtime: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    plug_in("onnxruntime_ep_webgpu")
    assert devices_for("auto") == ()
    assert runtime.registered == [("WebGpuExecutionProvider", "/somewhere/lib.so")]
    assert capfd.readouterr() == ("", "")
    with pytest.raises(
        EngineUnavailable, match="engine webgpu: onnxruntime-ep-webgpu is installed and finds no device"
    ):
        devices_for("webgpu")


def test_a_plug_in_that_cannot_be_loaded_is_no_fault_of_the_cpu(runtime: Runtime) -> None:
    plug_in("onnxruntime_ep_webgpu", "/broken/lib.so")
    assert devices_for("auto") == ()
    (fault,) = find_devices().faults
    assert fault == "onnxruntime-ep-webgpu: cannot be loaded (needs a newer onnxruntime)."
    with pytest.raises(EngineUnavailable, match="engine gpu: onnxruntime-ep-webgpu: cannot be loaded"):
        devices_for("gpu")


def test_the_separate_chip_is_named_and_its_session_is_opened_on_it(runtime: Runtime) -> None:
    plug_in("onnxruntime_ep_webgpu")
    runtime.entries = [
        entry("CPUExecutionProvider", "CPU", 0x8086),
        entry("WebGpuExecutionProvider", "GPU", 0x8086, {"Discrete": "0"}),
        entry("WebGpuExecutionProvider", "GPU", 0x10DE, {"Discrete": "1"}),
    ]
    (device,) = devices_for("auto")
    assert device.title == "WebGPU on NVIDIA GPU 0x2684"
    assert device.key == "WebGpuExecutionProvider 0.4.0, onnxruntime 9.9, GPU 0x10de 0x2684 NVIDIA GPU 0x2684"
    assert (device.kind, device.memory_bytes) == ("GPU", None)
    added: list[object] = []
    settings = SimpleNamespace(add_provider_for_devices=lambda chosen, options: added.extend([chosen, options]))
    device.opened(b"", settings)
    assert added == [[runtime.entries[2]], {}]
    assert runtime.sessions == [(settings, {"enable_fallback": 0})]
    assert devices_for("gpu") == devices_for("webgpu") == (device,)


def test_openvinos_graphics_chip_tells_its_name_and_memory(runtime: Runtime) -> None:
    plug_in("onnxruntime_ep_openvino")
    told = {"FULL_DEVICE_NAME": "Intel Arc", "GPU_DEVICE_TOTAL_MEM_SIZE": "8000000000"}
    runtime.entries = [
        entry("OpenVINOExecutionProvider", "CPU", 0x8086),  # engine openvino's
        entry("OpenVINOExecutionProvider.AUTO", "GPU", 0x8086),
        entry("OpenVINOExecutionProvider", "GPU", 0x8086, **told),
    ]
    (device,) = devices_for("auto")
    assert (device.title, device.memory_bytes) == ("OpenVINO on Intel Arc", 8_000_000_000)
    assert device.provider.engine == "openvino-ep"


def test_a_runtime_that_was_built_for_cuda(runtime: Runtime, capfd: pytest.CaptureFixture[str]) -> None:
    runtime.available = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    (device,) = devices_for("auto")
    assert device.title == "CUDA"
    assert [one.title for one in find_devices().devices] == ["CUDA", "TensorRT"]
    assert capfd.readouterr() == ("", ""), "what it lacks is told when it is tried"
    with pytest.raises(RuntimeError, match="CUDAExecutionProvider cannot be used on this machine"):
        device.opened(b"", SimpleNamespace())
    runtime.used = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    device.opened(b"", SimpleNamespace())
    assert runtime.sessions[-1][1] == {
        "providers": [("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})],
        "enable_fallback": 0,
    }


def test_what_compiles_for_every_size_is_only_used_when_named(runtime: Runtime) -> None:
    runtime.available = ["CoreMLExecutionProvider", "CPUExecutionProvider"]
    assert devices_for("auto") == ()
    assert [device.title for device in devices_for("gpu")] == ["CoreML"]
    assert devices_for("coreml") == devices_for("gpu")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems list chips elsewhere")
def test_makers_of_the_chips_that_linux_lists(runtime: Runtime, tmp_path: Path) -> None:
    assert graphics_makers() == ()
    for name, vendor in (("card0", "0x8086\n"), ("card0-HDMI-A-1", ""), ("card1", "0x1002\n"), ("card2", None)):
        (tmp_path / name / "device").mkdir(parents=True)
        if vendor is not None:
            (tmp_path / name / "device" / "vendor").write_text(vendor)
    (tmp_path / "card1" / "device" / "mem_info_vram_total").write_text("2000000000\n")
    assert graphics_makers() == ("Intel", "AMD")
    plug_in("onnxruntime_ep_webgpu")
    runtime.entries = [entry("WebGpuExecutionProvider", "GPU", 0x1002)]
    assert devices_for("gpu")[0].memory_bytes == 2_000_000_000


# --- on this machine --------------------------------------------------------------------------------------


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Device]]:
    """What this machine has; a test that needs more is skipped, and says what for."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    find_devices.cache_clear()

    def device(engine: str) -> Device:
        found = [one for one in find_devices().devices if one.provider.engine == engine]
        if not found:
            pytest.skip(f"needs a device that ONNX Runtime reaches by {engine}")
        return found[0]

    yield device
    find_devices.cache_clear()


@pytest.mark.parametrize("engine", get_args(DeviceEngine))
def test_a_real_device_gives_the_cpus_pixels(engine: DeviceEngine, here: Callable[[str], Device]) -> None:
    device = here(engine)
    model = find_model("fast").fidelity.read_bytes()
    batch = np.random.default_rng(1).random((1, 3, 32, 32), dtype=np.float32)
    expected = OnnxRuntimeEngine.from_bytes(model, 1).run(batch)
    restored = OnnxRuntimeEngine.from_bytes(model, 1, device=device).run(batch)
    np.testing.assert_allclose(restored, expected, atol=ALLOWED_DIFFERENCE)
    opened = open_engine(find_model("fast"), EngineSettings(engine=engine, precision="float32"))
    assert isinstance(opened, GuardedEngine)
    np.testing.assert_allclose(opened.run(batch), expected, atol=ALLOWED_DIFFERENCE)
    assert opened.uses_device
    opened.close()
