"""Write a generator as an ONNX graph, node by node.

The graph is built from the weights directly, not traced: the network is a dozen kinds of node, the bytes come out the
same every time, and four exact rewritings make it faster than a trace would be:

- batch normalisation is folded into the convolution before it (`networks/folding.py`);
- pixel-unshuffle followed by a convolution of side k is one convolution of side k·u with stride u, so the
  re-ordering costs nothing;
- a channel-shared PReLU that is no longer trained is a LeakyReLU, which engines fuse into the convolution before it
  (as they do ReLU);
- the body convolution and the long skip are left as Conv + Add, which ONNX Runtime fuses too.

Parity with torch is a test, not a hope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from acutance.networks.blocks import Activation, ImprovedBlock, StackedBlock
from acutance.networks.folding import fold_batch_norm
from acutance.networks.generators import Generator, GeneratorConfig, NestedScale
from acutance.spec import METADATA_KEY, ModelSpec

OPSET = 17
"""Old enough for every engine in use, new enough for all that is used here."""
IR_VERSION = 8
INPUT, OUTPUT = "degraded", "restored"

Shape = Sequence[int | str | None]
"""Of an input or output: numbers, names, or what is left open."""


class Graph:
    """Collects nodes and weights; every method adds one operation and returns the name of its result."""

    def __init__(self, *, half: bool) -> None:
        """Begin without anything; `half` keeps the weights of convolutions in 16 bits."""
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._half = half

    def constant(self, name: str, values: npt.NDArray[np.generic]) -> str:
        """Add numbers."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """Add the weights of a convolution; those kept in 16 bits are widened once, when the file is opened."""
        if not self._half:
            return self.constant(name, values)
        self.constant(name, values.astype(np.float16))
        return self.add_node("Cast", [name], f"{name}.wide", to=TensorProto.FLOAT)

    def add_node(self, kind: str, inputs: list[str], output: str, **attributes: int | float | str | list[int]) -> str:
        """Add a node of any kind."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))  # type: ignore[arg-type]
        return output

    def model(self, name: str, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> onnx.ModelProto:
        """Return it as a model of float32 inputs and outputs, by their shapes; whoever is given it checks it."""
        ends = [
            [helper.make_tensor_value_info(end, TensorProto.FLOAT, shape) for end, shape in values.items()]
            for values in (inputs, outputs)
        ]
        graph = helper.make_graph(self.nodes, name, ends[0], ends[1], self.weights)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="acutance")


class _GeneratorGraph(Graph):
    """The graph of a generator."""

    def conv(self, name: str, conv: nn.Conv2d, source: str, *, unshuffle: int = 1) -> str:
        """Add a convolution; with `unshuffle` u it also does the pixel-unshuffle before it."""
        weight = array_of(conv.weight)
        if unshuffle > 1:
            weight = _fold_unshuffle(weight, unshuffle)
        pad = (conv.kernel_size[0] // 2) * unshuffle
        inputs = [source, self.weight(f"{name}.weight", weight)]
        if conv.bias is not None:
            inputs.append(self.constant(f"{name}.bias", array_of(conv.bias)))
        side = weight.shape[-1]
        return self.add_node(
            "Conv", inputs, name, kernel_shape=[side, side], pads=[pad] * 4, strides=[unshuffle, unshuffle]
        )

    def activation(self, name: str, activation: Activation, source: str) -> str:
        if isinstance(activation, nn.ReLU):
            return self.add_node("Relu", [source], name)
        if isinstance(activation, nn.PReLU):
            return self.add_node("LeakyRelu", [source], name, alpha=float(activation.weight.detach()))
        return self.add_node("LeakyRelu", [source], name, alpha=activation.negative_slope)

    def block(self, name: str, block: nn.Module, source: str) -> str:
        if isinstance(block, NestedScale):
            return self.nested(name, block, source)
        assert isinstance(block, StackedBlock | ImprovedBlock)  # those that normalise are folded before
        inner = self.conv(f"{name}.conv1", block.conv1, source)
        inner = self.activation(f"{name}.activation", block.activation, inner)
        inner = self.conv(f"{name}.conv2", block.conv2, inner)
        if isinstance(block, StackedBlock):
            return self.activation(f"{name}.activation2", block.activation2, inner)
        return self.add_node("Add", [inner, source], f"{name}.add")

    def nested(self, name: str, scale: NestedScale, source: str) -> str:
        inner = self.conv(f"{name}.down", scale.down, source, unshuffle=2)
        for index, block in enumerate(scale.blocks):
            inner = self.block(f"{name}.blocks.{index}", block, inner)
        inner = self.conv(f"{name}.up", scale.up, inner)
        inner = self.add_node("DepthToSpace", [inner], f"{name}.shuffle", blocksize=2, mode="CRD")
        return self.add_node("Add", [inner, source], f"{name}.add")


def array_of(tensor: Tensor) -> npt.NDArray[np.float32]:
    """Return a tensor's numbers as float32."""
    return tensor.detach().cpu().float().numpy()


def _fold_unshuffle(weight: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Turn weights over unshuffled cells (o, c·u·u, k, k) into weights over pixels (o, c, k·u, k·u)."""
    out_channels, cell, side, _ = weight.shape
    channels = cell // factor**2
    cells = weight.reshape(out_channels, channels, factor, factor, side, side)
    return cells.transpose(0, 1, 4, 2, 5, 3).reshape(out_channels, channels, side * factor, side * factor)


def build_onnx(generator: Generator, spec: ModelSpec, *, half: bool = False) -> onnx.ModelProto:
    """Build the ONNX model of a generator: `degraded` n 3 h w → `restored` n 3 h·scale w·scale, float32.

    Batch, height and width are dynamic; height and width must be multiples of `spec.size_multiple`. The spec travels
    in the metadata: it describes the generator as it was trained, whatever is folded here.

    Args:
        generator: The network.
        spec: Its description.
        half: Keep the convolutions' weights as float16: half the file, for 1/2048 of rounding; all is still computed in
            float32.
    """
    generator = fold_batch_norm(generator)
    config = generator.config
    graph = _GeneratorGraph(half=half)
    shallow = graph.conv("head", generator.head, INPUT, unshuffle=config.unshuffle)
    shallow = graph.activation("head_activation", generator.head_activation, shallow)
    deep = shallow
    for index, block in enumerate(generator.blocks):
        deep = graph.block(f"blocks.{index}", block, deep)
    deep = graph.conv("body_conv", generator.body_conv, deep)
    if config.long_skip:
        deep = graph.add_node("Add", [deep, shallow], "long_skip")
    last = graph.conv("tail", generator.tail, deep)
    factor = config.unshuffle * config.scale
    if factor > 1:
        last = graph.add_node("DepthToSpace", [last], "shuffle", blocksize=factor, mode="CRD")
    _finish(graph, last, config)
    source: dict[str, Shape] = {INPUT: ["n", config.channels_in, "height", "width"]}
    model = graph.model(spec.name, source, {OUTPUT: ["n", 3, "out_height", "out_width"]})
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return model


def _finish(graph: Graph, last: str, config: GeneratorConfig) -> None:
    """Add the input (enlarged, or of its guides the middle one), or just name the output."""
    if not config.global_residual:
        graph.add_node("Identity", [last], OUTPUT)
        return
    skip = INPUT
    if config.scale > 1:
        scales = graph.constant("enlarge.scales", np.array([1, 1, config.scale, config.scale], np.float32))
        attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        skip = graph.add_node("Resize", [INPUT, "", scales], "enlarge", **attributes)
    elif config.guides:
        bounds = {"starts": config.base_channels.start, "ends": config.base_channels.stop, "axes": 1}
        limits = [graph.constant(f"base.{name}", np.array([value], np.int64)) for name, value in bounds.items()]
        skip = graph.add_node("Slice", [INPUT, *limits], "base")
    graph.add_node("Add", [last, skip], OUTPUT)
