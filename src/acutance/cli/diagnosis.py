"""What `acutance doctor` finds out."""

from __future__ import annotations

import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import acutance
from acutance.engines.processor import processor_name
from acutance.errors import CorruptWeights
from acutance.extras import how_to_get
from acutance.zoo.own_models import OwnModel, check_own_model, list_own_models

if TYPE_CHECKING:
    from acutance.engines.engine import ChosenPrecision, CpuEngine, Engine

EXTRAS = {
    "train": ("torch", "lightning_fabric", "jaxtyping", "cattrs", "tomli_w", "tensorboard", "onnx"),
    "gpu": ("onnxruntime_ep_webgpu",),
    "openvino": ("openvino",),
    "torch": ("torch", "onnx"),
    "foreign": ("torch", "onnx", "spandrel"),
    "plots": ("matplotlib",),
    "heif": ("pillow_heif",),
    "raw": ("rawpy",),
    "jxl": ("pillow_jxl",),
    "c2pa": ("c2pa",),
    "large": ("pyvips",),
    "video": ("av",),
    "serve": ("fastapi", "uvicorn", "python_multipart"),
    "bulk": ("ray", "fsspec", "s3fs"),
    "recognise": ("pyzbar", "zxingcpp", "rapidocr"),
}
"""Modules that each extra brings."""

PACKAGES = ("numpy", "pillow", "onnxruntime", "onnxruntime-ep-webgpu", "safetensors", "openvino", "torch", "spandrel")
"""Whose versions matter in a report."""

SPEED_SIDE_PX = 512
SPEED_RUNS = 5


def diagnose() -> dict[str, str | list[str]]:
    """Return findings by name, in the order in which they are worth reading."""
    from acutance.cli.processor_report import found_processors, hints
    from acutance.server.confinement import report

    findings: dict[str, str | list[str]] = {
        "acutance": acutance.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "processor": f"{processor_name()}, {os.cpu_count()} logical cores",
        "packages": [f"{name} {_version(name)}" for name in PACKAGES],
        "extras": [f"{extra} {_extra_state(extra, modules)}" for extra, modules in EXTRAS.items()],
        "models": model_states(),
        "processors": found_processors(),
        "workers of serve": report(),
        "speed of the default": _speeds(),
    }
    for_more = hints()
    return findings | ({"for more": for_more} if for_more else {})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _extra_state(extra: str, modules: tuple[str, ...]) -> str:
    missing = [module for module in modules if find_spec(module) is None]
    return "installed" if not missing else f"not installed (missing: {', '.join(missing)}; {how_to_get(extra)})"


def model_states() -> list[str]:
    """Say of every model, shipped or added, whether it is whole and can be run."""
    from acutance.zoo.catalogue import check_files, list_models

    states = []
    for row in list_models():
        try:
            check_files(row)
            states.append(f"{row.name} ok")
        except CorruptWeights as error:
            states.append(f"{row.name} DAMAGED: {error}")
    try:
        return states + [_own_state(own) for own in list_own_models()]
    except CorruptWeights as error:
        return [*states, f"your own DAMAGED: {error}"]


def _own_state(own: OwnModel) -> str:
    """Say whether a model that the user has added is whole, and can be run."""
    try:
        check_own_model(own)
    except CorruptWeights as error:
        return f"{own.name} DAMAGED: {error}"
    missing = [name for name in ("torch", "spandrel") if own.form == "safetensors" and find_spec(name) is None]
    return f"{own.name} needs {' and '.join(missing)} ({how_to_get('foreign')})" if missing else f"{own.name} ok"


def _speeds() -> list[str]:
    """Time the default model in every engine that is installed and may be the one that `auto` takes."""
    from acutance.cli.processor_report import measured_processors
    from acutance.engines.engine import EngineSettings
    from acutance.engines.guarded_engine import GuardedEngine
    from acutance.engines.opening import chosen_precision, fastest_engine, open_engine
    from acutance.zoo.catalogue import DEFAULT_MODEL, find_model

    model = find_model(DEFAULT_MODEL)
    engines: list[CpuEngine] = ["onnxruntime", *(["openvino"] if find_spec("openvino") else [])]  # type: ignore[list-item]
    lines = []
    for engine in engines:
        fastest = chosen_precision("auto", engine)
        precisions: list[ChosenPrecision] = ["float32", *([] if fastest == "float32" else [fastest])]
        for precision in precisions:
            rate = _megapixels_per_s(open_engine(model, EngineSettings(engine=engine, precision=precision)))
            lines.append(
                f"{engine}, {precision}: {rate:.2f} megapixels/s (a 12-megapixel photo: about {12 / rate:.0f} s)"
            )
    lines += measured_processors(model)
    taken = open_engine(model)
    name = taken.title if isinstance(taken, GuardedEngine) else fastest_engine()
    taken.close()
    return [*lines, f"--engine auto takes {name}"]


def _megapixels_per_s(engine: Engine) -> float:
    import numpy as np

    batch = np.full((1, 3, SPEED_SIDE_PX, SPEED_SIDE_PX), 0.5, np.float32)
    engine.run(batch)
    seconds = []
    for _ in range(SPEED_RUNS):
        start = time.perf_counter()
        engine.run(batch)
        seconds.append(time.perf_counter() - start)
    engine.close()
    return SPEED_SIDE_PX**2 / 1e6 / statistics.median(seconds)
