"""The port to the engines: what an engine is, and how one is opened by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from acutance.errors import ConfigError, EngineUnavailable
from acutance.inference.foreign import read_model
from acutance.inference.model_file import blend_files
from acutance.inference.onnx_engine import OnnxRuntimeEngine
from acutance.inference.processor import is_intel, multiplies_bfloat16, usable_cpus
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import ModelPaths

EngineName = Literal["auto", "onnxruntime", "openvino", "torch"]
ChosenPrecision = Literal["float32", "bfloat16"]
"""What a network can be computed in."""
Precision = Literal["auto", ChosenPrecision]


class Engine(Protocol):
    """Runs one model. Safe to call from several threads at once."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is, takes and gives."""

    @property
    def is_apart(self) -> bool:
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


def _onnxruntime(model: bytes, threads: int | None, name: str, precision: ChosenPrecision) -> Engine:
    """Open a model in ONNX Runtime."""
    del precision  # float32 is all that it has
    return OnnxRuntimeEngine.from_bytes(model, threads, name=name)


def _openvino(model: bytes, threads: int | None, name: str, precision: ChosenPrecision) -> Engine:
    """Open a model in OpenVINO, which is imported only now."""
    if find_spec("openvino") is None:
        raise EngineUnavailable("engine openvino: is not installed; pip install 'acutance[openvino]'.")
    from acutance.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine.from_bytes(model, threads, name=name, precision=precision)


def _torch(model: bytes, threads: int | None, name: str, precision: ChosenPrecision) -> Engine:
    """Open a model in torch, which is imported only now."""
    del precision  # float32, or what a GPU is made for
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise EngineUnavailable("engine torch: needs torch and onnx; pip install 'acutance[torch]'.")
    from acutance.inference.torch_engine import TorchEngine

    return TorchEngine.from_bytes(model, threads, name=name)


_OPENERS: dict[EngineName, Callable[[bytes, int | None, str, ChosenPrecision], Engine]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "torch": _torch,
}


def open_engine(
    model: ModelPaths | Path,
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    fidelity: float = 1.0,
    threads: int | None = None,
) -> Engine:
    """Open a model in an engine.

    Args:
        model: A model's files, or one ONNX file with a spec in its metadata.
        engine: `auto` takes the fastest that is installed (`fastest_engine`).
        precision: `bfloat16` computes in floats of 16 bits (OpenVINO only); `auto` does so where the processor has
            instructions for it.
        fidelity: 1 is the network trained for truth, 0 the one trained for perception; between them their weights are
            blended: one network runs.
        threads: Threads for one run, of which no more are taken than there are CPUs for this process: a thousand on two
            would hinder each other for ever. None leaves it to the engine (one per physical core).

    Raises:
        ConfigError: When a setting is out of range or the model has not what it asks for.
        EngineUnavailable: When the engine is not installed.
        EngineError: When the engine cannot run this model.
        CorruptWeights: When a file is damaged or not a model of acutance.
        UnknownModel: When a file is missing.
    """
    paths = ModelPaths(fidelity=model) if isinstance(model, Path) else model
    if engine != "auto" and engine not in _OPENERS:
        raise ConfigError(f"engine {engine!r}: unknown; there are {', '.join(get_args(EngineName))}.")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads = {threads}: must be at least 1, or left out.")
    threads = None if threads is None else min(threads, usable_cpus())
    chosen = engine
    if engine == "auto":
        chosen = "openvino" if precision == "bfloat16" else fastest_engine()
    computed_in = chosen_precision(precision, chosen)
    return _OPENERS[chosen](_with_fidelity(paths, fidelity), threads, str(paths.fidelity), computed_in)


def fastest_engine() -> EngineName:
    """Return the engine that `auto` stands for: OpenVINO on an Intel processor if it is installed, else ONNX Runtime.

    On an AMD processor ONNX Runtime was the faster (`benchmarks/engines.py`).
    """
    return "openvino" if is_intel() and find_spec("openvino") is not None else "onnxruntime"


def offered_precisions(engine: EngineName = "auto") -> tuple[ChosenPrecision, ...]:
    """Return what models can be computed in by an engine as `open_engine` takes it."""
    if engine in ("auto", "openvino") and find_spec("openvino") is not None:
        return "float32", "bfloat16"
    return ("float32",)


def chosen_precision(precision: Precision, engine: EngineName) -> ChosenPrecision:
    """Return what a model is computed in: what is asked for or, for `auto`, what is fastest on this processor.

    Args:
        precision: As `open_engine` takes it.
        engine: The one that runs it, not `auto`.

    Raises:
        ConfigError: When there is no such precision, or the engine has not what is asked for.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision {precision!r}: unknown; there are {', '.join(get_args(Precision))}.")
    if precision == "bfloat16" and engine != "openvino":
        raise ConfigError(
            f"precision bfloat16: only engine openvino has it, not {engine}; leave the precision at auto."
        )
    if precision != "auto":
        return precision
    return "bfloat16" if engine == "openvino" and multiplies_bfloat16() else "float32"


def _with_fidelity(paths: ModelPaths, fidelity: float) -> bytes:
    """Return the model's file with the weights that the fidelity asks for."""
    if not 0.0 <= fidelity <= 1.0:
        raise ConfigError(f"fidelity = {fidelity}: must lie within 0 … 1.")
    graph = read_model(paths.fidelity)
    if fidelity == 1.0:
        return graph
    if paths.perceptual is None:
        raise ConfigError(
            f"fidelity = {fidelity:g}: {paths.fidelity.name} has no perceptual weights to blend with; leave it at 1, "
            "or take a model that has (see: acutance models)."
        )
    return blend_files(graph, read_model(paths.perceptual), 1.0 - fidelity)
