"""The port to the engines: what an engine is, and how one is opened by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from acutance.errors import ConfigError, EngineUnavailable, UnknownModel
from acutance.inference.model_file import blend_files
from acutance.inference.onnx_engine import OnnxRuntimeEngine
from acutance.inference.processor import is_intel, multiplies_bfloat16, multiplies_int8, usable_cpus
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import ModelPaths

EngineName = Literal["auto", "onnxruntime", "openvino", "torch"]
Precision = Literal["auto", "float32", "bfloat16", "int8"]


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


def _onnxruntime(model: bytes, threads: int | None, name: str, precision: Precision) -> Engine:
    """Open a model in ONNX Runtime."""
    del precision  # the graph has it
    return OnnxRuntimeEngine.from_bytes(model, threads, name=name)


def _openvino(model: bytes, threads: int | None, name: str, precision: Precision) -> Engine:
    """Open a model in OpenVINO, which is imported only now."""
    if find_spec("openvino") is None:
        raise EngineUnavailable("engine openvino: is not installed; pip install 'acutance[openvino]'.")
    from acutance.inference.openvino_engine import OpenVinoEngine

    of_floats: Literal["float32", "bfloat16"] = "bfloat16" if precision == "bfloat16" else "float32"
    return OpenVinoEngine.from_bytes(model, threads, name=name, precision=of_floats)


def _torch(model: bytes, threads: int | None, name: str, precision: Precision) -> Engine:
    """Open a model in torch, which is imported only now."""
    del precision  # float32, or what a GPU is made for
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise EngineUnavailable("engine torch: needs torch and onnx; pip install 'acutance[torch]'.")
    from acutance.inference.torch_engine import TorchEngine

    return TorchEngine.from_bytes(model, threads, name=name)


_OPENERS: dict[EngineName, Callable[[bytes, int | None, str, Precision], Engine]] = {
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
        precision: `int8` computes in 8-bit integers where the model has such a graph, `bfloat16` in floats of 16 bits
            (OpenVINO only). `auto` does what the processor has instructions for, integers first.
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
    arithmetic = chosen_precision(paths, precision, chosen)
    content = _read(paths.int8 if arithmetic == "int8" and paths.int8 is not None else paths.fidelity)
    return _OPENERS[chosen](_with_fidelity(content, paths, fidelity), threads, str(paths.fidelity), arithmetic)


def fastest_engine() -> EngineName:
    """Return the engine that `auto` stands for: OpenVINO on an Intel processor if it is installed, else ONNX Runtime.

    On an AMD processor ONNX Runtime was the faster, in floats and in integers (`benchmarks/engines.py`).
    """
    return "openvino" if is_intel() and find_spec("openvino") is not None else "onnxruntime"


def offered_precisions(paths: ModelPaths, engine: EngineName = "auto") -> tuple[Precision, ...]:
    """Return what arithmetic a model can be run in, besides `auto`, by an engine as `open_engine` takes it."""
    offered: list[Precision] = ["float32"]
    if engine in ("auto", "openvino") and find_spec("openvino") is not None:
        offered.append("bfloat16")
    if paths.int8 is not None and engine != "torch":
        offered.append("int8")
    return tuple(offered)


def chosen_precision(paths: ModelPaths, precision: Precision, engine: EngineName) -> Precision:
    """Return what arithmetic a model is run in: what is asked for or, for `auto`, what is fastest on this processor.

    Args:
        paths: The model's files.
        precision: As `open_engine` takes it.
        engine: The one that runs it, not `auto`.

    Raises:
        ConfigError: When the model or the engine has not what is asked for.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision {precision!r}: unknown; there are {', '.join(get_args(Precision))}.")
    if precision == "int8" and paths.int8 is None:
        raise ConfigError(
            f"precision int8: {paths.fidelity.name} has no graph of integers; leave the precision at auto."
        )
    if precision == "int8" and engine == "torch":
        raise ConfigError("precision int8: engine torch computes in floats; leave the precision at auto.")
    if precision == "bfloat16" and engine != "openvino":
        raise ConfigError(
            f"precision bfloat16: only engine openvino has it, not {engine}; leave the precision at auto."
        )
    if precision != "auto":
        return precision
    if paths.int8 is not None and engine != "torch" and multiplies_int8():
        return "int8"
    return "bfloat16" if engine == "openvino" and multiplies_bfloat16() else "float32"


def _with_fidelity(graph: bytes, paths: ModelPaths, fidelity: float) -> bytes:
    """Return the graph with the weights that the fidelity asks for."""
    if not 0.0 <= fidelity <= 1.0:
        raise ConfigError(f"fidelity = {fidelity}: must lie within 0 … 1.")
    if fidelity == 1.0:
        return graph
    if paths.perceptual is None:
        raise ConfigError(
            f"fidelity = {fidelity:g}: {paths.fidelity.name} has no perceptual weights to blend with; leave it at 1, "
            "or take a model that has (see: acutance models)."
        )
    return blend_files(graph, _read(paths.perceptual), 1.0 - fidelity)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnknownModel(f"{path}: cannot be read ({error.strerror}).") from error
