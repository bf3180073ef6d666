"""An ONNX file as a torch module, node by node.

Only the kinds of node that `acutance export` writes are known. There is no network's code here that would have to
agree with the exporter's: what the file says is what runs.
"""

from __future__ import annotations

import operator
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, fx
from torch.nn import functional

from acutance.errors import CorruptWeights, EngineError

Setting = TypeVar("Setting", bound=float | bytes | list[int])
"""What a node's attribute can be."""


def read_network(model: bytes, *, name: str = "model") -> fx.GraphModule:
    """Make a torch module of an ONNX file.

    Args:
        model: The file.
        name: What errors call it.

    Returns:
        A module in float32 on the CPU. Moved to another kind of number (`module.to(torch.float16)`), it convolves in
        that; what never was convolved stays as it is, and so does a sum with it: the picture that the network adds to.

    Raises:
        CorruptWeights: When it is damaged.
        EngineError: When it has a node that is not known here.
    """
    try:
        # Thereafter every value is made before it is used, and the shapes fit.
        onnx.checker.check_model(model, full_check=True)
        graph = onnx.load_model_from_string(model).graph
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CorruptWeights(f"{name}: not a network that torch can open; get the file again.") from error
    translation = _Translation(graph, name)
    for node in graph.node:
        translation.add(node)
    return translation.finish(graph.output[0].name)


class _Translation:
    """An ONNX graph on its way to become one of torch."""

    def __init__(self, graph: onnx.GraphProto, name: str) -> None:
        self._name = name
        self._graph = fx.Graph()
        self._constants = {tensor.name: _tensor(tensor) for tensor in graph.initializer}
        sources = [source.name for source in graph.input if source.name not in self._constants]
        self._values = {source: self._graph.placeholder(f"source_{index}") for index, source in enumerate(sources)}
        self._weights: dict[str, Tensor] = {}

    def add(self, node: onnx.NodeProto) -> None:
        """Add what a node does.

        Raises:
            EngineError: When it is of a kind, or has settings, that are not known here.
        """
        match node.op_type:
            case "Conv":
                value = self._conv(node)
            case "Relu":
                value = self._graph.call_function(functional.relu, (self._value(node, 0),))
            case "LeakyRelu":
                slope = _setting(node, "alpha", 0.01)
                value = self._graph.call_function(functional.leaky_relu, (self._value(node, 0), slope))
            case "Add":
                # torch gives a sum of float32 and 16 bits in float32.
                value = self._graph.call_function(operator.add, (self._value(node, 0), self._value(node, 1)))
            case "DepthToSpace" if _setting(node, "mode", b"DCR") == b"CRD":
                factor = _setting(node, "blocksize", 0)
                value = self._graph.call_function(functional.pixel_shuffle, (self._value(node, 0), factor))
            case "Resize":
                value = self._resize(node)
            case "Slice":
                value = self._channels(node)
            case "Identity":
                value = self._value(node, 0)
            case "Cast" if node.input[0] in self._constants and _setting(node, "to", 0) == onnx.TensorProto.FLOAT:
                # Of weights kept in 16 bits; here they are float32 already.
                self._constants[node.output[0]] = self._constants[node.input[0]]
                return
            case _:
                raise self._unknown(node)
        self._values[node.output[0]] = value

    def finish(self, output: str) -> fx.GraphModule:
        """Return the module that gives the value of a name."""
        self._graph.output(self._values[output])
        return fx.GraphModule(self._weights, self._graph)

    def _conv(self, node: onnx.NodeProto) -> fx.Node:
        pads = _setting(node, "pads", [0, 0, 0, 0])  # top, left, bottom, right
        is_plain = (
            len(pads) == 4
            and pads[:2] == pads[2:]
            and _setting(node, "group", 1) == 1
            and _setting(node, "dilations", [1, 1]) == [1, 1]
            and _setting(node, "auto_pad", b"NOTSET") == b"NOTSET"
        )
        if not is_plain:
            raise self._unknown(node)
        weights = [self._weight(node, index) for index in range(1, len(node.input))]
        bias = weights[1] if len(weights) > 1 else None
        strides = _setting(node, "strides", [1, 1])
        settings = (bias, tuple(strides), tuple(pads[:2]))
        return self._graph.call_function(_conv, (self._value(node, 0), weights[0], *settings))

    def _resize(self, node: onnx.NodeProto) -> fx.Node:
        scales = self._constants.get(node.input[2], torch.empty(0)).tolist() if len(node.input) == 3 else []
        is_bilinear = (
            _setting(node, "mode", b"nearest") == b"linear"
            and _setting(node, "coordinate_transformation_mode", b"half_pixel") == b"half_pixel"
            and not _setting(node, "antialias", 0)
        )
        if not is_bilinear or len(scales) != 4 or scales[:2] != [1, 1]:
            raise self._unknown(node)
        height, width = scales[2:]
        return self._graph.call_function(_enlarge, (self._value(node, 0), (height, width)))

    def _channels(self, node: onnx.NodeProto) -> fx.Node:
        """Take some of the channels: of a network's guides the middle one."""
        bounds = [self._constants.get(name, torch.empty(0)).tolist() for name in node.input[1:]]
        if len(bounds) != 3 or [len(bound) for bound in bounds] != [1, 1, 1] or bounds[2] != [1]:
            raise self._unknown(node)
        first, end = (int(bound[0]) for bound in bounds[:2])
        return self._graph.call_function(operator.getitem, (self._value(node, 0), (slice(None), slice(first, end))))

    def _value(self, node: onnx.NodeProto, index: int) -> fx.Node:
        """Return the value that is a node's input."""
        if node.input[index] not in self._values:  # a constant, which nothing but a convolution takes here
            raise self._unknown(node)
        return self._values[node.input[index]]

    def _weight(self, node: onnx.NodeProto, index: int) -> fx.Node:
        """Return a constant that is a node's input, as a value of the module's own."""
        if node.input[index] not in self._constants:
            raise self._unknown(node)
        target = f"weight_{len(self._weights)}"  # ONNX's names can be anything
        self._weights[target] = self._constants[node.input[index]]
        return self._graph.get_attr(target)

    def _unknown(self, node: onnx.NodeProto) -> EngineError:
        return EngineError(
            f"{self._name}: its node {node.name!r} ({node.op_type}) is of a kind that engine torch does not run; take "
            "engine onnxruntime."
        )


def _tensor(tensor: onnx.TensorProto) -> Tensor:
    """Return an ONNX tensor's numbers as float32."""
    return torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))


def _setting(node: onnx.NodeProto, name: str, default: Setting) -> Setting:
    """Return a node's attribute."""
    for attribute in node.attribute:
        if attribute.name == name:
            value: Setting = onnx.helper.get_attribute_value(attribute)
            return value
    return default


def _conv(
    source: Tensor, weight: Tensor, bias: Tensor | None, strides: tuple[int, int], pads: tuple[int, int]
) -> Tensor:
    """Convolve in the kind of number that the weights are of."""
    return functional.conv2d(source.to(weight.dtype), weight, bias, strides, pads)


def _enlarge(source: Tensor, scales: tuple[float, float]) -> Tensor:
    """Enlarge bilinearly, pixel centres at half-integers."""
    return functional.interpolate(source, scale_factor=scales, mode="bilinear", align_corners=False)
