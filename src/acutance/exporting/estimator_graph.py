"""The estimator of blur as an ONNX graph, node by node: brightness in, classes and noise of every window out.

The kernels that it learnt to draw are left out: training with them made the other answers better, and nobody asks them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from torch import nn

from acutance.exporting.onnx_graph import Graph, array_of
from acutance.media.atomic import write_atomically
from acutance.networks.estimator import MEAN_GAIN, POOL_CELLS, POOL_STRIDE_CELLS, SLOPE, BlurEstimator

INPUT, CLASSES, NOISE = "grey", "classes", "noise"


def build_estimator(network: BlurEstimator) -> onnx.ModelProto:
    """Build the graph: `grey` n 1 h w in [0, 1] → `classes` n k r c (logits) and `noise` n 1 r c (log₂ of levels).

    The weights are kept as float16; all is computed in float32.
    """
    graph = _Graph(half=True)
    differences = np.array([[[[-1, 1], [0, 0]]], [[[-1, 0], [1, 0]]]], np.float32)
    last = graph.conv("differences", differences, INPUT, stride=1)
    for index, layer in enumerate(network.features):
        name = f"features.{index}"
        if isinstance(layer, nn.Conv2d):
            last = graph.conv(name, array_of(layer.weight), last, stride=layer.stride[0])
        else:
            assert isinstance(layer, nn.PReLU)
            last = graph.add_node("LeakyRelu", [last], name, alpha=float(layer.weight.detach()))
    window = {"kernel_shape": [POOL_CELLS] * 2, "strides": [POOL_STRIDE_CELLS] * 2}
    mean = graph.add_node("AveragePool", [last], "mean", **window)
    mean = graph.add_node("Mul", [mean, graph.constant("mean.gain", np.array(MEAN_GAIN, np.float32))], "mean.scaled")
    pooled = graph.add_node("Concat", [mean, graph.add_node("MaxPool", [last], "largest", **window)], "pooled", axis=1)
    power = graph.add_node(
        "ReduceMean", [graph.add_node("Mul", [pooled, pooled], "square")], "power", axes=[1], keepdims=1
    )
    power = graph.add_node("Add", [power, graph.constant("floor", np.array(1e-12, np.float32))], "power.floored")
    pooled = graph.add_node("Div", [pooled, graph.add_node("Sqrt", [power], "norm")], "normed")
    hidden = graph.add_node("LeakyRelu", [graph.linear("hidden", network.hidden, pooled)], "hidden.active", alpha=SLOPE)
    graph.linear(CLASSES, network.classes, hidden)
    graph.linear(NOISE, network.noise, hidden)
    windows = {name: ["n", None, "rows", "columns"] for name in (CLASSES, NOISE)}
    model = graph.model("estimator", {INPUT: ["n", 1, "height", "width"]}, windows)
    onnx.checker.check_model(model, full_check=True)
    return model


def export_estimator(network: BlurEstimator, target: Path, *, overwrite: bool = False) -> None:
    """Write the graph as a file.

    Raises:
        OutputError: When the target exists and `overwrite` is false, or cannot be written.
    """
    write_atomically(target, [build_estimator(network).SerializeToString()], overwrite=overwrite)


class _Graph(Graph):
    """The graph of the estimator."""

    def conv(self, name: str, weight: npt.NDArray[np.float32], source: str, *, stride: int, bias: str = "") -> str:
        inputs = [source, self.weight(f"{name}.weight", weight), *([bias] if bias else [])]
        return self.add_node("Conv", inputs, name, kernel_shape=list(weight.shape[2:]), strides=[stride, stride])

    def linear(self, name: str, layer: nn.Linear, source: str) -> str:
        bias = self.constant(f"{name}.bias", array_of(layer.bias))
        return self.conv(name, array_of(layer.weight)[:, :, None, None], source, stride=1, bias=bias)
