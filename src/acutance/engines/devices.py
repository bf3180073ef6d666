"""The processors beside the CPU's cores that ONNX Runtime reaches here: graphics chips and other accelerators.

Two ways lead to one: a plug-in package beside the ordinary onnxruntime, or an onnxruntime that was built for it. Either
way it is a row of `PROVIDERS`, and its devices are run by the one engine in `onnx_engine.py`. Nothing here says whether
a device is fast or right: `trial.py` measures that.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import DeviceEngine
from acutance.engines.processor import read_short
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.errors import EngineUnavailable, first_line
from acutance.extras import how_to_get

Kind = Literal["CPU", "GPU", "NPU"]

SILENT = 4
"""ONNX Runtime's log level, fatal errors only: what goes wrong on a device is told in our own words, or not at all."""

VENDORS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel", 0x106B: "Apple", 0x5143: "Qualcomm", 0x13B5: "Arm"}
"""Makers of graphics chips, by the ids that PCI and the operating systems know them by."""

SYSFS_CARDS = Path("/sys/class/drm")
"""Where Linux lists graphics chips."""


class Session(Protocol):
    """What the engine needs of `onnxruntime.InferenceSession`."""

    def run(
        self, output_names: None, input_feed: Mapping[str, npt.NDArray[np.float32]]
    ) -> Sequence[npt.NDArray[np.float32]]:
        """Run the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One of ONNX Runtime's execution providers."""

    engine: DeviceEngine
    title: str
    names: tuple[str, ...]
    """What ONNX Runtime calls it, in its versions."""
    package: str
    """What brings it, at the package index."""
    module: str | None = None
    """The plug-in package's module; None: the package is installed in place of onnxruntime."""
    options: Mapping[str, str] = field(default_factory=dict)
    kinds: frozenset[Kind] = frozenset({"GPU", "NPU", "CPU"})
    """Of the devices that are taken."""
    takes_float16: bool = False
    """Whether a network in float16 is tried, too."""
    is_prompt: bool = True
    """Whether it takes tiles of any size at once. Others compile a network anew for each size; they are only used when
    they are named, or when there is nothing else that `gpu` could mean."""


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        engine="webgpu",
        title="WebGPU",
        names=("WebGpuExecutionProvider",),
        package="onnxruntime-ep-webgpu",
        module="onnxruntime_ep_webgpu",
        takes_float16=True,
    ),
    Provider(
        engine="cuda",
        title="CUDA",
        names=("CUDAExecutionProvider", "CudaPluginExecutionProvider"),
        package="onnxruntime-gpu",
        options={"cudnn_conv_algo_search": "HEURISTIC"},  # the default tries all anew for every size of tile
        takes_float16=True,
    ),
    Provider(
        engine="directml",
        title="DirectML",
        names=("DmlExecutionProvider",),
        package="onnxruntime-directml",
        takes_float16=True,
    ),
    Provider(
        engine="openvino-ep",
        title="OpenVINO",
        names=("OpenVINOExecutionProvider",),
        package="onnxruntime-ep-openvino",
        module="onnxruntime_ep_openvino",
        options={
            "load_config": '{"GPU": {"INFERENCE_PRECISION_HINT": "f32"}, "CPU": {"INFERENCE_PRECISION_HINT": "f32"}}'
        },
        kinds=frozenset({"GPU"}),  # the CPU is engine openvino's; an NPU wants one size of tile
    ),
    Provider(
        engine="coreml",
        title="CoreML",
        names=("CoreMLExecutionProvider",),
        package="onnxruntime",
        options={"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU"},  # the neural engine has float16 only
        is_prompt=False,
    ),
    Provider(
        engine="tensorrt",
        title="TensorRT",
        names=("NvTensorRTRTXExecutionProvider", "TensorrtExecutionProvider"),
        package="onnxruntime-ep-nv-tensorrt-rtx",
        module="onnxruntime_ep_nv_tensorrt_rtx",
        is_prompt=False,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A processor that ONNX Runtime reaches by a provider."""

    provider: Provider
    title: str
    """For people."""
    key: str
    """What it is, exactly: maker, chip, versions."""
    kind: Kind
    memory_bytes: int | None
    """Its memory, where that is told."""
    opened: Callable[[bytes, Any], Session]
    """Opens a session for a serialised model with ONNX Runtime's options; raises what ONNX Runtime raises."""
    turn: threading.Lock = field(default_factory=threading.Lock, compare=False)
    """Held while it computes: it does one thing after the other anyway, and not every provider bears two callers."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found."""

    devices: tuple[Device, ...]
    faults: tuple[str, ...]
    """Sentences about packages that are installed and cannot be loaded."""


@cache
def find_devices() -> Found:
    """Look for devices, once in a process. Where no package for any is installed, that takes a millisecond."""
    faults = tuple(fault for provider in PROVIDERS if (fault := _plugged_in(provider)))
    available = onnxruntime.get_available_providers()
    if any(name in available for name in ("CUDAExecutionProvider", "TensorrtExecutionProvider")):
        with redirect_stdout(io.StringIO()):  # it prints what is missing
            onnxruntime.preload_dlls()
    listed = onnxruntime.get_ep_devices() if hasattr(onnxruntime, "get_ep_devices") else []
    devices = [device for provider in PROVIDERS for device in _devices_of(provider, listed, available)]
    return Found(tuple(devices), faults)


def devices_for(engine: str) -> tuple[Device, ...]:
    """Return the devices that an engine's name stands for: `auto`, `gpu`, or a provider's.

    Raises:
        EngineUnavailable: When there are none; not for `auto`.
    """
    found = find_devices()
    prompt = tuple(device for device in found.devices if device.provider.is_prompt)
    if engine == "auto":
        return prompt
    if engine == "gpu":
        devices = prompt or tuple(device for device in found.devices if device.kind == "GPU")
    else:
        devices = tuple(device for device in found.devices if device.provider.engine == engine)
    if not devices:
        raise EngineUnavailable(_why_none(engine, found))
    return devices


def graphics_makers() -> tuple[str, ...] | None:
    """Return the makers of the graphics chips that the system lists; None where it is not known how to ask."""
    if sys.platform != "linux":
        return None
    ids = (read_short(card / "device" / "vendor") for card in sorted(SYSFS_CARDS.glob("card*")) if "-" not in card.name)
    return tuple(VENDORS.get(int(text, 16), f"maker {text}") for text in ids if text)


def _why_none(engine: str, found: Found) -> str:
    row = next((provider for provider in PROVIDERS if provider.engine == engine), PROVIDERS[0])
    if faults := [fault for fault in found.faults if engine == "gpu" or fault.startswith(f"{row.package}:")]:
        return f"engine {engine}: {faults[0]}"
    if row.module is not None and find_spec(row.module) is not None:
        return (
            f"engine {engine}: {row.package} is installed and finds no device; see that the graphics chip's driver is "
            "installed (on Linux with Vulkan), or take --engine cpu."
        )
    get = how_to_get("gpu") if row is PROVIDERS[0] else f"pip install {row.package}"
    if row.module is None:
        get = f"{get} in place of onnxruntime" if row.package != "onnxruntime" else "only macOS has it"
    return f"engine {engine}: is not installed; {get}."


def _plugged_in(provider: Provider) -> str | None:
    """Register a plug-in that is installed; return what is wrong with it."""
    if provider.module is None or find_spec(provider.module) is None:
        return None
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        return f"{provider.package}: needs a newer onnxruntime than {onnxruntime.__version__}; upgrade that."
    try:
        onnxruntime.set_default_logger_severity(SILENT)
        onnxruntime.register_execution_provider_library(
            provider.names[0], import_module(provider.module).get_library_path()
        )
    except Exception as error:  # noqa: BLE001 - code of others: whatever it raises, the CPU is there
        return f"{provider.package}: cannot be loaded ({first_line(error)})."
    return None


def _devices_of(provider: Provider, listed: Sequence[Any], available: Sequence[str]) -> Iterator[Device]:
    own = [entry for entry in listed if entry.ep_name in provider.names and entry.device.type.name in provider.kinds]
    # The chip that does the work comes first: a separate one, else whatever there is.
    own.sort(key=lambda entry: entry.device.metadata.get("Discrete") != "1")
    if own:
        # One of a kind: a provider that takes several devices would spread one small network over them.
        yield _listed_device(provider, own[0])
        return
    if provider.module is not None and find_spec(provider.module) is not None:
        return  # a plug-in lists what it can use
    for name in provider.names:
        if name in available:
            key = f"{name} of onnxruntime {onnxruntime.__version__}"
            yield Device(
                provider=provider,
                title=provider.title,
                key=key,
                kind="GPU",
                memory_bytes=None,
                opened=_opener_by_name(name, provider.options),
            )
            return


def _listed_device(provider: Provider, entry: Any) -> Device:  # noqa: ANN401 - onnxruntime has no types
    chip = entry.device
    metadata = {**chip.metadata, **entry.ep_metadata}
    maker = VENDORS.get(chip.vendor_id, chip.vendor or "unknown make")
    name = (
        metadata.get("FULL_DEVICE_NAME")
        or metadata.get("Description")
        or f"{maker} {chip.type.name} {chip.device_id:#06x}"
    )
    kind: Kind = chip.type.name
    title = f"{provider.title} in software" if kind == "CPU" else f"{provider.title} on {name}"
    versions = f"{entry.ep_name} {metadata.get('version', '')}, onnxruntime {onnxruntime.__version__}"
    return Device(
        provider=provider,
        title=title,
        key=f"{versions}, {kind} {chip.vendor_id:#06x} {chip.device_id:#06x} {name}",
        kind=kind,
        memory_bytes=_memory_of(chip.vendor_id, metadata),
        opened=_opener_by_device(entry, provider.options),
    )


def _memory_of(vendor_id: int, metadata: Mapping[str, str]) -> int | None:
    """Return a chip's own memory in bytes, where OpenVINO or Linux's driver for AMD tells it."""
    told = [metadata.get("GPU_DEVICE_TOTAL_MEM_SIZE", "")]
    if VENDORS.get(vendor_id) == "AMD":
        told += [read_short(path) for path in SYSFS_CARDS.glob("card*/device/mem_info_vram_total")]
    sizes = [int(text) for text in told if text.isdecimal()]
    return max(sizes, default=None)


def _opener_by_device(entry: Any, options: Mapping[str, str]) -> Callable[[bytes, Any], Session]:  # noqa: ANN401
    def opened(model: bytes, settings: Any) -> Session:  # noqa: ANN401
        settings.add_provider_for_devices([entry], dict(options))
        session: Session = onnxruntime.InferenceSession(model, settings, enable_fallback=0)
        return session

    return opened


def _opener_by_name(name: str, options: Mapping[str, str]) -> Callable[[bytes, Any], Session]:
    def opened(model: bytes, settings: Any) -> Session:  # noqa: ANN401
        session = onnxruntime.InferenceSession(model, settings, providers=[(name, dict(options))], enable_fallback=0)
        if name not in session.get_providers():  # it goes on without, and says so only in its log
            raise RuntimeError(f"{name} cannot be used on this machine")
        result: Session = session
        return result

    return opened
