"""OpenVINO on the CPU (extra `openvino`): the faster engine on Intel processors, and the one with bfloat16."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import not_enough_memory
from acutance.engines.model_file import read_spec
from acutance.engines.silent_openvino import openvino, properties
from acutance.engines.silent_openvino import opset13 as opset
from acutance.errors import CorruptWeights, EngineError
from acutance.spec import ModelSpec

if TYPE_CHECKING:
    from acutance.engines.engine import ChosenPrecision

hint = properties.hint

_OUT_OF_MEMORY_WORDS = (
    "failed to allocate",
    "can't alloc",
    "bad_alloc",
    "out of memory",
    "could not create a memory",
    "not enough memory",
)
"""What OpenVINO and oneDNN say; there is no error type of its own for it."""

LEVELS = 255
"""Steps between black and white of an 8-bit picture."""

_turn = threading.Lock()
"""Held while a model is compiled, and during the first run of the process. What OpenVINO's binding sets up then, it
sets up with Python's own lock given away in between: two threads in their first run have been seen to wait for each
other for ever (2026.4)."""

_has_run = threading.Event()


def _begin_anew() -> None:
    """Forget, in a forked process, who was in turn in the one before: that thread does not exist here."""
    global _turn  # noqa: PLW0603
    _turn = threading.Lock()
    _has_run.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class OpenVinoEngine:
    """A model compiled by OpenVINO; see `acutance.engines.engine.Engine`."""

    def __init__(self, compiled: openvino.CompiledModel, spec: ModelSpec) -> None:
        self._compiled: openvino.CompiledModel | None = compiled
        self.spec = spec
        self.is_offloaded = False

    @classmethod
    def from_bytes(
        cls, model: bytes, threads: int | None = None, *, name: str = "model", precision: ChosenPrecision = "float32"
    ) -> OpenVinoEngine:
        """Compile a serialised model.

        Args:
            model: An ONNX file.
            threads: See `acutance.engines.opening.open_engine`.
            name: For messages.
            precision: What the model computes in. In bfloat16 the 256 levels of an 8-bit picture arrive at the network
                unrounded (finer ones do not), and OpenVINO leaves what follows the last convolution in float32: the
                picture itself, which the network's answer is added to, is never rounded.

        Raises:
            CorruptWeights: When it is damaged or has no spec.
        """
        settings = {
            hint.inference_precision: openvino.Type.bf16 if precision == "bfloat16" else openvino.Type.f32,
            hint.performance_mode: hint.PerformanceMode.LATENCY,
            properties.inference_num_threads: threads or 0,
        }
        try:
            with _turn:
                core = _core(os.getpid())
                graph = core.read_model(model)
                if precision == "bfloat16":
                    graph = _seeing_levels(graph)
                compiled = core.compile_model(graph, "CPU", settings)
        except RuntimeError as error:
            raise CorruptWeights(f"{name}: not a network that OpenVINO can open; get the file again.") from error
        return cls(compiled, read_spec(model, name=name))

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch; see `Engine.run`."""
        if self._compiled is None:
            raise EngineError("the engine is closed; open it again.")
        try:
            if _has_run.is_set():
                return _infer(self._compiled, batch)
            with _turn:
                restored = _infer(self._compiled, batch)
                _has_run.set()
                return restored
        except (MemoryError, RuntimeError) as error:
            text = str(error).lower()
            if not isinstance(error, MemoryError) and not any(words in text for words in _OUT_OF_MEMORY_WORDS):
                reason = text.strip().rpartition("\n")[2]  # before it stand the C++ files that it came through
                raise EngineError(f"OpenVINO failed: {reason}") from error
        # Not raised while the other error is handled: its traceback keeps the request and its memory alive.
        raise not_enough_memory(batch)

    def close(self) -> None:
        """Free the compiled model."""
        self._compiled = None


@cache
def _core(process: int) -> openvino.Core:
    """The process's one core, never freed; a forked process has one of its own, since threads are not forked.

    A core gives the thread that makes it a signal stack, and takes that memory back in whichever thread frees it
    (2026.4): freed in another one, the next signal, Ctrl-C say, would end the process.
    """
    return openvino.Core()


@cache
def computes_bfloat16() -> bool:
    """Return whether OpenVINO has arithmetic of bfloat16 on this processor; where not, it computes in float32."""
    with _turn:
        return "BF16" in _core(os.getpid()).get_property("CPU", properties.device.capabilities)


def _seeing_levels(graph: openvino.Model) -> openvino.Model:
    """Return the network with a second input, `LEVELS` times the first, which its first convolution looks at instead.

    Of numbers in [0, 1] bfloat16 keeps 8 binary digits, so that the levels of a smooth sky, 1/255 apart, would come to
    lie unevenly; the whole numbers up to 256 it keeps all. The convolution's weights are divided accordingly.
    """
    (picture,) = graph.get_parameters()
    levels = opset.parameter(picture.get_partial_shape(), np.float32, name="levels")
    for taken in picture.output(0).get_target_inputs():
        first = taken.get_node()
        if first.get_type_name() == "Convolution":
            weights = first.input_value(1)
            divided = opset.multiply(weights, opset.constant(np.float32(1 / LEVELS)))
            first.input(0).replace_source_output(levels.output(0))
            first.input(1).replace_source_output(divided.output(0))
    return openvino.Model(graph.get_results(), [picture, levels], graph.get_friendly_name())


def _infer(compiled: openvino.CompiledModel, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Run a batch in a request of its own, so that several threads may call at once."""
    request = compiled.create_infer_request()
    # Not `request.infer`: out of memory, say, it raises nothing and gives an empty array (seen in 2026.4).
    inputs = [batch] if len(compiled.inputs) == 1 else [batch, batch * np.float32(LEVELS)]
    request.start_async(inputs, share_inputs=True)
    request.wait()
    return np.array(request.get_output_tensor(0).data, np.float32)  # a copy: the request's memory goes with it
