"""ONNX Runtime: on the CPU the engine that every installation has, and the one engine for all of its devices."""

from __future__ import annotations

import re
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt

from acutance.engines.devices import SILENT, Device, Session
from acutance.engines.engine import not_enough_memory
from acutance.engines.model_file import read_spec
from acutance.engines.processor import cores_if_bound
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.errors import CorruptWeights, EngineError
from acutance.spec import ModelSpec

INPUT = "degraded"

QUIET = 3
"""ONNX Runtime's log level: errors only."""

_OUT_OF_MEMORY_WORDS = (
    "allocate memory",
    "bad_alloc",
    "out of memory",
    "bad allocation",
    "outofmemory",
    "max buffer size",
    "maximum binding size",
    "maxstoragebufferbindingsize",
)
"""What ONNX Runtime, the C++ library and WebGPU say; there is no error code of its own for it."""


class OnnxRuntimeEngine:
    """A model in an ONNX Runtime session; see `acutance.engines.engine.Engine`."""

    def __init__(self, session: Session, spec: ModelSpec, device: Device | None = None) -> None:
        self._session: Session | None = session
        self.spec = spec
        self.is_offloaded = device is not None and device.kind != "CPU"
        self._device = device

    @classmethod
    def from_bytes(
        cls, model: bytes, threads: int | None = None, *, name: str = "model", device: Device | None = None
    ) -> OnnxRuntimeEngine:
        """Open a serialised model.

        Args:
            model: ONNX file.
            threads: See `acutance.engines.opening.open_engine`.
            name: What errors call the model.
            device: What runs it; None is the CPU.

        Raises:
            CorruptWeights: When it is damaged or has no spec.
            EngineError: When the device cannot run it; like those of `run` on a device, it leaves the device's name to
                whoever tells it.
        """
        if device is not None:
            return cls(_opened_on(device, model, threads), read_spec(model, name=name), device)
        try:
            session = onnxruntime.InferenceSession(model, session_options(threads), providers=["CPUExecutionProvider"])
        except ORT_ERRORS as error:
            raise CorruptWeights(f"{name}: not a network that ONNX Runtime can open; get the file again.") from error
        return cls(session, read_spec(model, name=name))

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch; see `Engine.run`."""
        if self._session is None:
            raise EngineError("the engine is closed; open it again.")
        try:
            with nullcontext() if self._device is None else self._device.turn:
                (restored,) = self._session.run(None, {INPUT: batch})
        except MemoryError as error:
            raise not_enough_memory(batch) from error
        except ORT_ERRORS as error:
            if any(words in str(error).lower() for words in _OUT_OF_MEMORY_WORDS):
                raise not_enough_memory(batch) from error
            if self._device is None:
                raise EngineError(f"ONNX Runtime failed: {error}") from error
            raise EngineError(f"failed ({reason_of(error)}).") from error
        result: npt.NDArray[np.float32] = restored
        return result

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _opened_on(device: Device, model: bytes, threads: int | None) -> Session:
    settings = session_options(threads)
    settings.log_severity_level = SILENT
    try:
        with device.turn:
            return device.opened(model, settings)
    except _DEVICE_ERRORS as error:
        raise EngineError(f"cannot run this network ({reason_of(error)}).") from error


def reason_of(error: Exception) -> str:
    """Return what ONNX Runtime says, in one line, without its codes and the line of C++ that it comes from."""
    first = str(error).strip().partition("\n")[0].rpartition(" was false. ")[2]
    words = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", first)
    return re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z])", "", words).rstrip(".") or type(error).__name__


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Collect ONNX Runtime's own exception types; they share no public base class but RuntimeError for some."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = (
        "DeviceReset",
        "EngineError",
        "EPFail",
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NotImplemented",
        "RuntimeException",
    )
    return (RuntimeError, *(getattr(state, name) for name in names if hasattr(state, name)))


ORT_ERRORS = _runtime_errors()
"""What ONNX Runtime raises."""
_DEVICE_ERRORS: tuple[type[Exception], ...] = (*ORT_ERRORS, ValueError)
"""The latter for options that a version does not know."""


def session_options(threads: int | None) -> onnxruntime.SessionOptions:
    """Return how networks are run on the CPU; None takes a thread per core that this process may use."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads or cores_if_bound()
    options.inter_op_num_threads = 1  # the graph is a chain: there is nothing to run side by side
    options.log_severity_level = QUIET
    # The plan that it makes of the memory for a shape took 1.8 times what the chain of activations needs, and without
    # the arena every tile waits for the system to clear fresh pages: a fifth of the time.
    options.enable_mem_pattern = False
    return options
