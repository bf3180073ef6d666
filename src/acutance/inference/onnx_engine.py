"""ONNX Runtime on the CPU: the engine that every installation has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acutance.errors import CorruptWeights, EngineError, OutOfMemory
from acutance.inference.silent_onnxruntime import onnxruntime
from acutance.spec import METADATA_KEY, ModelSpec

INPUT = "degraded"

QUIET = 3
"""ONNX Runtime's log level: errors only."""

_OUT_OF_MEMORY_WORDS = ("allocate memory", "bad_alloc", "out of memory", "bad allocation")
"""What ONNX Runtime and the C++ library say; there is no error code of its own for it."""


class OnnxRuntimeEngine:
    """A model in an ONNX Runtime session; see `acutance.inference.engine.Engine`."""

    def __init__(self, session: onnxruntime.InferenceSession, spec: ModelSpec) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._spec = spec

    @classmethod
    def from_bytes(cls, model: bytes, threads: int | None = None, *, name: str = "model") -> OnnxRuntimeEngine:
        """Open a serialised model.

        Raises:
            CorruptWeights: When it is damaged or has no spec.
        """
        try:
            session = onnxruntime.InferenceSession(model, _options(threads), providers=["CPUExecutionProvider"])
        except ORT_ERRORS as error:
            raise CorruptWeights(f"{name}: not a network that ONNX Runtime can open; get the file again.") from error
        metadata = session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise CorruptWeights(f"{name}: has no acutance spec inside; give a file that `acutance export` wrote.")
        return cls(session, ModelSpec.from_json(metadata[METADATA_KEY]))

    @property
    def spec(self) -> ModelSpec:
        """What the model is, takes and gives."""
        return self._spec

    @property
    def is_apart(self) -> bool:
        """See `Engine.is_apart`."""
        return False

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch; see `Engine.run`."""
        if self._session is None:
            raise EngineError("the engine is closed; open it again.")
        try:
            (restored,) = self._session.run(None, {INPUT: batch})
        except MemoryError as error:
            raise _out_of_memory(batch) from error
        except ORT_ERRORS as error:
            if any(words in str(error).lower() for words in _OUT_OF_MEMORY_WORDS):
                raise _out_of_memory(batch) from error
            raise EngineError(f"ONNX Runtime failed: {error}") from error
        result: npt.NDArray[np.float32] = restored
        return result

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _out_of_memory(batch: npt.NDArray[np.float32]) -> OutOfMemory:
    size = "×".join(str(side) for side in batch.shape)
    return OutOfMemory(f"not enough memory for a batch of {size}; use smaller tiles (--tile, tile_px).")


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Collect ONNX Runtime's own exception types; they share no public base class but RuntimeError for some."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = (
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


def _options(threads: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1  # the graph is a chain: there is nothing to run side by side
    options.log_severity_level = QUIET
    # The plan that it makes of the memory for a shape took 1.8 times what the chain of activations needs, and without
    # the arena every tile waits for the system to clear fresh pages: a fifth of the time.
    options.enable_mem_pattern = False
    return options
