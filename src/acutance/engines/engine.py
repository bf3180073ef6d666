"""The port to the engines: what an engine is, and what engines and their arithmetic are called."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from acutance.engines.devices import DeviceEngine
from acutance.spec import ModelSpec

CpuEngine = Literal["onnxruntime", "openvino", "torch"]
"""The engines that are libraries: on the CPU, but for torch, which takes a CUDA device where there is one."""
EngineName = Literal["auto", "cpu", "gpu", CpuEngine, DeviceEngine]
"""`auto` is the fastest that was measured here, `cpu` the fastest on the CPU, `gpu` the fastest that is not."""
ChosenPrecision = Literal["float32", "bfloat16", "float16"]
"""What a network can be computed in."""
Precision = Literal["auto", ChosenPrecision]


class Engine(Protocol):
    """Runs one model. Safe to call from several threads at once."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is, takes and gives."""

    @property
    def is_offloaded(self) -> bool:
        """Whether it computes elsewhere than on the processor's cores, which are free for other work meanwhile."""

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch.

        Args:
            batch: float32 RGB `n 3 h w` in [0, 1]; h and w multiples of `spec.size_multiple`.

        Returns:
            float32 RGB `n 3 h·scale w·scale`, about [0, 1], not clipped; the caller checks that it is finite.

        Raises:
            OutOfMemory: When the batch is too large for the memory there is; a smaller one may fit.
            EngineError: When the engine fails otherwise.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""
