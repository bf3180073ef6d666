"""What `acutance doctor` says of processors beside the CPU: what is there, how fast and exact, and what to install."""

from __future__ import annotations

import shutil
import sys
from ctypes.util import find_library
from importlib.util import find_spec
from typing import TYPE_CHECKING

from acutance.engines.devices import find_devices, graphics_makers
from acutance.engines.processor import is_intel, multiplies_bfloat16
from acutance.extras import how_to_get

if TYPE_CHECKING:
    from acutance.zoo.catalogue import ModelPaths

LEVELS = 255
"""Steps between black and white of an 8-bit picture."""


def found_processors() -> list[str]:
    """Return every device that ONNX Runtime reaches here, and what keeps a package that is installed from working."""
    found = find_devices()
    lines = [f"{device.title} (--engine {device.provider.engine})" for device in found.devices]
    return [*(lines or ["none beside the CPU"]), *found.faults]


def measured_processors(model: ModelPaths) -> list[str]:
    """Try every device with a model, anew, and return what came of it."""
    from acutance.engines.device_choice import measure_anew

    lines = []
    content = model.fidelity.read_bytes()
    for candidate, measured in measure_anew(content, find_devices().devices, name=str(model.fidelity)):
        if measured.fault:
            lines.append(f"{candidate.title}: not used: {measured.fault}")
            continue
        rate, off = measured.megapixels_per_s, LEVELS * (measured.worst_difference or 0.0)
        lines.append(
            f"{candidate.title}: {rate:.3g} megapixels/s (a 12-megapixel photo: about {12 / rate:.3g} s), at most "
            f"{off:.2g} levels of 255 off the CPU"
        )
    return lines


def hints() -> list[str]:
    """Return what could be installed for more speed: only what this machine is known to have the hardware for."""
    engines = {device.provider.engine for device in find_devices().devices}
    makers = graphics_makers()
    has_chip = makers is None or bool(makers)
    lines = []
    if has_chip and "webgpu" not in engines:
        lines += _for_webgpu(makers)
    if ("NVIDIA" in (makers or ()) or shutil.which("nvidia-smi")) and "cuda" not in engines:
        lines.append("pip install onnxruntime-gpu in place of onnxruntime: runs networks on the NVIDIA chip by CUDA")
    if "Intel" in (makers or ()) and find_spec("onnxruntime_ep_openvino") is None:
        lines.append("pip install onnxruntime-ep-openvino: runs networks on the Intel graphics chip by OpenVINO")
    if is_intel() and find_spec("openvino") is None:
        how = "about five times as fast, in bfloat16" if multiplies_bfloat16() else "faster"
        lines.append(f"{how_to_get('openvino')}: on this Intel processor {how}")
    return lines


def _for_webgpu(makers: tuple[str, ...] | None) -> list[str]:
    chip = "a graphics chip, if this machine has one," if makers is None else f"the graphics chip ({', '.join(makers)})"
    if find_spec("onnxruntime_ep_webgpu") is None:
        return [f"{how_to_get('gpu')}: runs networks on {chip} by WebGPU"]
    if sys.platform == "linux" and find_library("vulkan") is None:
        return [f"install Vulkan's loader (libvulkan1 or vulkan-loader): then WebGPU can reach {chip}"]
    return []
