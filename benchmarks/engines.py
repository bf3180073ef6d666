"""Throughput of every shipped model in every installed engine and precision, with NAFNet beside them, in one go.

    python benchmarks/engines.py [MODEL …]

All run in turn on the same picture; medians, in megapixels per second, and as multiples of NAFNet (width 32, GoPro
configuration, random weights) in ONNX Runtime.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import EngineName, EngineSettings
from acutance.engines.opening import offered_precisions, open_engine
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.zoo.catalogue import find_model, list_models

if TYPE_CHECKING:
    from collections.abc import Callable


SIDE_PX = 512
ROUNDS = 9


def nafnet_run() -> Callable[[npt.NDArray[np.float32]], object]:
    """Export NAFNet by torch's own exporter and open it as acutance opens its models."""
    import torch
    from nafnet import NafNet

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nafnet.onnx"
        example = torch.rand(1, 3, SIDE_PX, SIDE_PX)
        torch.onnx.export(
            NafNet().eval(), (example,), str(path), opset_version=17, dynamo=False, input_names=["degraded"]
        )
        options = onnxruntime.SessionOptions()
        options.enable_mem_pattern = False
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"degraded": batch})


def contenders(models: list[str]) -> dict[str, Callable[[npt.NDArray[np.float32]], object]]:
    """Open everything that is compared."""
    engines: list[EngineName] = ["onnxruntime"]
    if find_spec("openvino"):
        engines.append("openvino")
    runs = {"NAFNet-32 float32 onnxruntime": nafnet_run()}
    for model in models:
        paths = find_model(model)
        for engine in engines:
            for precision in offered_precisions(engine):
                opened = open_engine(paths, EngineSettings(engine=engine, precision=precision))
                runs[f"{model} {precision} {engine}"] = opened.run
    return runs


def main() -> None:
    """Print a line per contender."""
    runs = contenders(sys.argv[1:] or [row.name for row in list_models()])
    batch = np.random.default_rng(0).random((1, 3, SIDE_PX, SIDE_PX), dtype=np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(batch)
            if round_number:  # the first does not count
                seconds[name].append(time.perf_counter() - start)
    peer = statistics.median(seconds["NAFNet-32 float32 onnxruntime"])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:36} {SIDE_PX**2 / 1e6 / median:6.3f} MP/s   {peer / median:6.2f} × NAFNet")


if __name__ == "__main__":
    main()
