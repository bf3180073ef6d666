"""Static quantisation to 8-bit integers: the same graph with QuantizeLinear/DequantizeLinear pairs around its nodes.

Engines turn the pairs into integer arithmetic. Activations are unsigned with one scale per tensor, from real pictures;
weights are signed with one scale per output channel. The weights stay in the file as floats behind a constant
QuantizeLinear, which engines fold when they open it: so the weights of another network of the architecture can be put
in their place (`inference/model_file.py`), and one integer graph serves every fidelity.

What stays in floats: the last convolution and what follows it, whose result is the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from acutance.exporting.onnx_graph import INPUT, OUTPUT
from acutance.inference.silent_onnxruntime import onnxruntime

LEVELS = 255
"""Steps of an unsigned byte."""
WEIGHT_LEVELS = 127
"""Steps of a signed byte on either side of 0."""
IN_FLOAT = frozenset({"tail", "shuffle", "enlarge", OUTPUT})
"""Nodes that are left as they are: the last convolution and what follows it."""
CLIPPINGS = np.linspace(0.3, 1.0, 29)
"""Shares of a tensor's range that are tried as the range to keep."""
SAMPLES = 100_000
"""Values per tensor and picture that the choice of its range looks at."""


@dataclass(frozen=True, slots=True)
class Range:
    """Values that a tensor is expected to have; 0 is among them."""

    low: float
    high: float

    @property
    def step(self) -> np.float32:
        """What one level is worth."""
        return np.float32((self.high - self.low) / LEVELS or 1.0)

    @property
    def zero(self) -> np.uint8:
        """The level that stands for 0."""
        return np.uint8(round(-self.low / float(self.step)))

    def rounded(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what is left of values after quantisation."""
        levels = np.clip(np.rint(values / self.step) + float(self.zero), 0, LEVELS)
        kept: npt.NDArray[np.float32] = (levels - np.float32(self.zero)) * self.step
        return kept


def calibrate(models: Sequence[onnx.ModelProto], pictures: Iterable[npt.NDArray[np.float32]]) -> dict[str, Range]:
    """Measure the range of every tensor of a graph on pictures.

    Args:
        models: Networks of one architecture; the ranges hold for all of them.
        pictures: Degraded pictures `1 3 h w`, float32 in [0, 1], of the kind that the network will see.

    Returns:
        By the tensor's name, the range whose quantisation leaves the least squared error. The input's is exactly
        [0, 1]: 8-bit pictures lose nothing.
    """
    samples: dict[str, list[npt.NDArray[np.float32]]] = {}
    sessions = [_observed(model) for model in models]
    random = np.random.default_rng(0)
    for picture in pictures:
        for session in sessions:
            names = [output.name for output in session.get_outputs()]
            for name, values in zip(names, session.run(names, {INPUT: picture}), strict=True):
                flat = values.ravel()
                kept = random.choice(flat, SAMPLES) if flat.size > SAMPLES else flat
                samples.setdefault(name, []).append(np.append(kept, [flat.min(), flat.max()]))
    ranges = {name: _best_range(np.concatenate(values)) for name, values in samples.items()}
    return ranges | {INPUT: Range(0.0, 1.0)}


def _observed(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a graph with all its tensors as outputs."""
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    known = {output.name for output in observed.graph.output}
    for node in observed.graph.node:
        if node.output[0] not in known and node.op_type != "Cast":
            observed.graph.output.append(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None))
    return onnxruntime.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])


def _best_range(values: npt.NDArray[np.float32]) -> Range:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    ranges = [Range(low * share, high * share) for share in CLIPPINGS]
    errors = [float(np.square(kept.rounded(values) - values).mean()) for kept in ranges]
    return ranges[int(np.argmin(errors))]


def quantise(models: Sequence[onnx.ModelProto], ranges: Mapping[str, Range]) -> onnx.ModelProto:
    """Return the first network as a graph of integers, whose scales serve all of the networks and their blends.

    Args:
        models: Networks of one architecture, as `build_onnx` makes them.
        ranges: From `calibrate`.
    """
    model = onnx.ModelProto()
    model.CopyFrom(models[0])
    graph = _Quantised(ranges, _weight_steps(models))
    for node in model.graph.node:
        graph.add(node)
    del model.graph.node[:]
    model.graph.node.extend(graph.nodes)
    model.graph.initializer.extend(graph.constants.values())
    onnx.checker.check_model(model, full_check=True)
    return model


def _weight_steps(models: Sequence[onnx.ModelProto]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the step of every output channel: large enough for all networks, and so for all their blends."""
    steps: dict[str, npt.NDArray[np.float32]] = {}
    for model in models:
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            if values.ndim == 4:
                largest = np.abs(values).reshape(len(values), -1).max(axis=1) / WEIGHT_LEVELS
                steps[tensor.name] = np.maximum(steps.get(tensor.name, np.float32(1e-12)), largest)
    return steps


class _Quantised:
    """Collects the nodes of the graph of integers."""

    def __init__(self, ranges: Mapping[str, Range], weight_steps: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._ranges, self._weight_steps = ranges, weight_steps
        self._done: set[str] = set()

    def add(self, node: onnx.NodeProto) -> None:
        """Add a node, with its inputs through bytes where that pays."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.name in IN_FLOAT:
            self.nodes.append(copy)
            return
        if node.op_type == "Conv":
            copy.input[0] = self._activation(node.input[0])
            copy.input[1] = self._weight(node.input[1])
        elif node.op_type in ("LeakyRelu", "Relu"):
            copy.input[0] = self._activation(node.input[0])
        elif node.op_type == "Add":
            copy.input[0] = self._activation(node.input[0])
            copy.input[1] = self._activation(node.input[1])
        elif node.op_type == "DepthToSpace":
            self._shuffle(copy)
            return
        self.nodes.append(copy)

    def _shuffle(self, node: onnx.NodeProto) -> None:
        """Add a pixel-shuffle of bytes: a quarter of the memory to move, and the convolution before it gives bytes."""
        source, name = node.input[0], node.output[0]
        self._activation(source)
        node.input[0], node.output[0] = source + ".bytes", name + ".bytes"
        self.nodes.append(node)
        scale = [source + ".step", source + ".zero"]
        self.nodes.append(helper.make_node("DequantizeLinear", [name + ".bytes", *scale], [name + ".rounded"]))
        self._done.add(name)

    def _activation(self, name: str) -> str:
        kept = self._ranges[name]
        return self._through_bytes(name, np.array(kept.step, np.float32), np.array(kept.zero, np.uint8))

    def _weight(self, name: str) -> str:
        steps = self._weight_steps[name.removesuffix(".wide")]
        return self._through_bytes(name, steps.astype(np.float32), np.zeros(len(steps), np.int8), axis=0)

    def _through_bytes(
        self, name: str, step: npt.NDArray[np.float32], zero: npt.NDArray[np.uint8 | np.int8], *, axis: int = 1
    ) -> str:
        """Add a pair around a tensor, once; with an array of steps, one for each place along the axis."""
        if name not in self._done:
            self._done.add(name)
            for suffix, values in ((".step", step), (".zero", zero)):
                self.constants[name + suffix] = numpy_helper.from_array(values, name + suffix)
            scale = [name + ".step", name + ".zero"]
            self.nodes.append(helper.make_node("QuantizeLinear", [name, *scale], [name + ".bytes"], axis=axis))
            self.nodes.append(
                helper.make_node("DequantizeLinear", [name + ".bytes", *scale], [name + ".rounded"], axis=axis)
            )
        return name + ".rounded"
