"""Networks of others, as small as can be: built with the `onnx` package, none of them with a spec."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANGES = {"0..1": (1.0, 0.0), "0..255": (255.0, 0.0), "-1..1": (2.0, -1.0)}


def network(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    *,
    shape: list[int | str] | None = None,
    out: list[int | str] | None = None,
    outputs: tuple[str, ...] = ("y",),
    inputs: tuple[str, ...] = ("x",),
    number: int = TensorProto.FLOAT,
    ir_version: int = 8,
) -> bytes:
    """Make a file of nodes from `x` to `y`."""
    shape = shape or ["n", 3, "h", "w"]
    out = out or [*shape[:2], "H", "W"]
    sources = [helper.make_tensor_value_info(name, number, shape) for name in inputs]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    if ir_version < 4:  # weights are inputs, too, there
        sources += [helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in tensors]
    targets = [helper.make_tensor_value_info(name, number, out) for name in outputs]
    graph = helper.make_graph(nodes, "alien", sources, targets, tensors)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=ir_version
    ).SerializeToString()


def mean_of(side: int, **settings: object) -> bytes:
    """The mean of `side` × `side` px around each: a network of reach `side // 2`."""
    weight = np.zeros((3, 3, side, side), np.float32)
    weight[range(3), range(3)] = 1 / side**2
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[side // 2] * 4)
    return network([node], {"w": weight}, **settings)


def minus_mean(**settings: object) -> bytes:
    """A network that looks at the whole of its input: it takes a twentieth of the mean away."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3]),
        helper.make_node("Mul", ["m", "share"], ["p"]),
        helper.make_node("Sub", ["x", "p"], ["y"]),
    ]
    return network(nodes, {"share": np.array([0.05], np.float32)}, **settings)


def cells(side: int) -> bytes:
    """A network that takes multiples of `side` alone."""
    nodes = [
        helper.make_node("SpaceToDepth", ["x"], ["d"], blocksize=side),
        helper.make_node("DepthToSpace", ["d"], ["y"], blocksize=side),
    ]
    return network(nodes, {})


def disguised(
    ours: bytes, *, range_: str = "0..1", layout: str = "nchw", half: bool = False, swaps: bool = False
) -> bytes:
    """A model file of ours without its spec, made to take another range, layout, type or order of colours."""
    model = onnx.load_from_string(ours)
    own = model.graph
    rename = {own.input[0].name: "inner_in", own.output[0].name: "inner_out"}
    for node in own.node:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
    factor, offset = RANGES[range_]
    number = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    constants = {
        "in.factor": np.array([1 / factor], np.float32),
        "in.offset": np.array([-offset / factor], np.float32),
        "out.factor": np.array([factor], np.float32),
        "out.offset": np.array([offset], np.float32),
        "swap": np.array([2, 1, 0] if swaps else [0, 1, 2], np.int64),
    }
    constants.update({tensor.name: numpy_helper.to_array(tensor) for tensor in own.initializer})
    to_nchw, to_nhwc = ([0, 3, 1, 2], [0, 2, 3, 1]) if layout == "nhwc" else ([0, 1, 2, 3], [0, 1, 2, 3])
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["a"], ["b"], perm=to_nchw),
        helper.make_node("Gather", ["b", "swap"], ["c"], axis=1),
        helper.make_node("Mul", ["c", "in.factor"], ["d"]),
        helper.make_node("Add", ["d", "in.offset"], ["inner_in"]),
        *own.node,
        helper.make_node("Mul", ["inner_out", "out.factor"], ["e"]),
        helper.make_node("Add", ["e", "out.offset"], ["f"]),
        helper.make_node("Gather", ["f", "swap"], ["g"], axis=1),
        helper.make_node("Transpose", ["g"], ["i"], perm=to_nhwc),
        helper.make_node("Cast", ["i"], ["y"], to=number),
    ]
    shape: list[int | str] = ["n", "h", "w", 3] if layout == "nhwc" else ["n", 3, "h", "w"]
    out: list[int | str] = ["n", "H", "W", 3] if layout == "nhwc" else ["n", 3, "H", "W"]
    return network(nodes, constants, shape=shape, out=out, number=number)
