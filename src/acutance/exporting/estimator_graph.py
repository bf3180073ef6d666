"""The estimator of blur as an ONNX graph, node by node: brightness in, classes and noise of every window out.

The kernels that it learnt to draw are left out: training with them made the other answers better, and nobody asks them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from acutance.exporting.onnx_graph import IR_VERSION, OPSET
from acutance.media.atomic import write_atomically
from acutance.networks.estimator import MEAN_GAIN, POOL_CELLS, POOL_STRIDE_CELLS, SLOPE, BlurEstimator

INPUT, CLASSES, NOISE = "grey", "classes", "noise"


def build_estimator(network: BlurEstimator) -> onnx.ModelProto:
    """Build the graph: `grey` n 1 h w in [0, 1] → `classes` n k r c (logits) and `noise` n 1 r c (log₂ of levels).

    The weights are kept as float16; all is computed in float32.
    """
    graph = _Graph()
    differences = np.array([[[[-1, 1], [0, 0]]], [[[-1, 0], [1, 0]]]], np.float32)
    last = graph.conv("differences", differences, INPUT, stride=1)
    for index, layer in enumerate(network.features):
        name = f"features.{index}"
        if isinstance(layer, nn.Conv2d):
            last = graph.conv(name, _array(layer.weight), last, stride=layer.stride[0])
        else:
            assert isinstance(layer, nn.PReLU)
            last = graph.add("LeakyRelu", [last], name, alpha=float(layer.weight.detach()))
    window = {"kernel_shape": [POOL_CELLS] * 2, "strides": [POOL_STRIDE_CELLS] * 2}
    mean = graph.add("AveragePool", [last], "mean", **window)
    mean = graph.add("Mul", [mean, graph.constant("mean.gain", np.array(MEAN_GAIN, np.float32))], "mean.scaled")
    pooled = graph.add("Concat", [mean, graph.add("MaxPool", [last], "largest", **window)], "pooled", axis=1)
    power = graph.add("ReduceMean", [graph.add("Mul", [pooled, pooled], "square")], "power", axes=[1], keepdims=1)
    power = graph.add("Add", [power, graph.constant("floor", np.array(1e-12, np.float32))], "power.floored")
    pooled = graph.add("Div", [pooled, graph.add("Sqrt", [power], "norm")], "normed")
    hidden = graph.add("LeakyRelu", [graph.linear("hidden", network.hidden, pooled)], "hidden.active", alpha=SLOPE)
    graph.linear(CLASSES, network.classes, hidden)
    graph.linear(NOISE, network.noise, hidden)
    source = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 1, "height", "width"])
    targets = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, "rows", "columns"])
        for name in (CLASSES, NOISE)
    ]
    proto = helper.make_graph(graph.nodes, "estimator", [source], targets, graph.weights)
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="acutance"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def export_estimator(network: BlurEstimator, target: Path, *, overwrite: bool = False) -> None:
    """Write the graph as a file.

    Raises:
        OutputError: When the target exists and `overwrite` is false, or cannot be written.
    """
    write_atomically(target, [build_estimator(network).SerializeToString()], overwrite=overwrite)


class _Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, values: npt.NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: int | float | list[int]) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))  # type: ignore[arg-type]
        return output

    def conv(self, name: str, weight: npt.NDArray[np.float32], source: str, *, stride: int, bias: str = "") -> str:
        self.constant(f"{name}.weight", weight.astype(np.float16))
        wide = self.add("Cast", [f"{name}.weight"], f"{name}.wide", to=TensorProto.FLOAT)
        inputs = [source, wide, *([bias] if bias else [])]
        return self.add("Conv", inputs, name, kernel_shape=list(weight.shape[2:]), strides=[stride, stride])

    def linear(self, name: str, layer: nn.Linear, source: str) -> str:
        bias = self.constant(f"{name}.bias", _array(layer.bias))
        return self.conv(name, _array(layer.weight)[:, :, None, None], source, stride=1, bias=bias)


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    return tensor.detach().cpu().float().numpy()
