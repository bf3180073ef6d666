"""What `acutance doctor` says of processors: what there is, what was measured, and only hints that are true."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from acutance.cli import processor_report
from acutance.cli.main import app
from acutance.cli.processor_report import found_processors, hints, measured_processors
from acutance.engines.devices import PROVIDERS, Device, Found
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.extras import how_to_get
from acutance.zoo.catalogue import find_model


class Machine:
    """What a machine has, as the report sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found = Found((), ())
        self.makers: tuple[str, ...] | None = ()
        self.modules: set[str] = {"openvino"}
        self.programs: set[str] = set()
        self.has_vulkan = True
        self.is_intel = True
        monkeypatch.setattr(processor_report, "find_devices", lambda: self.found)
        monkeypatch.setattr(processor_report, "graphics_makers", lambda: self.makers)
        monkeypatch.setattr(processor_report, "find_spec", lambda name: name if name in self.modules else None)
        monkeypatch.setattr(processor_report.shutil, "which", lambda name: name if name in self.programs else None)
        monkeypatch.setattr(processor_report, "find_library", lambda name: name if self.has_vulkan else None)
        monkeypatch.setattr(processor_report, "is_intel", lambda: self.is_intel)
        monkeypatch.setattr(processor_report, "multiplies_bfloat16", lambda: True)
        monkeypatch.setattr(processor_report.sys, "platform", "linux")

    def reach(self, *engines: str) -> None:
        self.found = Found(tuple(device(engine) for engine in engines), ())


def device(engine: str, change: float = 0.0) -> Device:
    (provider,) = (provider for provider in PROVIDERS if provider.engine == engine)

    class Session:
        def __init__(self, model: bytes) -> None:
            self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

        def run(self, names: None, feed: dict[str, object]) -> list[object]:
            return [self._session.run(names, feed)[0] + change]

    return Device(
        provider=provider,
        title=f"{provider.title} on a chip",
        key=engine,
        kind="GPU",
        memory_bytes=None,
        opened=lambda model, settings: Session(model),  # type: ignore[arg-type,return-value]
    )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return Machine(monkeypatch)


def test_a_machine_without_a_chip_gets_no_hint_of_one(machine: Machine) -> None:
    assert found_processors() == ["none beside the CPU"]
    assert hints() == []


def test_what_could_be_installed_for_the_chips_that_are_there(machine: Machine) -> None:
    machine.makers = ("Intel", "NVIDIA")
    webgpu, cuda, openvino = hints()
    assert webgpu == f"{how_to_get('gpu')}: runs networks on the graphics chip (Intel, NVIDIA) by WebGPU"
    assert cuda.startswith("pip install onnxruntime-gpu in place of onnxruntime: ")
    assert openvino.startswith("pip install onnxruntime-ep-openvino: ")
    machine.modules |= {"onnxruntime_ep_webgpu", "onnxruntime_ep_openvino"}
    machine.reach("webgpu", "cuda", "openvino-ep")
    assert hints() == []


def test_where_the_system_does_not_list_chips_the_hint_says_if(machine: Machine) -> None:
    machine.makers = None
    assert hints() == [f"{how_to_get('gpu')}: runs networks on a graphics chip, if this machine has one, by WebGPU"]


def test_a_plug_in_without_vulkan(machine: Machine) -> None:
    machine.makers, machine.has_vulkan = ("AMD",), False
    machine.modules.add("onnxruntime_ep_webgpu")
    assert hints() == [
        "install Vulkan's loader (libvulkan1 or vulkan-loader): then WebGPU can reach the graphics chip (AMD)"
    ]
    machine.has_vulkan = True
    assert hints() == []


def test_a_processor_that_openvino_is_faster_on(machine: Machine) -> None:
    machine.modules.clear()
    assert hints() == [f"{how_to_get('openvino')}: on this Intel processor about five times as fast, in bfloat16"]
    machine.is_intel = False
    assert hints() == []


def test_devices_and_what_keeps_a_package_from_working(machine: Machine) -> None:
    machine.found = Found((device("webgpu"),), ("onnxruntime-ep-openvino: cannot be loaded (no).",))
    assert found_processors() == [
        "WebGPU on a chip (--engine webgpu)",
        "onnxruntime-ep-openvino: cannot be loaded (no).",
    ]


def test_every_device_is_measured_in_every_precision(machine: Machine) -> None:
    machine.found = Found((device("openvino-ep"), device("coreml", change=0.1)), ())
    right, wrong = measured_processors(find_model("fast"))
    assert right.startswith("OpenVINO on a chip, float32: ")
    assert "megapixels/s (a 12-megapixel photo: about " in right
    assert right.endswith(", at most 0 levels of 255 off the CPU")
    assert wrong == "CoreML on a chip, float32: not used: gave wrong pixels, 25.5 levels of 255 off"


def test_the_verb_shows_them_and_puts_long_lists_on_lines(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.makers = ("AMD",)
    monkeypatch.setattr("acutance.cli.diagnosis._speeds", lambda: ["fast " * 13, "slow"])
    lines = CliRunner().invoke(app, ["doctor"]).output.splitlines()
    assert "processors             none beside the CPU" in lines
    assert [line.strip() for line in lines][-3:-1] == ["speed of the default   " + ("fast " * 13).strip(), "slow"]
    assert lines[-1].startswith(f"for more               {how_to_get('gpu')}: ")
