"""What `acutance doctor` finds out."""

from __future__ import annotations

import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import acutance
from acutance.errors import CorruptWeights

EXTRAS = {"train": ("torch", "lightning_fabric", "jaxtyping", "cattrs", "tomli_w", "tensorboard", "onnx")}
"""Modules that each extra brings."""

PACKAGES = ("numpy", "pillow", "onnxruntime", "safetensors", "torch")
"""Whose versions matter in a report."""

SPEED_SIDE_PX = 512
SPEED_RUNS = 5


def diagnose() -> dict[str, str | list[str]]:
    """Return findings by name, in the order in which they are worth reading."""
    return {
        "acutance": acutance.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "processor": f"{platform.processor() or platform.machine()}, {os.cpu_count()} logical cores",
        "packages": [f"{name} {_version(name)}" for name in PACKAGES],
        "extras": [f"{extra} {_extra_state(modules)}" for extra, modules in EXTRAS.items()],
        "models": _model_states(),
        "speed of the default": _speed(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _extra_state(modules: tuple[str, ...]) -> str:
    missing = [module for module in modules if find_spec(module) is None]
    return "installed" if not missing else f"not installed (missing: {', '.join(missing)})"


def _model_states() -> list[str]:
    from acutance.zoo.catalogue import check_file, list_models

    states = []
    for row in list_models():
        try:
            check_file(row)
            states.append(f"{row.name} ok")
        except CorruptWeights as error:
            states.append(f"{row.name} DAMAGED: {error}")
    return states


def _speed() -> str:
    import numpy as np

    from acutance.inference.engine import open_engine
    from acutance.zoo.catalogue import DEFAULT_MODEL, find_model

    engine = open_engine(find_model(DEFAULT_MODEL))
    batch = np.full((1, 3, SPEED_SIDE_PX, SPEED_SIDE_PX), 0.5, np.float32)
    engine.run(batch)
    seconds = []
    for _ in range(SPEED_RUNS):
        start = time.perf_counter()
        engine.run(batch)
        seconds.append(time.perf_counter() - start)
    engine.close()
    megapixels = SPEED_SIDE_PX**2 / 1e6
    rate = megapixels / statistics.median(seconds)
    return f"{rate:.2f} megapixels/s (a 12-megapixel photo: about {12 / rate:.0f} s)"
