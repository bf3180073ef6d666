"""The port to the engines: what an engine is, and how one is opened by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from acutance.errors import ConfigError
from acutance.inference.onnx_engine import OnnxRuntimeEngine
from acutance.spec import ModelSpec

EngineName = Literal["auto", "onnxruntime"]


class Engine(Protocol):
    """Runs one model. Safe to call from several threads at once."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is, takes and gives."""

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


_OPENERS: dict[EngineName, Callable[[Path, int | None], Engine]] = {
    "auto": OnnxRuntimeEngine.open,
    "onnxruntime": OnnxRuntimeEngine.open,
}


def open_engine(model: Path, *, engine: EngineName = "auto", threads: int | None = None) -> Engine:
    """Open a model file in an engine.

    Args:
        model: ONNX file with a spec in its metadata.
        engine: `auto` takes the fastest that is installed.
        threads: Threads for one run; None leaves it to the engine (one per physical core).

    Raises:
        ConfigError: When there is no engine of that name, or the number of threads is not positive.
        CorruptWeights: When the file is damaged or not a model of acutance.
    """
    if engine not in _OPENERS:
        raise ConfigError(f"engine {engine!r}: unknown; there are {', '.join(_OPENERS)}.")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads = {threads}: must be at least 1, or left out.")
    return _OPENERS[engine](model, threads)
